"""Times and sizes as they are shown to a person; pure."""

from datetime import datetime
from typing import Final

_UNITS: Final = ("KiB", "MiB", "GiB", "TiB", "PiB")
_AGES: Final = ((86400, "d"), (3600, "h"), (60, "min"))


def size(count: int) -> str:
    """Return a number of bytes in the unit that suits it."""
    if count < 1024:
        return f"{count} B"
    shown = float(count)
    unit = ""
    for unit in _UNITS:  # noqa: B007 - the last one is used
        shown /= 1024
        # What would be rounded to 1024.0 has the next unit.
        if shown < 1023.95:
            break
    return f"{shown:.1f} {unit}"


def age(seconds: int) -> str:
    """Return how long ago something was, in the largest unit that it fills."""
    for unit, name in _AGES:
        if seconds >= unit:
            return f"{seconds // unit} {name}"
    return f"{max(0, seconds)} s"


def moment(when: datetime) -> str:
    """Return a time as it is shown, to the second."""
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def stamp_of(when: datetime) -> str:
    """Return a time as a part of a name."""
    return f"{when:%Y%m%d-%H%M%S}"
