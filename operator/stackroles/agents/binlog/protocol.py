"""What the shipper of binary logs exchanges with members, with the operator and with restores.

A database member's agent answers BINLOGS_PATH with its BinlogFiles, and each file below it. The
operator gives ShipperSettings as environment variables and polls the shipper's ShipperReport. The
reader of a restore answers COVERAGE_PATH with the Coverage of a history, and TRANSACTIONS_PATH with
the transactions of an interval as one binary log.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from stackroles.agents.wire import OPTIONAL

# The member's agent; the same bearer token as for a backup.
BINLOGS_PATH = "/binlogs"
"""GET: BinlogFiles; GET /binlogs/<name>?offset=<n>&limit=<n>: bytes of a file from there on.

There are at most as many as asked for, as the file has, and as an answer may have (64 MiB).
"""

# The shipper.
PORT = 9306
REPORT_PATH = "/report"

# The reader; the same bearer token as for its parts.
COVERAGE_PATH = "/transactions/coverage"
"""GET ?history=<uuid>: Coverage."""
TRANSACTIONS_PATH = "/transactions"
"""GET ?history=<uuid>&after=<sequence number>&until=<whole seconds since 1970>: one binary log.

It has the transactions that follow `after`, up to the first one that began at `until` or later:
binary logs know times to the second.
"""

PREFIX = "binlog"
"""Where below a policy's repository the repository of its binary logs is."""
_ADDRESS = "RESTIC_REPOSITORY"

# Reasons of a ReaderProblem about transactions.
TRANSACTIONS_MISSING = "TransactionsMissing"
TRANSACTIONS_FORGED = "TransactionsForged"
TRANSACTIONS_DAMAGED = "TransactionsDamaged"


def environment_below(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which restic finds the repository of binary logs of a policy's.

    Args:
        variables: the environment in which it finds the latter.
    """
    address = variables[_ADDRESS].rstrip("/")
    return {**variables, _ADDRESS: f"{address}/{PREFIX}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BinlogFile:
    """One binary log of a member.

    Attributes:
        name: its file's name.
        size: its size in bytes.
    """

    name: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BinlogFiles:
    """What binary logs a member has.

    Attributes:
        history: the replicated history it takes part in, by its uuid (wsrep_cluster_state_uuid).
        epoch: the member's clock, seconds since 1970.
        files: oldest first.
    """

    history: str
    epoch: float
    files: tuple[BinlogFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipperSettings:
    """What is shipped.

    Attributes:
        cloud: the cloud.
        policy: the BackupPolicy.
        members: URLs of the members' agents, comma-separated, the preferred one first.
        token_file: the file with the token that members ask for.
        interval: seconds from one shipment to the next.
    """

    cloud: str
    policy: str
    members: str
    token_file: str
    interval: int = field(default=15, metadata=OPTIONAL)


class ShippingState(StrEnum):
    """Whether transactions are shipped."""

    STARTING = "Starting"
    SHIPPING = "Shipping"
    # Members, or the repository, do not answer: it goes on where it was once they do.
    WAITING = "Waiting"
    # Transactions are missing between what was shipped and what members have: only a new set
    # begins a chain again.
    GAP = "Gap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Which transactions of a history are stored.

    Attributes:
        history: its uuid; empty where nothing is stored.
        first: sequence number of the first transaction of the newest chain without a gap.
        last: sequence number of its last transaction.
        since: time of the first one, seconds since 1970.
        until: time up to which all transactions are stored, seconds since 1970.
    """

    history: str = ""
    first: int = 0
    last: int = 0
    since: float = 0.0
    until: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipperReport:
    """How the shipper is.

    Attributes:
        state: whether it ships.
        message: what it waits for, or what is wrong and what to do; empty while it ships.
        member: the member that it follows, by its host name.
        coverage: what is stored.
        lag: the longest time since the last report from a transaction to its storage, seconds.
        bytes: how many bytes of binary logs it has stored since it started.
        pieces: how many pieces the repository has.
    """

    state: ShippingState
    message: str = ""
    member: str = ""
    coverage: Coverage = field(default_factory=Coverage)
    lag: float = 0.0
    bytes: int = 0
    pieces: int = 0
