"""Keys of maps: JSON schema says them by `propertyNames`, a structural schema only by CEL."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stackroles.codegen.cel import member_of
from stackroles.codegen.scalars import SchemaError


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySet:
    """The keys that a map may have, and CEL rules that need to know them.

    Attributes:
        noun: what one key is, for messages ("role").
        names: the keys allowed, in the order they are shown in.
        validations: further `x-kubernetes-validations` of the map.
    """

    noun: str
    names: tuple[str, ...]
    validations: tuple[Mapping[str, str], ...] = ()


def check_names(names: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """Return `propertyNames`, resolved, if CEL rules can say all of it.

    Raises:
        SchemaError: it has a keyword that no rule is made from.
    """
    known = {"type", "title", "description", "enum", "const", "pattern", "minLength", "maxLength"}
    if unknown := sorted(set(names) - known):
        raise SchemaError(path, f"no rule on keys is known for {', '.join(unknown)}")
    if names.get("type", "string") != "string":
        raise SchemaError(path, "keys are strings")
    return names


def key_limit(node: Mapping[str, Any], key_set: KeySet | None) -> int | None:
    """Return how many keys a map can have at most, as far as its keys are named."""
    if key_set:
        return len(key_set.names)
    names = node.get("propertyNames", {})
    if "enum" in names:
        return len(names["enum"])
    return 1 if "const" in names else None


def key_rules(node: Mapping[str, Any], key_set: KeySet | None) -> list[Mapping[str, Any]]:
    """Return the CEL rules on the keys of a map, from its JSON schema and its key set."""
    rules: list[Mapping[str, Any]] = []
    if key_set:
        known = ", ".join(key_set.names)
        message = f"unknown {key_set.noun}; known are: {known}"
        rules += [{"rule": f"self.all(k, {member_of('k', key_set.names)})", "message": message}]
        rules += key_set.validations
    names = node.get("propertyNames", {})
    if "enum" in names or "const" in names:
        allowed = tuple(names.get("enum", (names.get("const"),)))
        message = f"unknown key; known are: {', '.join(allowed)}"
        rules.append({"rule": f"self.all(k, {member_of('k', allowed)})", "message": message})
    patterns = [names["pattern"]] if "pattern" in names else []
    for pattern in [*patterns, *node.get("patternProperties", {})]:
        message = f"each key must match {pattern}"
        rules.append({"rule": f"self.all(k, k.matches({_literal(pattern)}))", "message": message})
    if "maxLength" in names:
        limit = names["maxLength"]
        message = f"each key has at most {limit} characters"
        rules.append({"rule": f"self.all(k, size(k) <= {limit})", "message": message})
    if "minLength" in names:
        limit = names["minLength"]
        message = f"each key has at least {limit} characters"
        rules.append({"rule": f"self.all(k, size(k) >= {limit})", "message": message})
    return rules


def _literal(pattern: str) -> str:
    """Return a regular expression as a raw CEL string."""
    return f"r'{pattern}'" if "'" not in pattern else f'r"{pattern}"'
