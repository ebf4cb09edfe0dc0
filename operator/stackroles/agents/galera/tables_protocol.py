"""What a member's agent records of its tables when a copy of it is taken, as a part of the set.

The client of a copy gets a CopyBegan with it, and sends that back to ask for the Tables. A
verification compares them with what a server finds in the copy (backup/comparison.py).
"""

from dataclasses import dataclass, field

from stackroles.agents.wire import OPTIONAL

TABLES_PATH = "/tables"
TABLES_FILE = "tables.json"
# The header of the copy's answer that holds the CopyBegan.
BEGAN_HEADER = "X-Backup-Began"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyBegan:
    """What the member noted before its copy began.

    Attributes:
        epoch: its clock, seconds since 1970.
        monotonic: a clock of its node that nobody sets, seconds.
        newest: the highest id that InnoDB had given to a table.
    """

    epoch: float
    monotonic: float
    newest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRecord:
    """One table, as it was when the copy was taken.

    Attributes:
        schema: its database.
        name: its name.
        engine: its storage engine.
        definition: digest of its columns; empty where it may have changed meanwhile.
        comparable: whether it was not written from before the copy began until it was counted, so
            that the copy holds exactly these rows.
        rows: how many there were, None of one that is not comparable.
        checksum: what CHECKSUM TABLE said, None of one that is not comparable.
        reason: why it is not comparable; empty of one that is.
    """

    schema: str
    name: str
    engine: str
    definition: str
    comparable: bool
    rows: int | None = field(default=None, metadata=OPTIONAL)
    checksum: str | None = field(default=None, metadata=OPTIONAL)
    reason: str = field(default="", metadata=OPTIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """All tables but the server's own.

    Attributes:
        server: the server's version: checksums of others may differ.
        missing: why nothing was recorded; empty where it was.
        tables: by schema and name.
    """

    server: str
    missing: str = field(default="", metadata=OPTIONAL)
    tables: tuple[TableRecord, ...]
