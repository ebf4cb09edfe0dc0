"""Corrupts a recovery set's repository in every way of tests/support/corruption.py.

    .venv/bin/python -m tests.support.corruption_campaign --out corruptions.jsonl

One line of JSON for each case, then a table on standard output. It goes on where the file ends, and
ends with 1 when a corruption was not noticed or a clean repository was complained of.
"""

import argparse
import json
import random
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.support.corruption import (
    CHECK,
    MANIFEST,
    NOTHING,
    OTHER_SET,
    PART,
    Case,
    Noticed,
    SilentlyWrongError,
    cases,
    run_case,
)
from tests.support.corruption_bed import Bed, make_bed

CLEAN = "nothing"
WRONG = "silently wrong"
_COLUMNS = (MANIFEST, PART, CHECK, OTHER_SET, NOTHING, WRONG)


def table(lines: Iterable[str]) -> str:
    """Return the results as a table in Markdown, by kind."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        result = json.loads(line)
        found[result["kind"]][result["by"]] += 1
        reasons[result["kind"]].add(result["reason"])
    rows = [
        f"| corrupted | cases | {' | '.join(_COLUMNS)} | reasons |",
        f"|---|{'---|' * len(_COLUMNS)}---|---|",
    ]
    for kind, counts in [*found.items(), ("in all", sum(found.values(), Counter()))]:
        each = " | ".join(str(counts[column] or "") for column in _COLUMNS)
        named = ", ".join(f"`{reason}`" for reason in sorted(reasons[kind]) if reason)
        rows.append(f"| {kind} | {counts.total()} | {each} | {named} |")
    return "\n".join(rows)


def failures(lines: Iterable[str]) -> list[Mapping[str, str]]:
    """Return the results that must not be: wrong bytes, a corruption unnoticed, a false alarm."""
    results = [json.loads(line) for line in lines]
    return [
        result
        for result in results
        if result["by"] == WRONG or (result["by"] == NOTHING) != (result["kind"] == CLEAN)
    ]


def every_case(each: int, clean: int) -> Iterator[Case]:
    """Yield the corruptions, then as many cases that change nothing."""
    yield from cases(each)
    for number in range(clean):
        yield Case(CLEAN, number, _leave, base=("once", "twice")[number % 2])


def _leave(bed: Bed, repository: Path, chance: random.Random) -> None:
    """Change nothing."""


def result_of(bed: Bed, case: Case, folder: Path, seed: int) -> str:
    """Return what noticed a case, as a line of JSON."""
    try:
        found = run_case(bed, case, folder, seed)
    except SilentlyWrongError as error:
        found = Noticed(WRONG, message=str(error))
    result = {"kind": case.kind, "number": case.number, "by": found.by, "reason": found.reason}
    return json.dumps({**result, "message": found.message[:300]})


def main() -> int:
    """Run the campaign; return 0 when it found what it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", type=int, default=4, help="cases of a kind, at most")
    parser.add_argument("--clean", type=int, default=50)
    parser.add_argument("--folder", type=Path, help="where repositories are; memory is fastest")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    done = len(asked.out.read_text().splitlines()) if asked.out.exists() else 0
    wanted = list(every_case(asked.each, asked.clean))
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder, asked.out.open("a") as out:
        bed = make_bed(Path(folder), asked.seed)
        for case in wanted[done:]:
            out.write(result_of(bed, case, Path(folder), asked.seed) + "\n")
            out.flush()
    lines = asked.out.read_text().splitlines()
    sys.stdout.write(table(lines) + "\n")
    wrong = failures(lines)
    for result in wrong:
        sys.stderr.write(json.dumps(result) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
