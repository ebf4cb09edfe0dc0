"""Pieces of CEL rules (`x-kubernetes-validations`)."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

_KEYS: Final = frozenset(
    {"rule", "message", "messageExpression", "reason", "fieldPath", "optionalOldSelf"}
)
_REASONS: Final = frozenset(
    {"FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate"}
)


def member_of(expression: str, names: Iterable[str]) -> str:
    """Return the CEL test that an expression is one of some plain names."""
    return f"{expression} in [{', '.join(repr(name) for name in names)}]"


def validation(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return one validation rule after a check of its shape.

    Raises:
        ValueError: a key or reason is unknown, or the rule or its message is missing.
    """
    if unknown := sorted(set(rule) - _KEYS):
        raise ValueError(f"a CEL rule has no {', '.join(unknown)}")
    if not rule.get("rule"):
        raise ValueError("a CEL validation without a rule")
    if not (rule.get("message") or rule.get("messageExpression")):
        raise ValueError(f"the CEL rule {rule['rule']!r} has no message")
    if rule.get("reason", "FieldValueInvalid") not in _REASONS:
        raise ValueError(f"the CEL rule {rule['rule']!r} has an unknown reason")
    return dict(rule)
