"""A Backup, a Restore and recovery points, as tables of a terminal and as plain lines; pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.cli.points import PointsView
from stackroles.cli.recovery import BackupView, Outcome, PartView, RestoreView
from stackroles.cli.units import age, moment, size

_BAR: Final = 20
_HEADS: Final = (
    "name",
    "policy",
    "copied at",
    "age",
    "bytes",
    "stored",
    "position",
    "restored by",
)
_NUMBERS: Final = frozenset({"age", "bytes", "stored"})
_DONE: Final = "[green]ok[/]"
_AT_WORK: Final = "[yellow]..[/]"
_STANDS: Final = "[red]!![/]"


def draw_backup(view: BackupView, now: datetime) -> RenderableType:
    """Return a Backup with its parts: bytes, and the rate or the seconds."""
    table = Table.grid(padding=(0, 2))
    for part in view.parts:
        done = part.done or view.ended
        bar = ProgressBar(total=1, completed=1, width=_BAR)
        if not done:
            at = now.timestamp()
            bar = ProgressBar(total=1, pulse=True, width=_BAR, animation_time=at)
        name = escape(part.name)
        table.add_row(_DONE if done else _AT_WORK, name, bar, size(part.bytes), _pace(part))
    head = f"[bold]Backup[/] {escape(view.name)}"
    # How it ended is printed after the last table.
    return Group(head if view.ended else f"{head}: {escape(view.message)}", table)


def _pace(part: PartView) -> str:
    if part.seconds is not None:
        return f"{part.seconds:.1f} s"
    return f"{size(part.rate)}/s" if part.rate else ""


def draw_restore(view: RestoreView, now: datetime) -> RenderableType:
    """Return a Restore with its phases and their seconds."""
    table = Table.grid(padding=(0, 2))
    stands = view.outcome in (Outcome.BLOCKED, Outcome.CONSENT, Outcome.FAILED)
    settled = view.outcome is not Outcome.UNDER_WAY
    for phase in view.phases:
        mark = _STANDS if stands else _DONE if settled else _AT_WORK
        at_work = phase.completed is None
        took = f"{phase.seconds(now)} s" if phase.completed or not settled else ""
        message = "" if settled and at_work else escape(phase.message)
        table.add_row(mark if at_work else _DONE, escape(phase.name), took, f"[dim]{message}[/]")
    head = f"[bold]Restore[/] {escape(view.name)} of {escape(view.recovery_set)}"
    return Group(head if settled else f"{head}: {escape(view.message)}", table)


def backup_lines(before: BackupView | None, after: BackupView) -> list[str]:
    """Return the lines about what changed of a Backup, for output that is no terminal."""
    known = set(_backup_state(before)) if before else set()
    return [line for line in _backup_state(after) if line not in known]


def _backup_state(view: BackupView) -> list[str]:
    if view.ended:
        return [_part_line(part) for part in view.parts]
    parts = [part for part in view.parts if not part.done]
    return [view.message, *(_part_line(part) for part in parts)]


def _part_line(part: PartView) -> str:
    pace = _pace(part)
    if part.seconds is not None:
        return f"{part.name}: {size(part.bytes)} in {pace}"
    return f"{part.name}: {size(part.bytes)}{f', {pace}' if pace else ''}"


def restore_lines(before: RestoreView | None, after: RestoreView, now: datetime) -> list[str]:
    """Return a line per change of a Restore's phase, and what it waits for before the first."""
    known = {phase.name: phase for phase in before.phases} if before else {}
    lines = []
    taken = ""
    for phase in after.phases:
        was = known.get(phase.name)
        if was is None:
            lines.append(f"{taken}{phase.name} begins.")
            taken = ""
        if phase.completed and (was is None or was.completed is None):
            taken = f"{phase.name} took {phase.seconds(now)} s. "
    if taken:
        lines.append(taken.rstrip())
    waits = len(after.phases) <= 1 and after.outcome is Outcome.UNDER_WAY
    if waits and (before is None or before.message != after.message):
        lines.append(after.message)
    return lines


def backup_result(view: BackupView) -> str:
    """Return the line about a Backup that is verified."""
    took = "" if view.seconds is None else f" in {view.seconds} s"
    stored = f"{size(view.size)} read, {size(view.stored)} added to the repository"
    return f"Backup {view.name} is verified{took}: {stored}."


def restore_result(view: RestoreView) -> str:
    """Return the lines about a Restore that ended well."""
    seconds = "" if view.seconds is None else f" in {view.seconds} s"
    point = (
        f": {view.cloud} is as it was at {moment(view.recovery_point)}"
        if (view.recovery_point)
        else ""
    )
    safety = (
        f"\nWhat was overwritten is in Backup {view.safety}: `kubectl stackroles restore "
        f"{view.safety}` takes this back."
        if view.safety
        else ""
    )
    return f"Restored{seconds}{point}.{safety}"


def preflight_lines(view: RestoreView) -> list[str]:
    """Return what a preflight found."""
    return [
        *_listed("Missing:", view.missing),
        *_listed(f"A restore of {view.recovery_set} would make:", view.makes),
        *_listed(f"A restore of {view.recovery_set} would lose:", view.overwrites),
    ]


def _listed(head: str, sentences: Sequence[str]) -> Iterable[str]:
    return [head, *(f"  - {sentence}" for sentence in sentences)] if sentences else ()


def window_lines(view: PointsView) -> list[str]:
    """Return a line for each policy that ships binary logs: which times can be chosen."""
    lines = []
    for window in view.windows:
        times = "no time can be chosen yet"
        if window.since != window.until:
            since, until = (datetime.fromisoformat(t) for t in (window.since, window.until))
            times = f"any time from {moment(since)} to {moment(until)} (--at)"
        wrong = (
            "" if window.reason == Reason.WINDOW_OPEN else f"; {window.reason}: {window.message}"
        )
        lines.append(f"{window.policy}: {times}{wrong}")
    return lines


def draw_points(view: PointsView, *, folded: bool) -> RenderableType:
    """Return the table of recovery points.

    Args:
        view: the recovery points.
        folded: whether what does not fit goes on in the next line, else it is as wide as it is.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in _HEADS:
        right = head in _NUMBERS
        table.add_column(
            head, overflow="fold", no_wrap=not folded, justify="right" if right else "left"
        )
    for point in view.points:
        table.add_row(
            escape(point.name),
            escape(point.policy),
            moment(datetime.fromisoformat(point.taken)),
            age(point.age_seconds),
            size(point.bytes),
            size(point.stored_bytes),
            escape(point.position),
            escape(", ".join(point.restores) or "-"),
        )
    return table
