"""The cycle that is under way, kept on disk so that a killed campaign knows what it left."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.errors import LabError


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A cycle that began.

    Attributes:
        seed: the campaign's.
        cycle: number in its plan.
        group: what it is counted as.
        fault: what is done.
        victims: to whom.
        start: when the fault began, ISO 8601 in UTC.
    """

    seed: int
    cycle: int
    group: str
    fault: str
    victims: tuple[str, ...]
    start: str


def begin(file: Path, cycle: UnderWay) -> None:
    """Note a cycle before its fault is made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    written = file.with_suffix(".new")
    written.write_text(json.dumps(asdict(cycle)) + "\n")
    written.replace(file)


def end(file: Path) -> None:
    """Note that no cycle is under way."""
    file.unlink(missing_ok=True)


def under_way(file: Path) -> UnderWay | None:
    """Return the cycle that began and did not end, None where none did.

    Raises:
        LabError: the file holds something else.
    """
    if not file.is_file():
        return None
    try:
        found = json.loads(file.read_text())
        return UnderWay(**{**found, "victims": tuple(found["victims"])})
    except (ValueError, TypeError, KeyError) as error:
        raise LabError(
            f"{file} is not the state of a campaign", detail=str(error), remedy=f"remove {file}"
        ) from error
