"""Runs in a pod: calls the cloud's APIs once a second and keeps a record of how they answered.

The addresses are given on standard input, `{"auth_url", "gets": {name: url}}`, so that the caller
itself asks no name server. Each round takes a token of its own, which every API has to have
confirmed by keystone. The record is a line of JSON for each call: `{"name", "at", "status",
"seconds", "body"}`, with the status 0 where no answer came.
"""

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any, TextIO

PERIOD = 1.0
RECORD = Path("/record/calls.jsonl")
# Beside this file in the pod, where it is no part of a package.
_ASK: Any = importlib.import_module("client_ask")


def note(record: TextIO, name: str, started: float, answer: dict[str, Any]) -> None:
    """Write down one call."""
    line = {
        "name": name,
        "at": started,
        "status": answer["status"],
        "seconds": round(time.time() - started, 3),
        "body": str(answer["body"])[:200] if answer["status"] != 200 else "",
    }
    record.write(json.dumps(line) + "\n")
    record.flush()


def main() -> None:
    """Call until the process is ended."""
    wanted = json.load(sys.stdin)
    login = _ASK.Login(wanted["auth_url"])
    with RECORD.open("w", encoding="utf-8") as record:
        while True:
            due = time.monotonic() + PERIOD
            started = time.time()
            answer, token = login.fresh()
            note(record, "login", started, answer)
            for name, url in wanted["gets"].items() if token else ():
                started = time.time()
                note(record, name, started, _ASK.call(url, token=token)[0])
            time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main()
