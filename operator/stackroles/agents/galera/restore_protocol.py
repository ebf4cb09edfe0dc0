"""What a restore's Jobs and the operator exchange.

The operator gives RestoreSettings as environment variables. The program writes a ProgressLine
(backup/protocol.py) now and then into its log, and at last its RestoreOutcome as its termination
message.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from stackroles.agents.environment import from_variables, to_variables
from stackroles.agents.wire import OPTIONAL

_PREFIX = "RESTORE_"


class RestoreMode(StrEnum):
    """What becomes of a stopped member's data."""

    RESTORE = "restore"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSettings:
    """What a restore has to do with one member's volume.

    Attributes:
        id: the uid of the Restore.
        member: the name of the member's pod.
        mode: whether the copy becomes its data, or it is left empty.
        source: URL of the database's copy at the reader; empty where nothing is restored.
        token_file: the file with the token that the reader asks for.
        bytes: the copy's size.
        sha256: its checksum, hexadecimal.
        volume: where the member's volume is.
        defaults: the server's options file.
        socket: where the server answers while it is tried; its folder takes its pid file too.
        server, backup, mbstream, binlog, client: the programs.
        user: the database account of the system user the program runs as.
        until: to which time transactions are applied, seconds since 1970; 0: the copy as it is.
        history: whose transactions, by its uuid.
    """

    id: str
    member: str
    mode: RestoreMode
    source: str = field(default="", metadata=OPTIONAL)
    token_file: str = field(default="", metadata=OPTIONAL)
    bytes: int = field(default=0, metadata=OPTIONAL)
    sha256: str = field(default="", metadata=OPTIONAL)
    volume: str = field(default="/var/lib/mysql", metadata=OPTIONAL)
    defaults: str = field(default="/etc/stackroles/my.cnf", metadata=OPTIONAL)
    socket: str = field(default="/run/mysqld/mysqld.sock", metadata=OPTIONAL)
    server: str = field(default="/usr/sbin/mariadbd", metadata=OPTIONAL)
    backup: str = field(default="/usr/bin/mariadb-backup", metadata=OPTIONAL)
    mbstream: str = field(default="/usr/bin/mbstream", metadata=OPTIONAL)
    binlog: str = field(default="/usr/bin/mariadb-binlog", metadata=OPTIONAL)
    client: str = field(default="/usr/bin/mariadb", metadata=OPTIONAL)
    user: str = field(default="mysql", metadata=OPTIONAL)
    until: int = field(default=0, metadata=OPTIONAL)
    history: str = field(default="", metadata=OPTIONAL)


def to_environment(settings: RestoreSettings) -> dict[str, str]:
    """Return settings as environment variables."""
    return to_variables(settings, _PREFIX)


def from_environment(variables: Mapping[str, str]) -> RestoreSettings:
    """Return the settings in environment variables.

    Raises:
        ValueError: one is missing, or no number where it has to be.
    """
    return from_variables(RestoreSettings, variables, _PREFIX)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOutcome:
    """How a restore of one volume ended.

    Attributes:
        ok: whether the volume is as it is to be.
        message: what failed and what to do; empty without a failure.
        volume_id: the volume's id, as its member's agent reports it.
        uuid: the history that begins with the restored data; empty where nothing was restored.
        seqno: where in it the data stands, -1 where nothing was restored.
        tables: how many tables the copy holds besides the server's own.
        bytes: the copy's size.
        seconds: the time that this try took.
        transactions: how many were applied to the copy.
        last: number of the last one, or of the copy's where none was; 0 without a point in time.
        until: time of the last one, seconds since 1970; 0 where none was applied.
    """

    ok: bool = False
    message: str = ""
    volume_id: str = ""
    uuid: str = ""
    seqno: int = -1
    tables: int = 0
    bytes: int = 0
    seconds: float = 0.0
    transactions: int = 0
    last: int = 0
    until: int = 0
