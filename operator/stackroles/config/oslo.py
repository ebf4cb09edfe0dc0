"""Rendering of oslo.config files."""

from stackroles.config import layers
from stackroles.config.layers import Key, Sections, Value

_QUOTES = ('"', "'")


def spelling(section: str, name: str) -> Key:
    """Return the key of an option of oslo.config (oslo_config/cfg.py of 2025.1).

    Groups but DEFAULT are found in any case, and an option by its name and with "_" for each "-".
    """
    return layers.dashes(section if section == "DEFAULT" else section.lower(), name)


def render(*parts: Sections) -> str:
    """Return layers as one file, sorted, so that equal content has equal text.

    Groups have the case in which programs other than oslo.config look for them.
    """
    merged = layers.merge(*parts, same=spelling)
    groups: dict[str, dict[str, Value]] = {}
    for section, options in merged.items():
        groups.setdefault(spelling(section, "")[0], {}).update(options)
    lines: list[str] = []
    for group in sorted(groups):
        lines.append(f"[{group}]")
        lines += [line(name, value) for name, value in sorted(groups[group].items())]
        lines.append("")
    return "\n".join(lines)


def line(name: str, value: Value) -> str:
    """Return one option as a line; MariaDB reads files of the same form."""
    return f"{name} = {_text(value)}"


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _quoted(str(value) if isinstance(value, int | str) else ",".join(value))


def _quoted(text: str) -> str:
    """Return a value as its reader gives it back: it strips spaces and one pair of quotes.

    MariaDB also takes a bare "#" for the start of a comment.
    """
    is_bare = text == text.strip() and text[:1] not in _QUOTES and "#" not in text
    return text if is_bare else f'"{text}"'
