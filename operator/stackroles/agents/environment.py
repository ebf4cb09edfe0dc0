"""Settings of an agent as environment variables: frozen dataclasses of texts and numbers.

Both sides use it: the operator writes them into a container, and its program reads them.
Standard library only: it runs inside role pods.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from stackroles.agents.wire import decode, encode

T = TypeVar("T")


def to_variables(settings: object, prefix: str) -> dict[str, str]:
    """Return settings as environment variables, each named by its field.

    Args:
        settings: an instance of a dataclass whose fields are texts, enums or whole numbers.
        prefix: what the variables' names begin with.
    """
    return {_variable(prefix, name): str(value) for name, value in encode(settings).items()}


def from_variables(kind: type[T], variables: Mapping[str, str], prefix: str) -> T:
    """Return the settings in environment variables.

    Raises:
        ValueError: one is missing, or no number where it has to be.
    """
    declared: Any = kind
    found: dict[str, Any] = {}
    for each in fields(declared):
        text = variables.get(_variable(prefix, each.name))
        if text is not None:
            found[each.name] = int(text) if each.type is int else text
    return decode(kind, found)


def _variable(prefix: str, name: str) -> str:
    return f"{prefix}{name.upper()}"
