"""Runs in a pod: a steady load on the cloud's APIs, with a record of every call that failed.

Asked on standard input: `{"auth_url", "lists": [url], "plain": [url]}`. Each second it makes five
list calls, each with a token of its own, so that no cache spares the API or keystone the work, and
twenty calls without a token, all evenly spread. Every call is a connection of its own, as most
clients make it, and none is repeated. The record is a line of JSON a call: `{"url", "at",
"seconds", "status", "error"}`, with the status 0 where no answer came.
"""

import importlib
import itertools
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

LISTS, PLAIN = 5, 20
# Longer than a failover may take: what is held back and then answered has not failed.
ANSWER_SECONDS = 30.0
# A call is never late for want of a thread.
THREADS = 64
RECORD = Path("/record/load.jsonl")
# Beside this file in the pod, where it is no part of a package.
_ASK: Any = importlib.import_module("client_ask")


class Load:
    """Calls, and the record of them."""

    def __init__(self, wanted: dict[str, Any], record: TextIO) -> None:
        self._auth_url = wanted["auth_url"]
        self._login = _ASK.Login(self._auth_url, ANSWER_SECONDS)
        self._record = record
        self._lock = threading.Lock()

    def list(self, url: str) -> None:
        """List with a token that no service has seen before."""
        started = time.time()
        answer, token = self._login.fresh()
        self._note(f"{self._auth_url}/auth/tokens", started, answer)
        if token:
            started = time.time()
            self._note(url, started, _ASK.call(url, token=token, seconds=ANSWER_SECONDS)[0])

    def plain(self, url: str) -> None:
        """Ask without a token."""
        started = time.time()
        self._note(url, started, _ASK.call(url, seconds=ANSWER_SECONDS)[0])

    def _note(self, url: str, started: float, answer: dict[str, Any]) -> None:
        status = answer["status"]
        line = {
            "url": url,
            "at": started,
            "seconds": round(time.time() - started, 3),
            "status": status,
            "error": "" if 200 <= status < 400 else str(answer["body"])[:200],
        }
        with self._lock:
            self._record.write(json.dumps(line) + "\n")
            self._record.flush()


def main() -> None:
    """Call until the process is ended."""
    wanted = json.load(sys.stdin)
    with RECORD.open("w", encoding="utf-8") as record, ThreadPoolExecutor(THREADS) as pool:
        load = Load(wanted, record)
        lists, plain = itertools.cycle(wanted["lists"]), itertools.cycle(wanted["plain"])
        due = time.monotonic()
        for number in itertools.count():
            if number % ((LISTS + PLAIN) // LISTS):
                pool.submit(load.plain, next(plain))
            else:
                pool.submit(load.list, next(lists))
            due += 1 / (LISTS + PLAIN)
            time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main()
