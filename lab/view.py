"""Phases one after the other, with a live view of what is waited for and a table at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table

Notify = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase: its name and what it does; it is given a function to say what it waits for."""

    name: str
    run: Callable[[Notify], None]


@dataclass(slots=True)
class Progress:
    """How far one phase is.

    Attributes:
        state: waiting, running, done or failed.
        saying: what the phase waits for, or what it ended with.
    """

    name: str
    state: str = "waiting"
    saying: str = ""
    started: float = 0.0
    ended: float = 0.0

    @property
    def detail(self) -> str:
        """What is shown beside it: of a phase that is done, what it waited for no longer holds."""
        return "" if self.state == "done" else self.saying

    def seconds(self, now: float) -> float:
        """Return how long the phase took, or has taken so far."""
        if self.state == "waiting":
            return 0.0
        return (self.ended or now) - self.started


@dataclass(slots=True)
class Journey:
    """A run of phases."""

    title: str
    phases: Sequence[Phase]
    console: Console
    progress: list[Progress] = field(default_factory=list)

    def run(self) -> list[Progress]:
        """Run all phases in order; the first that raises ends the run with its error."""
        self.progress = [Progress(phase.name) for phase in self.phases]
        with self._view() as changed:
            for phase, progress in zip(self.phases, self.progress, strict=True):
                self._run(phase, progress, changed)
        return self.progress

    def _run(self, phase: Phase, progress: Progress, changed: Callable[[Progress], None]) -> None:
        def notify(text: str) -> None:
            progress.saying = text
            changed(progress)

        progress.state, progress.started = "running", time.monotonic()
        changed(progress)
        try:
            phase.run(notify)
        except BaseException:
            progress.state = "failed"
            raise
        else:
            progress.state = "done"
        finally:
            progress.ended = time.monotonic()
            changed(progress)

    @contextmanager
    def _view(self) -> Iterator[Callable[[Progress], None]]:
        """Yield what to call on a change: a redraw on a terminal, a line elsewhere."""
        if not self.console.is_terminal:
            yield self._line
            return
        with Live(self, console=self.console, refresh_per_second=4) as live:
            yield lambda _: live.update(self)

    def _line(self, progress: Progress) -> None:
        spent = progress.seconds(time.monotonic())
        first = next(iter(progress.detail.splitlines()), "")
        self.console.print(
            f"{spent:7.1f} s  {progress.name}: {progress.state}{f' - {first}' if first else ''}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

    def __rich__(self) -> Table:
        """Return the view: one row a phase."""
        table = Table(title=self.title, title_justify="left", expand=True)
        for name, ratio in (("", 1), ("phase", 4), ("seconds", 2), ("waiting for", 20)):
            table.add_column(name, ratio=ratio, justify="right" if name == "seconds" else "left")
        now = time.monotonic()
        marks = {"waiting": "·", "done": "[green]✓[/]", "failed": "[red]✗[/]"}
        for progress in self.progress:
            mark = marks.get(progress.state) or Spinner("dots")
            spent = f"{progress.seconds(now):.1f}" if progress.state != "waiting" else ""
            table.add_row(mark, progress.name, spent, progress.detail)
        return table


def summary(progress: Sequence[Progress]) -> Table:
    """Return the table of phases and their seconds, with the total."""
    table = Table(title="Where the time went", title_justify="left")
    table.add_column("phase")
    table.add_column("seconds", justify="right")
    for one in progress:
        table.add_row(one.name, f"{one.seconds(one.ended):.1f}")
    total = sum(one.seconds(one.ended) for one in progress)
    table.add_row("[bold]all[/]", f"[bold]{total:.1f}[/]")
    return table
