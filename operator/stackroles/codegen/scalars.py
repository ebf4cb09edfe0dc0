"""Nodes without children: strings, numbers, int-or-string and what is left open."""

import math
import re
from typing import Any, Final

Schema = dict[str, Any]

PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"
# Formats that the API server itself checks (k8s.io/kube-openapi, pkg/validation/strfmt).
_FORMATS: Final = frozenset({"date", "date-time", "email", "hostname", "ipv4", "ipv6", "uuid"})
# RE2, which the API server uses, has neither lookaround nor back references.
_NOT_RE2: Final = re.compile(r"\(\?(=|!|<=|<!)|\\[1-9]|\\Z")


class SchemaError(ValueError):
    """A model cannot be expressed as a structural schema.

    Attributes:
        path: where, as field names joined by dots.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


def string_leaf(node: Schema, path: str, _stack: tuple[str, ...]) -> Schema:
    """Return a string: bounds, a pattern RE2 can evaluate, a format that is checked, choices."""
    result: Schema = {"type": "string"}
    result.update({k: node[k] for k in ("minLength", "maxLength") if k in node})
    if pattern := node.get("pattern"):
        if _NOT_RE2.search(pattern):
            raise SchemaError(path, f"the API server cannot evaluate {pattern!r} (RE2)")
        result["pattern"] = pattern
    if form := node.get("format"):
        if form not in _FORMATS:
            raise SchemaError(path, f"the API server does not check format {form!r}")
        result["format"] = form
    return {**result, **_choices(node)}


def _choices(node: Schema) -> Schema:
    if "const" in node:
        return {"enum": [node["const"]]}
    return {"enum": list(node["enum"])} if "enum" in node else {}


def number_leaf(node: Schema, _path: str, _stack: tuple[str, ...]) -> Schema:
    """Return a number; an open bound of an integer moves by one."""
    result: Schema = {"type": node["type"]}
    result.update({k: node[k] for k in ("minimum", "maximum", "multipleOf") if k in node})
    for bound, exclusive, step in (
        ("minimum", "exclusiveMinimum", 1),
        ("maximum", "exclusiveMaximum", -1),
    ):
        if exclusive not in node:
            continue
        # Of two bounds on one side the narrower one counts.
        if node["type"] == "integer":
            value = math.floor(node[exclusive]) if step > 0 else math.ceil(node[exclusive])
            result[bound] = max(step * (value + step), step * node.get(bound, value + step)) * step
        elif bound not in node or step * node[exclusive] >= step * node[bound]:
            result[bound], result[exclusive] = node[exclusive], True
    return {**result, **_choices(node)}


def union_leaf(node: Schema, path: str, _stack: tuple[str, ...]) -> Schema:
    """Return int-or-string, the only union of types a structural schema has."""
    types = sorted(str(option.get("type")) for option in node["anyOf"])
    if types != ["integer", "string"]:
        raise SchemaError(path, f"a union of {' and '.join(types)} has no structural form")
    inner: Schema = {}
    for option in node["anyOf"]:
        extra = set(option) - {"type", "minLength", "maxLength", "pattern", "title"}
        if extra:
            raise SchemaError(path, f"no place within int-or-string for {', '.join(sorted(extra))}")
        inner.update({k: v for k, v in option.items() if k not in ("type", "title")})
    inner.update({k: node[k] for k in ("minLength", "maxLength", "pattern") if k in node})
    return {
        "x-kubernetes-int-or-string": True,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        **inner,
    }


def open_object(node: Schema, path: str) -> Schema:
    """Return an object with fields of any name, which must be asked for."""
    if not node.get(PRESERVE):
        raise SchemaError(path, f"an open object must say {PRESERVE}")
    return {"type": "object"}


def any_leaf(node: Schema, path: str, _stack: tuple[str, ...]) -> Schema:
    """Return a value of any type, which must be asked for."""
    if not node.get(PRESERVE):
        raise SchemaError(path, f"a field of any type must say {PRESERVE}")
    return {}
