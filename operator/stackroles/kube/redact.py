"""Keeps the content of Secrets out of what people read."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote, quote_plus

Object = Mapping[str, Any]
Redact = Callable[[str], str]

MASK: Final = "***"
# Shorter values (a user's name, a port) are no secret, and would blank out half of a sentence.
_SHORTEST: Final = 8
_URL_PASSWORD: Final = re.compile(r"(?P<before>\w://[^\s:/@]*:)[^\s@/]+(?=@)")
# What names an object or what a program reads, whatever a password happens to be.
_IDENTIFIERS: Final = frozenset(
    {"children", "name", "type", "status", "reason", "lastTransitionTime", "service"}
)


def redactor(values: Iterable[str]) -> Redact:
    """Return a function that masks values of Secrets, and passwords in URLs, in a text.

    Args:
        values: the values; each is also found as a URL quotes it.
    """
    secrets = {form for v in values if len(v) >= _SHORTEST for form in (v, quote(v), quote_plus(v))}
    # The longest first: one value may be a part of another.
    ordered = sorted(secrets, key=len, reverse=True)

    def redact(text: str) -> str:
        for value in ordered:
            text = text.replace(value, MASK)
        return _URL_PASSWORD.sub(rf"\g<before>{MASK}", text)

    return redact


def redact_status(status: Object, redact: Redact) -> dict[str, Any]:
    """Return a status whose texts are redacted, but for identifiers."""
    return {
        key: value if key in _IDENTIFIERS else _redacted(value, redact)
        for key, value in status.items()
    }


def _redacted(value: Any, redact: Redact) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return redact_status(value, redact)
    if isinstance(value, list | tuple):
        return [_redacted(item, redact) for item in value]
    return value


def named_secrets(resource: Object) -> frozenset[str]:
    """Return the Secrets of the user's that a resource of ours names."""
    spec = resource.get("spec") or {}
    names = (
        *(spec.get("credentials") or {}).values(),
        *_of_repository(spec),
        # A Restore's own.
        *_of_repository(spec.get("recoverySet") or {}),
    )
    return frozenset(name for name in names if isinstance(name, str))


def _of_repository(named: Object) -> tuple[Any, ...]:
    """Return the Secrets beside a repository: its key, and the keys of its bucket."""
    store = (named.get("repository") or {}).get("s3") or {}
    return named.get("encryptionSecret"), store.get("credentialsSecret")
