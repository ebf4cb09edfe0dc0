"""Whether a table may have changed while it was copied and counted; pure.

InnoDB keeps in memory when a table was last written (`information_schema.tables.update_time`), at
the commit and for writes that Galera applies too. What a table held when it was counted is what the
copy holds if it was not written from before the copy began until after the count. Wherever that is
not certain the answer is that it may have changed: a record that is wrong would condemn a good set.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stackroles.agents.galera.tables_protocol import CopyBegan

Table = tuple[str, str]
"""A schema and the name of a table in it."""
# Reading a table costs the member its disk: of larger ones only the definition is recorded.
LIMIT_BYTES = 256 << 20
# Times are in whole seconds, and a commit's may be read from a clock that is a tick behind.
_MARGIN = 2.0
# The two clocks are read one after the other.
_CLOCK_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenTable:
    """What information_schema shows of a table.

    Attributes:
        engine: its storage engine.
        bytes: size of its rows.
        created: when it was created or altered, seconds since 1970; None where that is not known.
        updated: when it was last written; None where the server does not know of a write.
    """

    engine: str
    bytes: int
    created: int | None
    updated: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a server showed at one moment.

    Attributes:
        epoch: the clock, seconds since 1970.
        monotonic: a clock that nobody sets, seconds.
        started: when the server was started, seconds since 1970.
        forgets: whether InnoDB may have dropped a table from its memory, and with it when it was
            written: it does so once it has more tables than table_definition_cache.
        rebuilt: tables that got a new id since the copy began: created, truncated, or altered.
        tables: all but the server's own.
    """

    epoch: float
    monotonic: float
    started: float
    forgets: bool
    rebuilt: frozenset[Table] = field(default_factory=frozenset)
    tables: Mapping[Table, SeenTable]


def definition_doubt(table: Table, began: CopyBegan, looks: tuple[Look, ...]) -> str:
    """Return why a table's definition may differ from the copy's; "" where it does not."""
    for look in looks:
        drift = (look.epoch - began.epoch) - (look.monotonic - began.monotonic)
        if abs(drift) > _CLOCK_SECONDS:
            return "the member's clock was set"
        seen = look.tables.get(table)
        if seen is None:
            return "it was dropped or created meanwhile"
        if seen.created is None:
            return "the server does not know when it was created"
        if table in look.rebuilt or _since(seen.created, began):
            return "it was created, altered or emptied meanwhile"
    return ""


def content_doubt(table: Table, began: CopyBegan, looks: tuple[Look, ...]) -> str:
    """Return why a table's rows may differ from the copy's, or were not to be read; else ""."""
    if doubt := definition_doubt(table, began, looks):
        return doubt
    doubts = (_content_doubt(look.tables[table], began, look) for look in looks)
    return next((doubt for doubt in doubts if doubt), "")


def _content_doubt(seen: SeenTable, began: CopyBegan, look: Look) -> str:
    if seen.engine != "InnoDB":
        return f"the engine {seen.engine} does not say when it was written"
    if seen.bytes > LIMIT_BYTES:
        return f"it is larger than {LIMIT_BYTES >> 20} MiB"
    if seen.updated is not None:
        return "it was written meanwhile" if _since(seen.updated, began) else ""
    if look.started >= began.epoch - _MARGIN:
        return "the server was started meanwhile"
    return "the server may have forgotten when it was written" if look.forgets else ""


def _since(seconds: int, began: CopyBegan) -> bool:
    return seconds >= began.epoch - _MARGIN
