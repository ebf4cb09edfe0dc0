"""pydantic v2 models to structural OpenAPI v3 schemas, as a CustomResourceDefinition wants them.

pydantic's JSON schema (draft 2020-12) is not structural: it has `$ref`, null unions, numeric
`exclusiveMinimum`, `propertyNames`, titles. Each keyword it may emit is translated here or raises
`SchemaError`; none is dropped in silence. What the models cannot know (the names of roles) comes in
as key sets: a map marked `x-stackroles-keys: <set>` gets CEL rules on its keys.

Rules of structural schemas: the CustomResourceDefinition documentation, "Specifying a structural
schema". Every field must carry a description, since it is what `kubectl explain` shows.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import BaseModel

from stackroles.codegen.extensions import (
    EXTENSIONS,
    LIST_TYPE,
    VALIDATIONS,
    check_extensions,
    check_list,
    extensions,
)
from stackroles.codegen.keys import KeySet, check_names, key_limit
from stackroles.codegen.scalars import (
    Schema,
    SchemaError,
    any_leaf,
    number_leaf,
    open_object,
    string_leaf,
    union_leaf,
)

KEYS: Final = "x-stackroles-keys"
"""Marker of a map whose keys come from a key set."""
KEEP_DEFAULT: Final = "x-stackroles-schema-default"
"""Marker of a field whose default the API server fills in, not the operator."""

_ANNOTATIONS: Final = frozenset({"title", "description", "default", "examples", "deprecated"})
_KEYWORDS: Final[Mapping[str, frozenset[str]]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "map": frozenset(
        {"additionalProperties", "propertyNames", "patternProperties", "minProperties"}
        | {"maxProperties", KEYS}
    ),
    "array": frozenset({"items", "minItems", "maxItems", "uniqueItems"}),
    "string": frozenset({"minLength", "maxLength", "pattern", "format", "enum", "const"}),
    "integer": frozenset(
        {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
        | {"enum", "const"}
    ),
    "number": frozenset(
        {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    ),
    "boolean": frozenset(),
    "union": frozenset({"anyOf", "minLength", "maxLength", "pattern"}),
    "any": frozenset(),
}


def structural_schema(
    model: type[BaseModel],
    key_sets: Mapping[str, KeySet] | None = None,
    *,
    describe_defaults: bool = True,
) -> Schema:
    """Return the structural schema of a model: no references, deterministic order.

    Args:
        model: the model; its wire names are the schema's.
        key_sets: what `x-stackroles-keys` may name.
        describe_defaults: end descriptions with the default the operator fills in; a status has
            none that a reader could leave out.

    Raises:
        SchemaError: the model uses what a structural schema cannot say, or a field has no
            description.
    """
    raw = model.model_json_schema(by_alias=True, mode="validation")
    converter = _Converter(raw.pop("$defs", {}), key_sets or {}, describe_defaults)
    return converter.convert(raw, model.__name__, ())


class _Converter:
    """Walks one model's JSON schema; holds its definitions and the key sets."""

    def __init__(
        self,
        definitions: Mapping[str, Any],
        key_sets: Mapping[str, KeySet],
        describe_defaults: bool,
    ) -> None:
        self._definitions = definitions
        self._key_sets = key_sets
        self._describe_defaults = describe_defaults
        self._by_kind: Mapping[str, Callable[[Schema, str, tuple[str, ...]], Schema]] = {
            "object": self._object,
            "map": self._map,
            "array": self._array,
            "string": string_leaf,
            "integer": number_leaf,
            "number": number_leaf,
            "boolean": lambda _node, _path, _stack: {"type": "boolean"},
            "union": union_leaf,
            "any": any_leaf,
        }

    def convert(self, node: Schema, path: str, stack: tuple[str, ...]) -> Schema:
        """Return the structural form of one node."""
        node, stack = self._resolve(node, path, stack)
        kind = _kind(node, path)
        known = _KEYWORDS[kind] | EXTENSIONS | _ANNOTATIONS | {"type", KEEP_DEFAULT}
        if unknown := sorted(set(node) - known):
            raise SchemaError(path, f"no structural form is known for {', '.join(unknown)}")
        check_extensions(node, kind, path)
        if "propertyNames" in node:
            names, _ = self._resolve(node["propertyNames"], path, stack)
            node["propertyNames"] = check_names(names, path)
        return {
            **_described(node, describe_default=self._describe_defaults),
            **self._by_kind[kind](node, path, stack),
            **extensions(node, path, self._key_set(node, path)),
        }

    def _resolve(
        self, node: Schema, path: str, stack: tuple[str, ...]
    ) -> tuple[Schema, tuple[str, ...]]:
        """Return the node with `$ref` inlined and null unions collapsed; siblings win."""
        node = dict(node)
        while "$ref" in node or "anyOf" in node:
            if reference := node.pop("$ref", None):
                name = str(reference).removeprefix("#/$defs/")
                if name in stack:
                    raise SchemaError(path, f"{name} contains itself; a CRD cannot recurse")
                stack = (*stack, name)
                inner = self._definitions[name]
            else:
                options = [option for option in node["anyOf"] if option != {"type": "null"}]
                if len(options) == len(node["anyOf"]) or len(options) > 1:
                    node["anyOf"] = options
                    break
                del node["anyOf"]
                inner = options[0]
            rules = [*inner.get(VALIDATIONS, ()), *node.get(VALIDATIONS, ())]
            node = {**inner, **node, **({VALIDATIONS: rules} if rules else {})}
        return node, stack

    def _object(self, node: Schema, path: str, stack: tuple[str, ...]) -> Schema:
        if node.get("additionalProperties", False) is not False:
            raise SchemaError(path, "properties and additionalProperties exclude each other")
        result: Schema = {"type": "object"}
        properties = {
            name: self._property(value, f"{path}.{name}", stack)
            for name, value in node["properties"].items()
        }
        if node.get("required"):
            result["required"] = sorted(node["required"])
        if properties:
            result["properties"] = properties
        return result

    def _property(self, value: Schema, path: str, stack: tuple[str, ...]) -> Schema:
        result = self.convert(value, path, stack)
        if not result.get("description"):
            raise SchemaError(path, "has no description")
        return result

    def _map(self, node: Schema, path: str, stack: tuple[str, ...]) -> Schema:
        values = node.get("additionalProperties")
        if patterns := node.get("patternProperties"):
            if len(patterns) > 1 or values not in (None, False):
                raise SchemaError(path, "only one pattern of keys can be distinguished")
            values = next(iter(patterns.values()))
        if values is True:
            return open_object(node, path)
        if not isinstance(values, dict):
            raise SchemaError(path, "an object needs properties or a value type")
        result: Schema = {"type": "object"}
        limit = node.get("maxProperties", key_limit(node, self._key_set(node, path)))
        for keyword, value in (
            ("minProperties", node.get("minProperties")),
            ("maxProperties", limit),
        ):
            if value is not None:
                result[keyword] = value
        inner = self.convert(values, f"{path}.*", stack)
        inner.pop("description", None)
        return {**result, "additionalProperties": inner}

    def _array(self, node: Schema, path: str, stack: tuple[str, ...]) -> Schema:
        if "items" not in node:
            raise SchemaError(path, "a list needs one item type (a fixed tuple has none)")
        items = self.convert(node["items"], f"{path}[]", stack)
        items.pop("description", None)
        result: Schema = {"type": "array"}
        result.update({k: node[k] for k in ("minItems", "maxItems") if k in node})
        if node.get("uniqueItems") and node.setdefault(LIST_TYPE, "set") != "set":
            raise SchemaError(path, "a set must have x-kubernetes-list-type: set")
        check_list(node, items, path)
        return {**result, "items": items}

    def _key_set(self, node: Schema, path: str) -> KeySet | None:
        if KEYS not in node:
            return None
        try:
            return self._key_sets[node[KEYS]]
        except KeyError:
            raise SchemaError(path, f"no key set is called {node[KEYS]!r}") from None


def _kind(node: Schema, path: str) -> str:
    """Return which of the known shapes a resolved node has."""
    if "anyOf" in node:
        return "union"
    kind = node.get("type", "any")
    if kind == "object":
        return "object" if "properties" in node else "map"
    if kind not in _KEYWORDS:
        raise SchemaError(path, f"no structural form is known for type {kind!r}")
    return str(kind)


def _described(node: Schema, *, describe_default: bool) -> Schema:
    """Return description and default; a default that the operator fills in is only described."""
    text = " ".join(str(node.get("description", "")).split("\n\n", maxsplit=1)[0].split())
    default = node.get("default")
    result: Schema = {}
    if node.get(KEEP_DEFAULT):
        result["default"] = default
    elif (
        describe_default
        and isinstance(default, str | int | float)
        and default != ""
        and "efault" not in text
    ):
        shown = str(default).lower() if isinstance(default, bool) else default
        text = f"{text} Default: {shown}.".strip() if text else text
    return {**({"description": text} if text else {}), **result}
