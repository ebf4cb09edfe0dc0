"""Runs in a pod: writes to OVN twice a second and keeps a record of what was acknowledged.

A write is acknowledged when northd has compiled it and the southbound database has the result
(ovn-nbctl --wait=sb), so each proves both databases and northd. The record on standard output is a
line of JSON each: `{"id", "sent", "at", "error"}`, the error empty for an acknowledged one.
OVN_REMOTES names the members of the northbound database.
"""

import itertools
import json
import os
import subprocess
import sys
import time

PERIOD = 0.5
# A write that takes longer is given up: it counts as not acknowledged.
ANSWER_SECONDS = 5
KEY = "stackroles-soak"


def write(number: int) -> str:
    """Write one number; return why it was not acknowledged, empty where it was."""
    done = subprocess.run(
        [
            "ovn-nbctl", f"--db={os.environ['OVN_REMOTES']}", f"--timeout={ANSWER_SECONDS}",
            "--wait=sb", "set", "nb_global", ".", f"external_ids:{KEY}-{number}=yes",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode == 0:
        return ""
    return (done.stderr.strip() or f"ended with status {done.returncode}")[-200:]


def main() -> None:
    """Write until the process is ended."""
    for number in itertools.count():
        due = time.monotonic() + PERIOD
        sent = time.time()
        error = write(number)
        line = {"id": number, "sent": sent, "at": time.time(), "error": error}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main()
