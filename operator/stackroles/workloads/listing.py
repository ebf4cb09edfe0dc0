"""Lists in messages for people, cut to what is read; pure."""

from collections.abc import Sequence


def list_some(items: Sequence[str], most: int, *, total: int = 0, separator: str = ", ") -> str:
    """Return the first items as text, and how many more there are.

    Args:
        items: all of them, or the first of more.
        most: how many are listed.
        total: how many there are, where `items` does not hold all.
        separator: between two items.
    """
    listed = items[:most]
    rest = max(total, len(items)) - len(listed)
    text = separator.join(listed)
    return f"{text} and {rest} more" if rest > 0 else text
