"""What a housekeeping Job and the operator exchange.

The operator gives a HousekeepingPlan as a file. The program leaves its HousekeepingOutcome as its
termination message.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from stackroles.agents.wire import OPTIONAL

PLAN_PATH: Final = "/etc/stackroles/housekeeping.json"


class Mode(StrEnum):
    """What a run does with deleted rows."""

    REPORT = "Report"
    PURGE = "Purge"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedRows:
    """Rows that a tool counts as deleted, by the condition that it has itself.

    Attributes:
        database: where they are.
        condition: SQL of one of them. In it {before} is the time before which it was deleted,
            {day_microseconds} the beginning of that day as keystone stores it.
        tables: the tables; empty for all that have the column `deleted_at`, as narrowed below.
        prefix: of those, only tables whose name begins so.
        twin: of those, only tables beside which there is one with this before its name.
        least_days: they are kept for at least so many days, whatever the plan's age is.
        at_once: whether the tool deletes all of a table's in one transaction.
    """

    database: str
    condition: str
    tables: tuple[str, ...] = field(default=(), metadata=OPTIONAL)
    prefix: str = field(default="", metadata=OPTIONAL)
    twin: str = field(default="", metadata=OPTIONAL)
    least_days: int = field(default=0, metadata=OPTIONAL)
    at_once: bool = field(default=False, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A command that removes a batch of rows.

    Attributes:
        words: program and arguments. In them {before} is a time, {day} its day as DD-MM-YYYY,
            {days} the age and {batch} the size of a batch.
        good: exit codes of one that did its work.
        more: of these, codes that ask for another round.
        least_days: as for the rows that it removes.
    """

    words: tuple[str, ...]
    good: tuple[int, ...] = field(default=(0,), metadata=OPTIONAL)
    more: tuple[int, ...] = field(default=(), metadata=OPTIONAL)
    least_days: int = field(default=0, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class HousekeepingPlan:
    """What there is to do for one service.

    Attributes:
        url: name of the environment variable with the URL of the service's database.
        days: how long rows are kept after they were deleted.
        seconds: no round of removals begins after so long.
        batch: rows of a table that one command removes at most.
        rows: what counts as deleted.
        removals: a round of commands, in order.
    """

    url: str
    days: int
    seconds: int
    batch: int
    rows: tuple[DeletedRows, ...]
    removals: tuple[Removal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HousekeepingOutcome:
    """How a run ended.

    Attributes:
        mode: what it did.
        days: the age that it was asked for.
        ok: whether nothing failed.
        rows: how many it counted, or removed.
        left: how many of those it counted are left.
        seconds: how long it took.
        message: what failed and what to do, or which tables have most; may be empty.
    """

    mode: Mode
    days: int
    ok: bool = False
    rows: int = 0
    left: int = 0
    seconds: float = 0.0
    message: str = ""
