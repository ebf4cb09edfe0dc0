"""What a Secret notes beside its values: which of them exist once, each with a digest.

A digest proves that a value is the one in use without holding it. It is keyed by a random value of
the same Secret: who sees annotations, as tools that mask a Secret's data show them, cannot try
guesses.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Note:
    """The annotation of a Secret, read.

    Attributes:
        names: values that were put into it.
        digests: of those that were proven to be in use, by name.
    """

    names: frozenset[str] = frozenset()
    digests: Mapping[str, str] = field(default_factory=dict)


def digest(key: str, name: str, value: str) -> str:
    """Return the digest of a value: 32 hexadecimal digits.

    Args:
        key: the Secret's random value.
        name: the value's name in the Secret.
        value: the value.
    """
    made = hmac.digest(key.encode(), f"{name}\0{value}".encode(), hashlib.sha256)
    return made.hex()[:_DIGITS]


def write_note(names: Iterable[str], digests: Mapping[str, str]) -> str:
    """Return the annotation, such as `broker-password=3f..,token-cache-key`."""
    known = {name: f"{name}={digests[name]}" for name in digests}
    return ",".join(known.get(name, name) for name in sorted(names))


def read_note(text: str) -> Note:
    """Return what an annotation says; an older version wrote names alone."""
    pairs = [item.partition("=") for item in text.split(",")]
    return Note(
        names=frozenset(name for name, _, _ in pairs),
        digests={name: value for name, _, value in pairs if value},
    )
