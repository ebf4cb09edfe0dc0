"""Texts that are shortened for a message: no word is cut in two.

Standard library only: it runs inside role pods, and in the operator.
"""

import json
from typing import Final

# At a cut a word goes as a whole: half of a password would pass for none. Longer ones are no words.
_LONGEST_WORD: Final = 256


def shorten(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters; both ends stay, and no word is cut in two.

    The end of a log says most, and its beginning where it comes from.
    """
    if len(text) <= limit:
        return text
    mark = " ... "
    half = (limit - len(mark)) // 2
    if half <= 0:
        return text[:limit]
    return f"{head(text, half)}{mark}{tail(text, half)}"


def shorten_encoded(text: str, limit: int) -> str:
    """Return a text that is shortened until it takes at most `limit` bytes within JSON."""
    while (size := len(json.dumps(text, ensure_ascii=False).encode(errors="replace")) - 2) > limit:
        text = shorten(text, min(len(text) - 1, len(text) * limit // size))
    return text


def tail(text: str, limit: int) -> str:
    """Return the whole words at the end of a text, of at most `limit` characters."""
    if len(text) <= limit:
        return text
    start = len(text) - limit
    if text[start - 1].isspace():
        return text[start:]
    gap = next((i for i in range(start, start + min(limit, _LONGEST_WORD)) if text[i].isspace()), 0)
    return text[gap + 1 :] if gap else text[start + min(limit, _LONGEST_WORD) :]


def head(text: str, limit: int) -> str:
    """Return the whole words at the beginning of a text, of at most `limit` characters."""
    return tail(text[::-1], limit)[::-1]
