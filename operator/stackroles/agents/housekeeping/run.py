"""Counts a service's deleted rows, and has the service's own tool remove them in batches.

The main program of a housekeeping Job; standard library only. A report only counts, in a session
that can change nothing. A purge counts, has the tool remove one batch after another until nothing
is left or its time is up, and counts again: what it removed is the difference. A batch that was
begun is never cut short, since the tools commit to several databases one after the other.

The outcome, good or bad, is one line of JSON in the termination message, which the API shows to the
operator: nothing in this pod needs a credential for the Kubernetes API.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Final
from urllib.parse import unquote, urlsplit

from stackroles.agents import wire
from stackroles.agents.galera.accounts import connect
from stackroles.agents.galera.accounts_protocol import Server
from stackroles.agents.galera.mariadb import SqlError
from stackroles.agents.housekeeping.counting import Age, Counts, count
from stackroles.agents.housekeeping.protocol import (
    PLAN_PATH,
    DeletedRows,
    HousekeepingOutcome,
    HousekeepingPlan,
    Mode,
    Removal,
)
from stackroles.agents.text import shorten, shorten_encoded

# One transaction of so many rows holds up a Galera cluster for some seconds, not for minutes.
AT_ONCE: Final = 20_000
_QUERY_SECONDS: Final = 600.0
_OUTPUT: Final = 600
_MESSAGE_BYTES: Final = 1500
_NAMED: Final = 5


class RemovalFailed(Exception):  # noqa: N818 - named for what it says
    """What cannot be removed, and what to do."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What a run acts by.

    Attributes:
        count: counts rows that are deleted for so long.
        execute: runs a command; returns its exit code and its output.
        seconds: the time since the run began.
        stopped: whether the run was asked to end.
    """

    count: Callable[[Iterable[DeletedRows], Age], Counts]
    execute: Callable[[Sequence[str]], tuple[int, str]]
    seconds: Callable[[], float]
    stopped: Callable[[], bool]


def run(plan: HousekeepingPlan, mode: Mode, now: datetime, tools: Tools) -> HousekeepingOutcome:
    """Do what a plan says; what fails becomes part of the outcome.

    Args:
        plan: what there is to do.
        mode: whether rows are counted or removed.
        now: the time of the run: rows that become old enough meanwhile are of the next one.
        tools: what it acts by.
    """
    age, outcome = Age(now, plan.days, plan.batch), HousekeepingOutcome(mode=mode, days=plan.days)
    try:
        before = tools.count(plan.rows, age)
        show("deleted", before)
        total = sum(before.values())
        if mode is Mode.REPORT:
            outcome = replace(outcome, ok=True, rows=total, left=total, message=most(before))
        else:
            outcome = _purge(plan, age, before, tools, outcome)
    except (OSError, SqlError, RemovalFailed) as error:
        outcome = replace(outcome, ok=False, message=str(error))
    return replace(outcome, seconds=round(tools.seconds(), 1))


def _purge(
    plan: HousekeepingPlan, age: Age, before: Counts, tools: Tools, outcome: HousekeepingOutcome
) -> HousekeepingOutcome:
    check_transactions(plan.rows, before)
    failure, ended = "", True
    try:
        ended = _remove(plan, age, before, tools)
    except (OSError, RemovalFailed) as error:
        failure = str(error)
    after = tools.count(plan.rows, age)
    show("left", after)
    total, left = sum(before.values()), sum(after.values())
    message = failure
    if left and not failure:
        why = "the tool leaves them" if ended else "the time was up: the next run goes on"
        message = f"{left} rows are left, {most(after)}: {why}"
    return replace(outcome, ok=not failure, rows=max(0, total - left), left=left, message=message)


def _remove(plan: HousekeepingPlan, age: Age, before: Counts, tools: Tools) -> bool:
    """Remove batches until there is none left; return whether that was so before the time was up.

    Raises:
        RemovalFailed: a command failed.
    """
    done, needed = 0, rounds(before, plan.batch)
    asks = any(removal.more for removal in plan.removals)
    more = bool(before)
    while more:
        if tools.seconds() >= plan.seconds or tools.stopped():
            return False
        codes = [_execute(removal, age, tools) for removal in plan.removals]
        done += 1
        asked = any(c in r.more for r, c in zip(plan.removals, codes, strict=True))
        more = asked if asks else done < needed
    return True


def _execute(removal: Removal, age: Age, tools: Tools) -> int:
    values = age.words(removal.least_days)
    words = [word.format_map(values) for word in removal.words]
    code, output = tools.execute(words)
    if code not in (*removal.good, *removal.more):
        raise RemovalFailed(
            f"`{' '.join(words)}` ended with exit code {code}: "
            f"{shorten(output.strip(), _OUTPUT) or 'it wrote nothing'}"
        )
    return code


def rounds(counts: Counts, batch: int) -> int:
    """Return how many batches the largest table takes."""
    return -(-max(counts.values(), default=0) // batch)


def check_transactions(wanted: Iterable[DeletedRows], counts: Counts) -> None:
    """Check that nothing is removed in a transaction that would hold up the database.

    Raises:
        RemovalFailed: with what to do.
    """
    for rows in wanted:
        for name, number in counts.items():
            database, _, table = name.partition(".")
            named = table in rows.tables if rows.tables else bool(rows.prefix)
            own = database == rows.database and named and table.startswith(rows.prefix)
            if rows.at_once and own and number > AT_ONCE:
                raise RemovalFailed(
                    f"{name} has {number} rows that the service's tool deletes in one transaction, "
                    f"more than {AT_ONCE}: remove them by hand in steps, the oldest first; nothing "
                    "was removed"
                )


def most(counts: Counts) -> str:
    """Return the tables with most rows as a text, empty without any."""
    largest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{name} {number}" for name, number in largest[:_NAMED])
    return f"{named}, and others" if len(largest) > _NAMED else named


def show(what: str, counts: Counts) -> None:
    """Write the rows of all tables into the log."""
    for name, number in sorted(counts.items()):
        print(f"{what}: {name} {number}", flush=True)


def termination_message(outcome: HousekeepingOutcome) -> str:
    """Return an outcome as one line that fits a termination message."""
    message = shorten_encoded(outcome.message, _MESSAGE_BYTES)
    return wire.dumps(replace(outcome, message=message), separators=(",", ":"))


def _count(url: str) -> Callable[[Iterable[DeletedRows], Age], Counts]:
    parts = urlsplit(url)
    server = Server(host=parts.hostname or "", port=parts.port or 3306, user=parts.username or "")

    def counted(wanted: Iterable[DeletedRows], age: Age) -> Counts:
        with connect(server, unquote(parts.password or ""), _QUERY_SECONDS) as session:
            return count(session, wanted, age)

    return counted


def _execute_command(words: Sequence[str]) -> tuple[int, str]:
    print(f"$ {' '.join(words)}", flush=True)
    ended = subprocess.run(
        list(words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    output = ended.stdout.decode(errors="replace")
    print(output, end="", flush=True)
    return ended.returncode, output


class _Stop:
    """Whether this process was asked to end; a command that runs goes on to its end."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, _: int, __: FrameType | None) -> None:
        """Note a signal."""
        self.asked = True


def main(arguments: Sequence[str]) -> int:
    """Run one housekeeping; return 0 only where nothing failed.

    Args:
        arguments: the mode.
    """
    stop, began = _Stop(), time.monotonic()
    signal.signal(signal.SIGTERM, stop.ask)
    mode = Mode(arguments[0])
    path = os.environ.get("HOUSEKEEPING_PLAN", PLAN_PATH)
    plan = wire.loads(HousekeepingPlan, Path(path).read_bytes())
    tools = Tools(
        count=_count(os.environ[plan.url]),
        execute=_execute_command,
        seconds=lambda: time.monotonic() - began,
        stopped=lambda: stop.asked,
    )
    outcome = run(plan, mode, datetime.now(UTC), tools)
    message = termination_message(outcome)
    result = os.environ.get("HOUSEKEEPING_RESULT", "/dev/termination-log")
    Path(result).write_text(message, encoding="utf-8")
    print(message, flush=True)
    return 0 if outcome.ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
