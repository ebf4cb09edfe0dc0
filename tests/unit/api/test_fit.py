"""Whatever is observed, the status is one that the API server takes."""

import json
from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from stackroles.agents.text import shorten, tail
from stackroles.api.v1alpha1.common import StatusPart
from stackroles.api.v1alpha1.fit import fit
from stackroles.api.v1alpha1.registry import RESOURCES
from stackroles.codegen.schema import structural_schema

Schema = dict[str, Any]
KINDS = {resource.kind: resource for resource in RESOURCES}
SCHEMAS = {kind: structural_schema(found.status) for kind, found in KINDS.items()}
TIMES = st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01T00:00:00", "yesterday"])
TEXTS = st.one_of(
    st.text(max_size=20),
    st.integers(1, 40_000).map(lambda n: "x" * n),
    st.integers(1, 10_000).map(lambda n: "word " * n),
    st.just("\ud800\x00"),
)
WRONG = st.one_of(
    st.none(), st.booleans(), st.just(float("nan")), st.text(max_size=3), st.just([1])
)


def values(schema: Schema) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - one for each type
    """Return values of a schema's shape that know nothing of its bounds, and some of none."""
    if "enum" in schema:
        return st.one_of(st.sampled_from(schema["enum"]), WRONG)
    match schema["type"]:
        case "object" if "properties" in schema:
            inner = {key: values(value) for key, value in schema["properties"].items()}
            return st.one_of(st.fixed_dictionaries({}, optional=inner), WRONG)
        case "object":
            return st.dictionaries(st.text(max_size=3), values(schema["additionalProperties"]))
        case "array":
            few = st.lists(values(schema["items"]), max_size=3)
            return st.one_of(few, few.flatmap(lambda items: st.just(items * 900)), WRONG)
        case "string":
            return st.one_of(TIMES if schema.get("format") else TEXTS, WRONG)
        case "integer" | "number":
            return st.one_of(st.integers(), st.floats(), st.just(10**30), WRONG)
        case _:
            return WRONG


def faults(kind: str, status: Mapping[str, Any]) -> list[str]:
    """Return what the API server would say of a status."""
    checker = jsonschema.Draft4Validator(
        SCHEMAS[kind], format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    found = [error.message[:200] for error in checker.iter_errors(status)]
    return [*found, *_server_faults(SCHEMAS[kind], status)]


def _server_faults(schema: Schema, value: Any) -> list[str]:
    """Return what JSON schema does not say: keys of lists that are maps, and Go's int64."""
    if isinstance(value, dict):
        inner = schema.get("properties", {})
        return [f for k, v in value.items() for f in _server_faults(inner.get(k, {}), v)]
    if isinstance(value, list):
        keys = schema.get("x-kubernetes-list-map-keys") or ()
        named = [tuple(item.get(k) for k in keys) for item in value] if keys else []
        twice = ["an item is there twice"] if len(set(named)) < len(named) else []
        return [*twice, *(f for v in value for f in _server_faults(schema.get("items", {}), v))]
    if isinstance(value, int) and schema.get("type") == "integer" and abs(value) >= 2**63:
        return ["an integer of more than 64 bits"]
    return []


@pytest.mark.parametrize("kind", KINDS)
def test_any_status_is_made_one_that_the_api_server_takes(kind: str) -> None:
    shape = {key: values(value) for key, value in SCHEMAS[kind]["properties"].items()}

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.fixed_dictionaries({}, optional=shape))
    def check(status: dict[str, Any]) -> None:
        fitted = fit(kind, status)
        json.dumps(fitted, allow_nan=False).encode("utf-8")
        assert not faults(kind, fitted)
        assert fit(kind, fitted) == fitted

    check()


def test_a_list_says_how_many_entries_it_left_out() -> None:
    status = fit("ComputePool", {"unhealthy": [f"node-{n}" for n in range(62)]})
    assert len(status["unhealthy"]) == 50
    assert status["omitted"] == {"unhealthy": 12}


def test_a_status_within_its_bounds_stays_as_it_is() -> None:
    status = {"observedGeneration": 3, "phases": [], "writer": "demo-mariadb-0"}
    assert fit("CloudController", status) == status


def test_a_text_is_shortened_in_its_middle_and_between_words() -> None:
    secret = "0123456789abcdef0123456789abcdef"
    for length in range(900, 1100):
        text = f"{'a' * 40} {'b' * (length - 42)} {secret} and {'c' * 200} {secret} {'d' * 830}"
        short = shorten(text, 2048)
        assert len(short) <= 2048
        assert short.startswith("aaaa")
        assert short.endswith("dddd")
        assert "456789ab" not in short.replace(secret, "")


def test_a_tail_does_not_begin_within_a_word() -> None:
    assert tail("one two three", 9) == "two three"
    assert tail("one two three", 8) == "three"
    assert tail("one two three", 99) == "one two three"
    assert len(tail("x" * 5000, 700)) < 700


@pytest.mark.parametrize("kind", KINDS)
def test_no_part_of_a_status_has_bounds_that_its_own_model_enforces(kind: str) -> None:
    seen: list[type[BaseModel]] = []

    def visit(annotation: Any) -> None:
        for argument in getattr(annotation, "__args__", ()):
            visit(argument)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            seen.append(annotation)
            for field in annotation.model_fields.values():
                visit(field.annotation)

    visit(KINDS[kind].status)
    assert [model for model in seen if not issubclass(model, StatusPart)] == []
