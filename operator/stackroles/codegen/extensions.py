"""The `x-kubernetes-*` keywords: where each may stand, and with which values."""

from collections.abc import Mapping
from typing import Any, Final

from stackroles.codegen.cel import validation
from stackroles.codegen.keys import KeySet, key_rules
from stackroles.codegen.scalars import PRESERVE, Schema, SchemaError

VALIDATIONS: Final = "x-kubernetes-validations"
LIST_TYPE: Final = "x-kubernetes-list-type"
_LIST_KEYS: Final = "x-kubernetes-list-map-keys"
_MAP_TYPE: Final = "x-kubernetes-map-type"
EXTENSIONS: Final = frozenset({VALIDATIONS, PRESERVE, LIST_TYPE, _LIST_KEYS, _MAP_TYPE})

_OBJECTS: Final = ("object", "map")
_PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    LIST_TYPE: ("array",),
    _LIST_KEYS: ("array",),
    _MAP_TYPE: _OBJECTS,
    PRESERVE: (*_OBJECTS, "any"),
}
_VALUES: Final[Mapping[str, tuple[Any, ...]]] = {
    LIST_TYPE: ("atomic", "set", "map"),
    _MAP_TYPE: ("atomic", "granular"),
    PRESERVE: (True,),
}


def check_extensions(node: Schema, kind: str, path: str) -> None:
    """Require that each extension stands where the API server knows it, with a value it knows.

    Raises:
        SchemaError: one does not.
    """
    for keyword, places in _PLACES.items():
        if keyword not in node:
            continue
        if kind not in places:
            raise SchemaError(path, f"{keyword} has no meaning on a {kind}")
        known = _VALUES.get(keyword)
        if known is not None and node[keyword] not in known:
            raise SchemaError(path, f"{keyword} cannot be {node[keyword]!r}")
    if _LIST_KEYS in node and node.get(LIST_TYPE) != "map":
        raise SchemaError(path, f"{_LIST_KEYS} needs {LIST_TYPE}: map")


def extensions(node: Schema, path: str, key_set: KeySet | None) -> Schema:
    """Return the `x-kubernetes-*` part, with key rules made into CEL."""
    result = {key: node[key] for key in sorted(EXTENSIONS) if key in node}
    rules = [*key_rules(node, key_set), *result.pop(VALIDATIONS, ())]
    if rules:
        try:
            result[VALIDATIONS] = [validation(rule) for rule in rules]
        except ValueError as error:
            raise SchemaError(path, str(error)) from error
    return result


def check_list(node: Schema, items: Schema, path: str) -> None:
    """Require that a list of objects says how it merges, and that its keys are always there."""
    kind = node.get(LIST_TYPE)
    if items.get("type") == "object" and kind is None:
        raise SchemaError(path, f"a list of objects must say its {LIST_TYPE}")
    if kind == "set" and items.get("type") in ("object", "array"):
        raise SchemaError(path, f"{LIST_TYPE}: set is for plain values")
    if kind != "map":
        return
    properties = items.get("properties", {})
    for key in node.get(_LIST_KEYS) or [""]:
        if key not in properties:
            raise SchemaError(path, f"{_LIST_KEYS} names {key!r}, which its items do not have")
        if key not in items.get("required", ()) and "default" not in properties[key]:
            raise SchemaError(path, f"list key {key} must be required or have a default")


def check_transitions(schema: Schema, path: str, *, stays: bool = True) -> None:
    """Require that rules on change stand only on what is always there.

    The API server does not ask a rule that uses `oldSelf` when its field is added or removed, so
    that on an optional field it can be gone around in two steps, or in one.

    Args:
        schema: a structural schema.
        path: where it is.
        stays: whether the field can neither come nor go.

    Raises:
        SchemaError: a rule can be gone around.
    """
    if not stays and any("oldSelf" in rule["rule"] for rule in schema.get(VALIDATIONS, ())):
        raise SchemaError(path, "a rule on change must stand on a field that is always there")
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        kept = stays and (name in required or "default" in field)
        check_transitions(field, f"{path}.{name}", stays=kept)
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            check_transitions(schema[keyword], f"{path}[]", stays=False)
