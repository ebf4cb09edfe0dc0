"""Follows a Backup or a Restore to its end: on a terminal drawn anew, else a line per change."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from stackroles.cli.ask import Unanswered
from stackroles.cli.options import console

V = TypeVar("V")

_PERIOD: Final = 1.0
_FRAMES: Final = 4.0

Show = Callable[[V, str], None]
"""Shows a view, and what hinders reading it; "" where nothing does."""


def utc_now() -> datetime:
    """Return the time now."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forms(Generic[V]):
    """How something is shown while it goes on.

    Attributes:
        draw: its table at a time.
        lines: the lines about what changed, from before and after, at a time.
    """

    draw: Callable[[V, datetime], RenderableType]
    lines: Callable[[V | None, V, datetime], list[str]]


async def follow(
    read: Callable[[V | None], Awaitable[V]],
    ended: Callable[[V], bool],
    forms: Forms[V],
    left: str,
) -> V:
    """Return something once it has ended, and show it until then.

    What cannot be read for a while is reported, and asked for again.

    Args:
        read: returns it as it is, from what it was before.
        ended: whether it has.
        forms: how it is shown.
        left: printed when the user does not want to wait any longer.

    Raises:
        CommandError: it can be read no more.
    """
    view: V | None = None
    try:
        with _shown(forms) as show:
            while True:
                trouble = ""
                try:
                    view = await read(view)
                except Unanswered as error:
                    trouble = str(error)
                show(view, trouble)
                if view is not None and not trouble and ended(view):
                    return view
                await asyncio.sleep(_PERIOD)
    except asyncio.CancelledError:
        typer.echo(left)
        raise


@contextmanager
def _shown(forms: Forms[V]) -> Iterator[Show[V | None]]:
    if not sys.stdout.isatty():
        yield _printing(forms)
        return
    now: list[tuple[V | None, str]] = [(None, "")]

    def drawn() -> RenderableType:
        view, trouble = now[0]
        shown = [] if view is None else [forms.draw(view, utc_now())]
        return Group(*shown, *([Text(trouble)] if trouble else []))

    def show(view: V | None, trouble: str) -> None:
        now[0] = (view, trouble)

    with Live(console=console(), get_renderable=drawn, refresh_per_second=_FRAMES):
        yield show


def _printing(forms: Forms[V]) -> Show[V | None]:
    last: list[tuple[V | None, str]] = [(None, "")]

    def show(view: V | None, trouble: str) -> None:
        before, reported = last[0]
        lines = [] if view is None or trouble else forms.lines(before, view, utc_now())
        if trouble and trouble != reported:
            lines.append(trouble)
        for line in lines:
            typer.echo(line)
        last[0] = (view, trouble)

    return show
