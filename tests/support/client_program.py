"""Runs in a pod: writes a row every 100 ms and keeps a record of what the database acknowledged.

Every attempt has an id of its own, so that an attempt whose answer was lost is never counted as
acknowledged. The record is a line of JSON each: `{"id", "sent", "at", "host"}` for an acknowledged
row, `{"id", "sent", "at", "error"}` for any other attempt. Times are the machine's, in seconds.
"""

import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, TextIO

PERIOD = 0.1
# An answer that takes longer is given up: its row counts as not acknowledged.
ANSWER_SECONDS = 4
RECORD = Path(os.environ.get("RECORD", "/record/rows.jsonl"))
# Of two of these programs each has ids of its own.
FIRST = int(os.environ.get("FIRST_ID", "0"))
# A connection of this age is replaced before it is used again, as oslo.db's; 0: never.
RECYCLE_SECONDS = float(os.environ.get("RECYCLE_SECONDS", "0"))


class Writer:
    """One connection at a time, made again when it fails."""

    def __init__(self, record: TextIO) -> None:
        self._record = record
        self._driver: Any = importlib.import_module("pymysql")
        self._connection: Any = None
        self._host = ""
        self._since = 0.0

    def write(self, identity: int) -> None:
        """Write one row and record what became of it."""
        sent = time.time()
        try:
            self._checked_out()
            with self._connection.cursor() as cursor:
                cursor.execute("INSERT INTO acknowledged (id) VALUES (%s)", (identity,))
        except (self._driver.MySQLError, OSError) as error:
            self._close()
            self._note(identity, sent, error=f"{type(error).__name__}: {error}")
        else:
            self._note(identity, sent, host=self._host)

    def _checked_out(self) -> None:
        """Have a connection that answers, as oslo.db has before each transaction."""
        if RECYCLE_SECONDS and time.monotonic() - self._since > RECYCLE_SECONDS:
            self._close()
        if self._connection is not None:
            try:
                self._connection.ping(reconnect=False)
            except (self._driver.MySQLError, OSError):
                self._close()
        if self._connection is None:
            self._connect()

    def _connect(self) -> None:
        self._connection = self._driver.connect(
            host=os.environ["DATABASE_HOST"],
            user=os.environ["DATABASE_USER"],
            password=os.environ["DATABASE_PASSWORD"],
            database=os.environ["DATABASE_NAME"],
            autocommit=True,
            connect_timeout=ANSWER_SECONDS,
            read_timeout=ANSWER_SECONDS,
            write_timeout=ANSWER_SECONDS,
        )
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT @@hostname")
            self._host = cursor.fetchone()[0]
        self._since = time.monotonic()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.close()
        except (self._driver.MySQLError, OSError):
            # what broke it has been recorded; there is nothing left to close
            return

    def _note(self, identity: int, sent: float, **outcome: str) -> None:
        line = {"id": identity, "sent": sent, "at": time.time(), **outcome}
        self._record.write(json.dumps(line) + "\n")
        self._record.flush()


def main() -> None:
    """Write until told to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    identity = FIRST
    with RECORD.open("a", encoding="utf-8") as record:
        writer = Writer(record)
        while True:
            due = time.monotonic() + PERIOD
            identity += 1
            writer.write(identity)
            time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main()
