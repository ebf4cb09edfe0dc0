"""Cases too long for every run: a run takes one, by its commit; docs keep the last run of each."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import shell
from lab.artifacts import digest, tree
from lab.errors import LabError
from lab.paths import REPOSITORY

FOLDER = REPOSITORY / "tests" / "e2e" / "long"
RECORD = REPOSITORY / "docs" / "long-cases.md"
PREFIX = "test_"
COLUMNS = ("case", "what it shows", "last run", "commit", "seconds", "result")
ROW = re.compile(r"^\| (?P<case>[a-z_]+) \|.*\|$")


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
        said = ast.get_docstring(ast.parse(file.read_text())) or ""
        found[file.stem.removeprefix(PREFIX)] = said.partition("\n")[0]
    return found


def path(case: str) -> str:
    """Return a case's file, relative to the repository."""
    return str((FOLDER / f"{PREFIX}{case}.py").relative_to(REPOSITORY))


def chosen(commit: str, names: Sequence[str]) -> str:
    """Return the case that a commit runs: the same each time, another for another commit."""
    number = int(hashlib.sha256(commit.encode()).hexdigest(), 16)
    return sorted(names)[number % len(names)]


def commit() -> str:
    """Return this checkout's commit; where there is no git, a hash of the operator's files."""
    try:
        return shell.output(["git", "-C", REPOSITORY, "rev-parse", "HEAD"]).strip()
    except LabError:
        return digest(tree(REPOSITORY / "operator"))


def shown_commit() -> str:
    """Return the commit as the record shows it."""
    changes = shell.output(["git", "-C", REPOSITORY, "status", "--porcelain"]).strip()
    return f"{commit()[:7]}{'+' if changes else ''}"


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
