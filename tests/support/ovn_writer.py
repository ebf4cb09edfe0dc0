"""Runs in a pod: writes to OVN once a second and keeps a record of what was acknowledged.

A write is acknowledged when northd has compiled it and the southbound database has the result
(ovn-nbctl --wait=sb), so each proves both databases and northd. Each replaces the number of the one
before it and reads that first, so that the database stays small, which its clients process anew
with each change, and a number that is gone shows at the next write. The record on standard output
is a line of JSON each: `{"id", "sent", "at", "error", "found"}`, the error empty for an
acknowledged one, and `found` the number that was there before it.
OVN_REMOTES names the members of the northbound database.
"""

import itertools
import json
import os
import subprocess
import sys
import time
from typing import Any

PERIOD = 1.0
# A write that takes longer is given up: it counts as not acknowledged.
ANSWER_SECONDS = 5
KEY = "stackroles-soak"
COLUMN = f"external_ids:{KEY}"


def write(number: int) -> dict[str, Any]:
    """Write one number; return why it was not acknowledged, or what was there before it."""
    done = subprocess.run(
        [
            "ovn-nbctl", f"--db={os.environ['OVN_REMOTES']}", f"--timeout={ANSWER_SECONDS}",
            "--wait=sb", "--if-exists", "get", "nb_global", ".", COLUMN,
            "--", "set", "nb_global", ".", f"{COLUMN}={number}",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        why = done.stderr.strip() or f"ended with status {done.returncode}"
        return {"error": why[-200:]}
    found = done.stdout.strip().strip('"')
    return {"error": "", "found": int(found) if found else -1}


def main() -> None:
    """Write until the process is ended."""
    for number in itertools.count():
        due = time.monotonic() + PERIOD
        sent = time.time()
        outcome = write(number)
        line = {"id": number, "sent": sent, "at": time.time(), **outcome}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main()
