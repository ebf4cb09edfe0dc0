"""Waits for the end of a Backup or a Restore, and says how it ended."""

from dataclasses import dataclass
from typing import Final

import typer

from stackroles.cli.ask import CommandError
from stackroles.cli.draw_recovery import (
    backup_lines,
    backup_result,
    draw_backup,
    draw_restore,
    preflight_lines,
    restore_lines,
    restore_result,
)
from stackroles.cli.follow import Forms, follow
from stackroles.cli.recovery import (
    BackupView,
    Outcome,
    RestoreView,
    backup_view,
    restore_view,
)
from stackroles.cli.recovery_cluster import Recovery

_BACKUP: Final[Forms[BackupView]] = Forms(
    draw=draw_backup, lines=lambda before, after, _now: backup_lines(before, after)
)
_RESTORE: Final[Forms[RestoreView]] = Forms(draw=draw_restore, lines=restore_lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A Restore that was made.

    Attributes:
        name: the Restore.
        namespace: its namespace.
        cloud: the CloudController that it is about, empty where only the set says it.
        of_backup: whether it restores a Backup's set, which a command names by that alone.
        made: whether the cloud does not exist, and is made.
    """

    name: str
    namespace: str
    cloud: str
    of_backup: bool = True
    made: bool = False

    @property
    def removal(self) -> str:
        """The command that deletes it."""
        return f"`kubectl -n {self.namespace} delete restore {self.name}`"


async def wait_for_backup(recovery: Recovery, name: str) -> None:
    """Wait until a Backup is verified.

    Raises:
        CommandError: it failed.
    """

    async def read(before: BackupView | None) -> BackupView:
        return backup_view(await recovery.read("Backup", name), before)

    left = f"Backup {name} goes on. {where_backup(recovery, name)}"
    view = await follow(read, lambda view: view.ended, _BACKUP, left)
    if not view.verified:
        raise CommandError(f"Backup {name} failed: {view.message}")
    typer.echo(backup_result(view))


def where_backup(recovery: Recovery, name: str) -> str:
    """Return how the user sees how far a Backup is."""
    return f"`kubectl -n {recovery.namespace} get backup {name}` shows how far it is."


def where(known: Known) -> str:
    """Return how the user sees how far a Restore is."""
    if not known.cloud:
        return f"`kubectl -n {known.namespace} get restore {known.name}` shows how far it is."
    return f"`kubectl stackroles status {known.cloud}` shows how far it is."


async def wait_for_preflight(recovery: Recovery, known: Known, *, asks: bool) -> RestoreView:
    """Wait for the preflight of a dry run, print what it found, and return that.

    Raises:
        CommandError: something is missing.
    """
    left = (
        f"Restore {known.name} goes on as a dry run, which changes nothing; "
        f"{known.removal} removes it."
    )
    view = await _follow_restore(recovery, known, left)
    for line in preflight_lines(view):
        typer.echo(line)
    if view.outcome is not Outcome.CHECKED:
        what = "something is missing" if view.outcome is Outcome.BLOCKED else view.message
        raise CommandError(
            f"Nothing was changed: {what.rstrip('.')}. Restore {known.name} stays a dry run and "
            f"looks again by itself; {known.removal} removes it."
        )
    typer.echo("Nothing is missing, and nothing was changed.")
    if not asks:
        again = "the same command without --dry-run"
        if known.of_backup:
            again = f"`kubectl stackroles restore {view.recovery_set}`"
        typer.echo(
            f"{again[:1].upper()}{again[1:]} restores it; {known.removal} removes the dry run."
        )
    return view


async def wait_for_restore(recovery: Recovery, known: Known) -> None:
    """Wait until a Restore has ended, and print how.

    Raises:
        CommandError: it did not end well, or does not begin.
    """
    view = await _follow_restore(recovery, known, f"Restore {known.name} goes on. {where(known)}")
    match view.outcome:
        case Outcome.RESTORED:
            typer.echo(restore_result(view))
        case Outcome.FAILED:
            raise CommandError(f"Restore {known.name} failed: {view.message}")
        case _:
            raise CommandError(
                f"Restore {known.name} does not begin: {view.message} It begins by itself once "
                f"that is there; {known.removal} prevents this."
            )


async def _follow_restore(recovery: Recovery, known: Known, left: str) -> RestoreView:
    async def read(_before: RestoreView | None) -> RestoreView:
        return restore_view(await recovery.read("Restore", known.name))

    def stands(view: RestoreView) -> bool:
        return view.outcome is not Outcome.UNDER_WAY

    return await follow(read, stands, _RESTORE, left)
