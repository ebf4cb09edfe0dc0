"""What the slices of `make test` may take, and the table of what they took."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.paths import REPOSITORY

FILE = REPOSITORY / "lab" / "budgets.toml"
OPTIONAL = ("areas", "long")
"""Slices that run in what the others leave of a run's time."""
SHOWN_FAILURES = 12
"""A CI shows the end of a log: that many failures and the table fit into it."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of tests; a check without tests of its own (lint, types) counts as one.

    Attributes:
        passed: How many passed.
        failures: A line of each that did not: its name, and why where that is known.
        skipped: How many were skipped.
    """

    passed: int = 0
    failures: tuple[str, ...] = ()
    skipped: int = 0

    @property
    def failed(self) -> int:
        """How many did not pass."""
        return len(self.failures)

    def __add__(self, other: Tally) -> Tally:
        """Return both together."""
        return Tally(
            self.passed + other.passed,
            self.failures + other.failures,
            self.skipped + other.skipped,
        )

    def render(self) -> str:
        """Return ``N passed, N failed`` with the skipped ones where there are any."""
        text = f"{self.passed} passed, {self.failed} failed"
        return f"{text}, {self.skipped} skipped" if self.skipped else text


@dataclass(frozen=True, slots=True)
class Outcome:
    """One slice that was run, or that could not be because one it needs failed.

    Attributes:
        seconds: How long it took; None when it was not run.
        budget: How long it might take, in seconds: see `allowed`.
    """

    name: str
    seconds: float | None
    budget: float
    tally: Tally

    @property
    def over(self) -> bool:
        """Whether it took longer than it may."""
        return self.seconds is not None and self.seconds > self.budget

    @property
    def good(self) -> bool:
        """Whether it was run, in time, and nothing in it failed."""
        return self.seconds is not None and not self.over and self.tally.failed == 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may take, in seconds.

    Attributes:
        slices: Slice name -> its budget.
        total: Budget of all of them from empty caches.
        total_warm: Budget of all of them with warm caches.
        warm_build: A run whose build slice took less than this found its caches warm.
        unmeasured_area: What an area is taken to need as long as no run of it is on record.
        planned_share: The part of their slice that the areas of a run may need by the times on
            record; the rest is for slower machines.
    """

    slices: Mapping[str, float]
    total: float
    total_warm: float
    warm_build: float
    unmeasured_area: float
    planned_share: float

    @property
    def planned_areas(self) -> float:
        """What the areas of a run may need by the times on record."""
        return self.slices["areas"] * self.planned_share

    def needed(self, name: str, recorded: float) -> float:
        """Return what must be left for a step of a slice to begin, by its time on record."""
        return min(recorded / self.planned_share, self.slices[name])

    def allowed(self, name: str, outcomes: Sequence[Outcome], later: Iterable[str]) -> float:
        """Return what a slice may take of a run: all that is left but what others need.

        Args:
            name: The slice.
            outcomes: What became of those before it.
            later: Those after it that are never left out.
        """
        left = self.of(outcomes) - _taken(outcomes)
        if name in OPTIONAL:
            return min(left, self.slices[name])
        return left - sum(self.slices[other] for other in later)

    def of(self, outcomes: Sequence[Outcome]) -> float:
        """Return what all slices of a run together may take."""
        warm = any(
            item.name == "build" and (item.seconds or 0) < self.warm_build for item in outcomes
        )
        return self.total_warm if warm else self.total


def load(file: Path = FILE) -> Limits:
    """Return the budgets that a file holds in minutes.

    Raises:
        LabError: The file's slices need more than its total.
    """
    content = tomllib.loads(file.read_text())
    minutes: Mapping[str, float] = content["slices"]
    if sum(minutes.values()) > content["total"]:
        raise LabError(
            f"{file}: the slices add up to {sum(minutes.values()):g} minutes, "
            f"more than the total of {content['total']:g}",
            remedy="make a slice smaller",
        )
    return Limits(
        {name: value * 60 for name, value in minutes.items()},
        content["total"] * 60,
        content["total_warm"] * 60,
        content["warm_build"] * 60,
        content["unmeasured_area"] * 60,
        content["planned_share"],
    )


def good(outcomes: Sequence[Outcome], limit: float) -> bool:
    """Return whether every slice was good and all of them together kept within the limit."""
    return all(item.good for item in outcomes) and _taken(outcomes) <= limit


def table(outcomes: Sequence[Outcome], limit: float) -> str:
    """Return the table slice / seconds / budget / result as text.

    Args:
        outcomes: What became of each slice.
        limit: What all of them together may take, in seconds.
    """
    rows = [("slice", "seconds", "budget", "result")]
    for item in outcomes:
        seconds = "-" if item.seconds is None else f"{item.seconds:.0f}"
        rows.append((item.name, seconds, f"{item.budget:.0f}", _result(item)))
    taken = _taken(outcomes)
    over = "over its budget" if taken > limit else ""
    rows.append(("all", f"{taken:.0f}", f"{limit:.0f}", over))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip()
        for row in rows
    )


def explain(outcomes: Sequence[Outcome], limit: float) -> list[str]:
    """Return why a run was not good, in lines of a few words for the end of a log.

    Args:
        outcomes: What became of each slice.
        limit: What all of them together may take, in seconds.
    """
    lines = []
    for item in outcomes:
        lines += [f"{item.name}: {failure}" for failure in item.tally.failures]
        if item.over:
            lines.append(f"{item.name}: {item.seconds:.0f} s, over its budget of {item.budget:.0f}")
    if _taken(outcomes) > limit:
        lines.append(f"all: {_taken(outcomes):.0f} s, over the budget of {limit:.0f}")
    if len(lines) > SHOWN_FAILURES:
        rest = len(lines) - SHOWN_FAILURES
        lines = [*lines[:SHOWN_FAILURES], f"and {rest} more, see above"]
    return lines


def _taken(outcomes: Sequence[Outcome]) -> float:
    return sum(item.seconds or 0 for item in outcomes)


def _result(item: Outcome) -> str:
    if item.seconds is None:
        return "not run: a slice it needs failed"
    return f"{item.tally.render()}{', over its budget' if item.over else ''}"
