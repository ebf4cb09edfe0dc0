"""A cloud as a tree."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from rich.console import RenderableType
from rich.markup import escape
from rich.tree import Tree

from stackroles.cli.recovery import RestoreUnderWay
from stackroles.cli.view import (
    CloudView,
    DependentView,
    MemberView,
    RecoveryView,
    RoleView,
    Trouble,
)

# All of them are in `-o json` and in the status; a tree is to fit on a screen.
_RECOVERIES: Final = 3


def draw(cloud: CloudView) -> RenderableType:
    """Return the tree of a cloud: what is wrong first, then roles by service, pools, backups."""
    release = f" {escape(cloud.release)}" if cloud.release else ""
    head = f"{_mark(cloud.ready)} [bold]{escape(cloud.namespace)}/{escape(cloud.name)}[/]{release}"
    tree = Tree(f"{head}  {escape(cloud.reason)}: {escape(cloud.message)}")
    _add_troubles(tree, cloud.troubles)
    for text in cloud.unreadable:
        tree.add(f"[yellow]not shown[/] {escape(text)}")
    for service, roles in groupby(cloud.roles, key=lambda role: role.service):
        members = [*roles]
        if len(members) == 1 and members[0].name == service:
            _add_role(tree, members[0])
            continue
        branch = tree.add(f"[bold]{escape(service)}[/]")
        for role in members:
            _add_role(branch, role)
    _add_recoveries(tree, cloud.recoveries)
    for dependent in cloud.dependents:
        _add_dependent(tree, dependent)
    for restore in cloud.restores:
        tree.add(_restore(restore))
    return tree


def _mark(status: str) -> str:
    return {"True": "[green]ok[/]", "False": "[red]!![/]"}.get(status, "[yellow]??[/]")


def _add_troubles(tree: Tree, troubles: Iterable[Trouble]) -> None:
    for trouble in troubles:
        text = f"[red]{escape(trouble.condition)}[/] {escape(trouble.reason)}"
        tree.add(f"{text} since {escape(trouble.since)}: {escape(trouble.message)}")


def _add_role(tree: Tree, role: RoleView) -> None:
    whole = "True" if role.ready >= role.desired > 0 else "False"
    text = f"{_mark(whole)} {escape(role.name)} {role.ready}/{role.desired}"
    branch = tree.add(f"{text} [dim]{escape(role.model)}[/]")
    if role.message:
        branch.add(f"[yellow]{escape(role.message)}[/]")
    for member in role.members:
        branch.add(_member(member))


def _add_recoveries(tree: Tree, recoveries: Sequence[RecoveryView]) -> None:
    if not recoveries:
        return
    branch = tree.add("[bold]last recoveries[/]")
    for record in recoveries[:_RECOVERIES]:
        took = "under way" if record.seconds is None else f"took {record.seconds} s"
        served = "served" if record.served else "[yellow]did not serve[/]"
        members = escape(", ".join(record.members))
        item = branch.add(
            f"{escape(record.role)} {took}, {served} [dim]{escape(record.started)}[/] {members}"
        )
        for decision in record.decisions:
            item.add(escape(decision))


def _member(member: MemberView) -> str:
    part = f" [cyan]{escape(member.part)}[/]" if member.part else ""
    restarts = f" [dim]{member.restarts} restarts[/]" if member.restarts else ""
    node = f" [dim]on {escape(member.node)}[/]" if member.node else " [yellow]on no node[/]"
    mark = _mark("True" if member.ready else "False")
    return f"{mark} {escape(member.pod)}{part}{node}{restarts}"


def _add_dependent(tree: Tree, dependent: DependentView) -> None:
    text = f"{_mark(dependent.ready)} [bold]{escape(dependent.kind)}[/] {escape(dependent.name)}"
    branch = tree.add(f"{text}: {escape(dependent.summary)}")
    _add_troubles(branch, dependent.troubles)


def _restore(restore: RestoreUnderWay) -> str:
    mark = _mark("False") if restore.stands else "[yellow]..[/]"
    text = f"{mark} [bold]Restore[/] {escape(restore.name)} of {escape(restore.recovery_set)}"
    since = f"{escape(restore.phase)} since {escape(restore.since)}"
    return f"{text}: {since}: {escape(restore.waits)}"
