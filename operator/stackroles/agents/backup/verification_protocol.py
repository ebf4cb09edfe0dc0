"""What a verification's Job and the operator exchange.

The operator gives VerificationSettings as environment variables (backup/protocol.py). The program
writes a ProgressLine now and then into its log, and at last its VerificationOutcome as its
termination message.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from stackroles.agents.wire import OPTIONAL


class Level(StrEnum):
    """How far a set is verified; each has its own schedule."""

    REPOSITORY = "Repository"
    DATABASE = "Database"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationSettings:
    """Which set is verified, and how.

    Attributes:
        name: the Backup that it is of.
        policy: its BackupPolicy.
        level: how far.
        percent: how much of all the repository's data is read, at level Repository.
        scratch: where the database is unpacked, an empty folder.
        defaults: the server's options file.
        socket: where the server answers; its folder takes its pid file too.
        server, backup, mbstream: the programs.
        user: the database account of the system user the program runs as.
    """

    name: str
    policy: str
    level: Level
    percent: int = field(default=0, metadata=OPTIONAL)
    scratch: str = field(default="/backup/scratch", metadata=OPTIONAL)
    defaults: str = field(default="/etc/stackroles/my.cnf", metadata=OPTIONAL)
    socket: str = field(default="/run/mysqld/mysqld.sock", metadata=OPTIONAL)
    server: str = field(default="/usr/sbin/mariadbd", metadata=OPTIONAL)
    backup: str = field(default="/usr/bin/mariadb-backup", metadata=OPTIONAL)
    mbstream: str = field(default="/usr/bin/mbstream", metadata=OPTIONAL)
    user: str = field(default="mysql", metadata=OPTIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationOutcome:
    """How a verification ended.

    Attributes:
        ok: whether the set is as it was taken, as far as the level looks.
        damaged: whether the set itself is not: it must not be restored. False of a verification
            that could not be made, which says nothing of the set.
        level: how far it went.
        set: the Backup whose set it is.
        seconds: the time it took.
        compared: tables whose rows were compared.
        skipped: tables whose rows were not, because they changed while they were copied.
        different: how many tables are not as they were recorded.
        names: the first of these, each with what differs.
        reason: what kind of failure it was, as a condition's reason; empty without one.
        message: what is wrong and what to do; of a success, what was not looked at.
    """

    ok: bool = False
    damaged: bool = False
    level: Level
    set: str
    seconds: float = 0.0
    compared: int = 0
    skipped: int = 0
    different: int = 0
    names: tuple[str, ...] = ()
    reason: str = ""
    message: str = ""


# Reasons of an outcome besides those of a set that cannot be read (reader_protocol.py) and of the
# repository (repository.py).
SET_DAMAGED = "SetDamaged"
VERIFICATION_BROKE_OFF = "VerificationBrokeOff"
