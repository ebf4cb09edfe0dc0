"""CustomResourceDefinitions from the kinds in `api.v1alpha1.registry`."""

from collections.abc import Mapping
from typing import Any, Final

from stackroles import constants
from stackroles.api.v1alpha1.registry import Column, ResourceDefinition
from stackroles.codegen.cel import validation
from stackroles.codegen.extensions import check_transitions
from stackroles.codegen.keys import KeySet
from stackroles.codegen.scalars import Schema
from stackroles.codegen.schema import structural_schema

MAX_BYTES: Final = 200 * 1024
"""No CRD may be larger, so that a client-side `kubectl apply` (limit 256 KiB) works."""

_API_VERSION: Final = (
    "Version of the schema, always "
    f"{constants.GROUP_VERSION}; the API server converts between versions it serves."
)
_COLUMN_TYPES: Final = frozenset({"string", "integer", "number", "boolean", "date"})


def build_crd(resource: ResourceDefinition, key_sets: Mapping[str, KeySet]) -> dict[str, Any]:
    """Return the CustomResourceDefinition of one kind.

    Raises:
        SchemaError: a model has no structural form.
        ValueError: a printer column has an unknown type.
    """
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{constants.API_GROUP}"},
        "spec": {
            "group": constants.API_GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.singular,
                "shortNames": [resource.short],
                "categories": [constants.CATEGORY],
            },
            "versions": [
                {
                    "name": constants.API_VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(column) for column in resource.columns],
                    "schema": {"openAPIV3Schema": root_schema(resource, key_sets)},
                }
            ],
        },
    }


def root_schema(resource: ResourceDefinition, key_sets: Mapping[str, KeySet]) -> Schema:
    """Return the schema of a whole object: metadata, spec and status."""
    spec = structural_schema(resource.spec, key_sets)
    rules = [*spec.pop("x-kubernetes-validations", ()), *map(validation, resource.spec_rules)]
    if rules:
        spec["x-kubernetes-validations"] = rules
    schema: Schema = {
        "description": resource.description,
        "type": "object",
        "properties": {
            "apiVersion": {"description": _API_VERSION, "type": "string"},
            "kind": {"description": f"Always {resource.kind}.", "type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": structural_schema(resource.status, key_sets, describe_defaults=False),
        },
    }
    if resource.spec_required:
        schema["required"] = ["spec"]
    check_transitions(schema, resource.kind)
    if resource.name_limit:
        schema["x-kubernetes-validations"] = [_name_rule(resource)]
    return schema


def _name_rule(resource: ResourceDefinition) -> dict[str, Any]:
    """Return the rule on names of objects whose children carry the name.

    Services want a letter first and no dot (RFC 1035), which CRDs do not ask of a name.
    """
    return validation(
        {
            "rule": f"size(self.metadata.name) <= {resource.name_limit} && "
            "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            "message": f"the name of a {resource.kind} begins with a letter, has only lower-case "
            f"letters, digits and '-', and at most {resource.name_limit} characters: "
            "Services carry it",
        }
    )


def _column(column: Column) -> dict[str, Any]:
    if column.type not in _COLUMN_TYPES:
        raise ValueError(f"printer column {column.name} has unknown type {column.type!r}")
    result: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    return {**result, "priority": column.priority} if column.priority else result
