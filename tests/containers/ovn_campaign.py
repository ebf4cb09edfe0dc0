"""Repeats the faults of an OVN database with real servers, and writes how long each took.

    eval "$(.venv/bin/python -m lab env)"
    .venv/bin/python -m tests.containers.ovn_campaign --cycles 20 --out ovn.jsonl

One line of JSON for each cycle, then a table on standard output. It goes on where the file ends.
"""

import argparse
import json
import random
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import median

from tests.support.ovn_faults import FAULTS, recover
from tests.support.ovn_members import OvnMembers, image

LIMIT = 120.0


def table(lines: Iterable[str]) -> str:
    """Return the results as a table in Markdown, by fault."""
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    for line in lines:
        result = json.loads(line)
        found[result["fault"]].append(result)
    rows = [
        "| fault | cycles | write again: median, most | all members: median, most |",
        "|---|---|---|---|",
    ]
    for fault, results in found.items():
        writes = sorted(result["write"] for result in results)
        all_back = sorted(result["members"] for result in results)
        rows.append(
            f"| {fault} | {len(results)} | {median(writes):.1f} s, {writes[-1]:.1f} s "
            f"| {median(all_back):.1f} s, {all_back[-1]:.1f} s |"
        )
    return "\n".join(rows)


def main() -> None:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    found = image()
    if not found:
        sys.exit("no container engine with the ovn image answers: make build, lab env")
    cycles = [(fault, n) for n in range(asked.cycles) for fault in FAULTS]
    done = len(asked.out.read_text().splitlines()) if asked.out.exists() else 0
    with OvnMembers("campaign-ovn", found) as members, asked.out.open("a") as out:
        members.write(LIMIT)
        members.await_members(LIMIT)
        for fault, n in cycles[done:]:
            chance = random.Random(f"{asked.seed} {fault} {n}")
            recovery = recover(members, FAULTS[fault], chance, LIMIT)
            result = {"fault": fault, "cycle": n, "write": round(recovery.write, 2),
                      "members": round(recovery.members, 2)}  # fmt: skip
            print(json.dumps(result), file=out, flush=True)
    sys.stdout.write(table(asked.out.read_text().splitlines()) + "\n")


if __name__ == "__main__":
    main()
