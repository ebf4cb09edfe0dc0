"""Rendering of oslo.config files."""

from collections.abc import Mapping, Sequence

Value = str | int | bool | Sequence[str]
Options = Mapping[str, Mapping[str, Value]]

_QUOTES = ('"', "'")


def merge(*layers: Options) -> dict[str, dict[str, Value]]:
    """Return layers laid over each other, later ones winning option by option."""
    merged: dict[str, dict[str, Value]] = {}
    for layer in layers:
        for section, options in layer.items():
            merged.setdefault(section, {}).update(options)
    return merged


def render(*layers: Options) -> str:
    """Return layers as one file, sorted, so that equal content has equal text."""
    merged = merge(*layers)
    lines: list[str] = []
    for section in sorted(merged):
        lines.append(f"[{section}]")
        lines += [f"{name} = {_text(value)}" for name, value in sorted(merged[section].items())]
        lines.append("")
    return "\n".join(lines)


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _quoted(str(value) if isinstance(value, int | str) else ",".join(value))


def _quoted(text: str) -> str:
    """Return a value as its reader gives it back: it strips spaces and one pair of quotes.

    MariaDB, whose files have the same form, also takes a bare "#" for the start of a comment.
    """
    is_bare = text == text.strip() and text[:1] not in _QUOTES and "#" not in text
    return text if is_bare else f'"{text}"'
