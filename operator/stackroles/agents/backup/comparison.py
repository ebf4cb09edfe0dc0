"""Compares the tables of a restored copy with what was recorded when it was taken; pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from stackroles.agents.galera.table_changes import Table
from stackroles.agents.galera.tables_protocol import TableRecord, Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTable:
    """A table as it was found in the copy.

    Attributes:
        definition: digest of its columns.
        rows: how many it has; None where they were not counted.
        checksum: what CHECKSUM TABLE says; None where it was not asked.
    """

    definition: str
    rows: int | None = None
    checksum: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a comparison found.

    Attributes:
        compared: tables whose rows were compared.
        skipped: tables whose rows were not: those that were recorded without, and those that the
            record does not have.
        different: what differs, a sentence for each table.
    """

    compared: int
    skipped: int
    different: tuple[str, ...]


def compare(recorded: Tables, found: Mapping[Table, FoundTable], version: str) -> Comparison:
    """Return where a copy differs from its record.

    Args:
        recorded: the record.
        found: the copy's tables; those that are comparable were counted.
        version: of the server that counted them. Another one than at the capture may digest
            definitions and rows in another way, so that only the number of rows is compared.
    """
    same = series(recorded.server) == series(version)
    compared, different = 0, []
    for record in recorded.tables:
        table = found.get((record.schema, record.name))
        compared += record.comparable
        if why := _difference(record, table, same=same):
            different.append(f"{record.schema}.{record.name}: {why}")
    known = {(record.schema, record.name) for record in recorded.tables}
    skipped = len(recorded.tables) - compared + len(found.keys() - known)
    return Comparison(compared=compared, skipped=skipped, different=tuple(different))


def series(version: str) -> str:
    """Return the series of a server's version: `11.8` of `11.8.3-MariaDB-ubu2404-log`."""
    return ".".join(version.split(".")[:2])


def _difference(record: TableRecord, table: FoundTable | None, *, same: bool) -> str:
    if table is None:
        # One that may have changed meanwhile may also have been made only after the copy.
        return "it is not in the copy" if record.definition else ""
    if same and record.definition and table.definition != record.definition:
        return "its columns are not those that it had"
    if not record.comparable:
        return ""
    if table.rows != record.rows:
        return f"{table.rows} rows in the copy, {record.rows} when it was taken"
    if same and table.checksum != record.checksum:
        return f"its {record.rows} rows have another checksum than when it was taken"
    return ""
