"""Tests for which a run has no time: it takes some, by its commit; docs keep the last run of each.

An area is a file of end-to-end tests beside the core, a long case one of `tests/e2e/long`.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import shell
from lab.artifacts import digest, tree
from lab.errors import LabError
from lab.paths import REPOSITORY

E2E = REPOSITORY / "tests" / "e2e"
FOLDER = E2E / "long"
CORE = ("bring_up", "guest", "backup", "recovery", "idle")
"""What every run takes; all other files beside them are areas."""
RECORD = REPOSITORY / "docs" / "long-cases.md"
PREFIX = "test_"
COLUMNS = ("case", "what it shows", "last run", "commit", "seconds", "result")
ROW = re.compile(
    r"^\| (?P<case>[a-z_]+) \|[^|]*\| (?P<day>[0-9-]+) \| (?P<commit>[0-9a-f]+\+?) "
    r"\| (?P<seconds>[0-9]+) \| (?P<result>[^|]*) \|$"
)


@dataclass(frozen=True, slots=True)
class LastRun:
    """How a case ended.

    Attributes:
        day: When, as an ISO date.
        commit: The commit it ran on, shortened; with ``+`` where the checkout had changes.
        seconds: How long it took.
        result: The counts of its tests.
    """

    day: str
    commit: str
    seconds: float
    result: str


def cases(folder: Path = FOLDER) -> dict[str, str]:
    """Return case -> the first line of its file's docstring, in alphabetical order."""
    found = {}
    for file in sorted(folder.glob(f"{PREFIX}*.py")):
        summary = ast.get_docstring(ast.parse(file.read_text())) or ""
        found[file.stem.removeprefix(PREFIX)] = summary.partition("\n")[0]
    return found


def areas(folder: Path = E2E) -> dict[str, str]:
    """Return area -> the first line of its file's docstring, in alphabetical order."""
    return {name: summary for name, summary in cases(folder).items() if name not in CORE}


def path(name: str) -> str:
    """Return the file of an area or a part of the core, relative to the repository."""
    return str((E2E / f"{PREFIX}{name}.py").relative_to(REPOSITORY))


def long_path(case: str) -> str:
    """Return the file of a long case, which may have an area's name, relative to the repository."""
    return str((FOLDER / f"{PREFIX}{case}.py").relative_to(REPOSITORY))


def chosen(commit: str, names: Sequence[str]) -> str:
    """Return the case that a commit runs: the same each time, another for another commit."""
    number = int(hashlib.sha256(commit.encode()).hexdigest(), 16)
    return sorted(names)[number % len(names)]


def chosen_areas(commit: str, seconds: Mapping[str, float], budget: float) -> tuple[str, ...]:
    """Return the areas that a commit runs: in an order of its own, as many as fit, one at least.

    Args:
        commit: The commit; the same one always takes the same areas.
        seconds: What each area needs.
        budget: What all of them together may take, in seconds.
    """
    taken: list[str] = []
    for area in sorted(
        seconds, key=lambda name: hashlib.sha256(f"{commit} {name}".encode()).digest()
    ):
        if not taken or sum(seconds[name] for name in (*taken, area)) <= budget:
            taken.append(area)
    return tuple(taken)


def last_runs(text: str) -> dict[str, LastRun]:
    """Return the last run of each long case and area in a record."""
    rows = (ROW.match(line) for line in text.splitlines())
    return {
        row["case"]: LastRun(row["day"], row["commit"], float(row["seconds"]), row["result"])
        for row in rows
        if row
    }


def left_out(taken: Collection[str], runs: Mapping[str, LastRun]) -> str:
    """Return as text what a run leaves out, with the last run of each on record; empty: nothing."""
    names = [name for name in (*areas(), *cases()) if name not in taken]
    width = max((len(name) for name in names), default=0)
    lines = [f"{name:<{width}}  {_last(runs.get(name))}" for name in names]
    return "\n".join(["left out this time, and the last run on record:", *lines] if lines else [])


def _last(run: LastRun | None) -> str:
    if run is None:
        return "none"
    return f"{run.day}  {run.commit}  {run.seconds:.0f} s  {run.result}"


def commit() -> str:
    """Return this checkout's commit; where there is no git, a hash of the operator's files."""
    try:
        return shell.output(["git", "-C", REPOSITORY, "rev-parse", "HEAD"]).strip()
    except LabError:
        return digest(tree(REPOSITORY / "operator"))


def shown_commit(apart_from: Sequence[str] = ()) -> str:
    """Return the commit as the record shows it.

    Args:
        apart_from: Paths whose changes do not count, such as a record that is being written.
    """
    paths = (".", *(f":(exclude){path}" for path in apart_from))
    changes = shell.output(["git", "-C", str(REPOSITORY), "status", "--porcelain", "--", *paths])
    return f"{commit()[:7]}{'+' if changes.strip() else ''}"


def recorded(text: str, case: str, what: str, run: LastRun) -> str:
    """Return the record with a case's row written anew, or added after the last row.

    Args:
        text: The record, Markdown with one table of COLUMNS.
        case: The case.
        what: What it shows.
        run: How it ended.

    Raises:
        LabError: The record has no such table.
    """
    row = f"| {case} | {what} | {run.day} | {run.commit} | {run.seconds:.0f} | {run.result} |"
    lines = text.splitlines()
    head = f"| {' | '.join(COLUMNS)} |"
    if head not in lines:
        raise LabError(f"{RECORD}: no table with the head {head}", remedy="restore it from git")
    last = lines.index(head) + 1
    for number in range(last + 1, len(lines)):
        found = ROW.match(lines[number])
        if not found:
            break
        last = number
        if found["case"] == case:
            lines[number] = row
            return "\n".join(lines) + "\n"
    lines.insert(last + 1, row)
    return "\n".join(lines) + "\n"
