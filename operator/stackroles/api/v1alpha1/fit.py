"""Holds a status to its schema: whatever was observed, the API server takes what is written."""

import math
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final

from stackroles.agents.text import shorten
from stackroles.api.v1alpha1.common import Status
from stackroles.api.v1alpha1.registry import RESOURCES

Schema = Mapping[str, Any]

_INT64: Final = 2**63 - 1
_UNFIT: Final = object()


def fit(kind: str, status: Mapping[str, Any]) -> dict[str, Any]:
    """Return a status of a kind as its schema allows it.

    Texts are shortened in the middle, lists are cut, numbers go to the nearest bound; a list's item
    or an optional field of another type is left out.

    Args:
        kind: one of our own kinds.
        status: the status in its wire form.

    Returns:
        The status in its wire form; `omitted` counts what was left out of each of its lists.
    """
    model = next(resource.status for resource in RESOURCES if resource.kind == kind)
    return _Fit(_schema(model)).status(status)


@cache
def _schema(model: type[Status]) -> Schema:
    return model.model_json_schema(by_alias=True)


class _Fit:
    """Walks one status along its schema."""

    def __init__(self, schema: Schema) -> None:
        self._root = schema
        self._definitions = schema.get("$defs", {})
        self._omitted: dict[str, int] = {}
        self._list = ""

    def status(self, status: Mapping[str, Any]) -> dict[str, Any]:
        """Return the whole status."""
        result = self._object(self._root, status, top=True)
        omitted = {**(result.get("omitted") or {}), **self._omitted}
        return {**result, **({"omitted": omitted} if omitted else {})}

    def _value(self, node: Schema, value: Any) -> Any:  # noqa: PLR0911 - one for each type
        node = self._resolved(node)
        if "enum" in node or "const" in node:
            return value if value in node.get("enum", [node.get("const")]) else _UNFIT
        match node.get("type"):
            case "object":
                return self._object(node, value) if isinstance(value, Mapping) else _UNFIT
            case "array":
                return self._array(node, value) if isinstance(value, list | tuple) else _UNFIT
            case "string":
                return _text(node, value) if isinstance(value, str) else _UNFIT
            case "boolean":
                return value if isinstance(value, bool) else _UNFIT
            case "integer" | "number" as kind:
                return _number(node, kind, value)
            case _:
                return value

    def _resolved(self, node: Schema) -> Schema:
        while "$ref" in node or "anyOf" in node:
            siblings = {k: v for k, v in node.items() if k not in ("$ref", "anyOf")}
            if "$ref" in node:
                inner = self._definitions[node["$ref"].removeprefix("#/$defs/")]
            else:
                inner = next(option for option in node["anyOf"] if option != {"type": "null"})
            node = {**inner, **siblings}
        return node

    def _object(self, node: Schema, value: Mapping[str, Any], *, top: bool = False) -> Any:
        if "properties" not in node:
            items = list(value.items())[: node.get("maxProperties")]
            fitted = {key: self._value(node["additionalProperties"], item) for key, item in items}
            return {key: item for key, item in fitted.items() if item is not _UNFIT}
        result: dict[str, Any] = {}
        for key, item in value.items():
            if item is None or key not in node["properties"]:
                continue
            if top:
                self._list = key
            fitted = self._value(node["properties"][key], item)
            if fitted is not _UNFIT:
                result[key] = fitted
        return _UNFIT if set(node.get("required", ())) - result.keys() else result

    def _array(self, node: Schema, value: list[Any] | tuple[Any, ...]) -> list[Any]:
        keys = node.get("x-kubernetes-list-map-keys")
        kept: list[Any] = []
        known: set[tuple[Any, ...]] = set()
        for item in value:
            fitted = self._value(node["items"], item)
            identity = tuple(fitted.get(k) for k in keys) if keys and fitted is not _UNFIT else ()
            full = len(kept) >= node.get("maxItems", math.inf)
            if fitted is _UNFIT or full or (keys and identity in known):
                self._omitted[self._list] = self._omitted.get(self._list, 0) + 1
                continue
            known.add(identity)
            kept.append(fitted)
        return kept


def _text(node: Schema, value: str) -> Any:
    if node.get("format") == "date-time":
        return value if _is_time(value) else _UNFIT
    # What JSON carries and UTF-8 does not.
    value = value.encode("utf-8", "replace").decode()
    limit = node.get("maxLength")
    return value if limit is None else shorten(value, limit)


def _is_time(value: str) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _number(node: Schema, kind: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return _UNFIT
    if kind == "integer" and not isinstance(value, int):
        return _UNFIT
    if kind == "integer":
        value = max(-_INT64, min(value, _INT64))
    return max(value, node.get("minimum", value))
