"""How many faults in the database's decisions, put in one at a time, their tests find (mutmut)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab import shell
from lab.errors import LabError
from lab.paths import REPOSITORY

LEAST_PERCENT: Final = 85
"""Of all mutants so many are to be found."""

_FOLDER: Final = REPOSITORY / "build" / "mutants"
_WORK: Final = _FOLDER / "work"
_PACKAGE: Final = "stackroles/domains/database"
_MODULES: Final = (
    "bootstrap", "consent", "decide", "departures", "join", "members", "rolling",
)  # fmt: skip
_TESTS: Final = "tests/unit/domains/database"
# Histories and the simulator find what these do not, and take a minute for each mutant.
_FILES: Final = (
    "test_bootstrap", "test_consent", "test_decide", "test_departures", "test_join", "test_rolling",
)  # fmt: skip
# A line that is text for a person: its wording is no decision.
_TEXT: Final = r'^\s*f?"'
# How mutmut notes what became of a mutant; what it has no number for it calls suspicious.
_FOUND: Final = (1, 3, 24, -24, 36, 152, 255)


@dataclass(frozen=True, slots=True)
class Score:
    """What became of the mutants of one module.

    Attributes:
        module: the module.
        found: mutants with which a test failed, or did not end.
        total: all mutants.
        left: names of those that no test noticed.
    """

    module: str
    found: int
    total: int
    left: tuple[str, ...]


def run() -> list[Score]:
    """Make the mutants and run the decisions' tests with each; return a score a module.

    Raises:
        LabError: mutmut is not installed, or failed: without a mutant the tests do not pass.
    """
    work = _workspace(_WORK)
    # As many at a time as this process has processors: fewer under taskset.
    done = _mutmut("run", "--max-children", str(len(os.sched_getaffinity(0))))
    results = sorted((work / "mutants").rglob("*.py.meta"))
    if done.returncode or not results:
        detail = shell.tail(done.stdout + done.stderr)
        raise LabError("the mutants were not tested", remedy="make mutants", detail=detail)
    scores = [
        score(path.name.partition(".")[0], json.loads(path.read_text())["exit_code_by_key"])
        for path in results
    ]
    return [item for item in scores if item.total]


def change(name: str) -> str:
    """Return what a mutant of the last run changes: the lines without and with it."""
    return changed_lines(_mutmut("show", name).stdout)


def changed_lines(difference: str) -> str:
    """Return the lines of a unified diff that differ, without those that name its files."""
    lines = difference.splitlines()
    return "\n".join(line for line in lines if re.match(r"[-+](?!--|\+\+)", line))


def score(module: str, codes: Mapping[str, int | None]) -> Score:
    """Return the score of a module.

    Args:
        module: its name.
        codes: how the tests ended with each mutant, by its name; mutmut's numbers.
    """
    counts = Counter(code in _FOUND for code in codes.values())
    left = sorted(name for name, code in codes.items() if code not in _FOUND)
    return Score(module, counts[True], len(codes), tuple(left))


def percent(scores: Iterable[Score]) -> float:
    """Return how many of all mutants were found, in percent; 0 without any."""
    items = list(scores)
    total = sum(item.total for item in items)
    return 100 * sum(item.found for item in items) / total if total else 0.0


def table(scores: Iterable[Score]) -> str:
    """Return the scores as a table for a terminal."""
    lines = [f"{'module':<12} {'found':>6} {'mutants':>8}"]
    lines += [f"{item.module:<12} {item.found:>6} {item.total:>8}" for item in scores]
    return "\n".join(lines)


def _mutmut(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = f"{_FOLDER / 'site'}:{_WORK}"
    return subprocess.run(
        (sys.executable, "-m", "mutmut", *arguments),
        cwd=_WORK,
        env=shell.environment({"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}),
        capture_output=True,
        text=True,
        check=False,
    )


def _workspace(folder: Path) -> Path:
    """Return a folder that is laid out as mutmut expects a project."""
    shutil.rmtree(folder, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__")
    for source, target in (("operator/stackroles", "src/stackroles"), ("tests", "tests"),
                           ("lab", "lab")):  # fmt: skip
        shutil.copytree(REPOSITORY / source, folder / target, ignore=ignored)
    modules = [f"src/{_PACKAGE}/{name}.py" for name in _MODULES]
    tests = [f"{_TESTS}/{name}.py" for name in _FILES]
    # A seed: the same examples are tried with each mutant, so that two runs have one result.
    arguments = ["--import-mode=importlib", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    settings: dict[str, Iterable[str]] = {
        "source_paths": ["src"],
        "only_mutate": modules,
        "do_not_mutate_patterns": [_TEXT],
        "pytest_add_cli_args": arguments,
        "pytest_add_cli_args_test_selection": tests,
        "also_copy": ["lab"],
    }
    lines = ["[tool.mutmut]", "use_git_change_detection = false"]
    lines += [f"{name} = {json.dumps(list(values))}" for name, values in settings.items()]
    (folder / "pyproject.toml").write_text("\n".join([*lines, ""]))
    return folder
