"""The generator on models of its own: what each pydantic shape becomes, and what raises."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Optional

import pytest
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.alias_generators import to_camel

from stackroles.codegen.extensions import check_transitions
from stackroles.codegen.keys import KeySet
from stackroles.codegen.scalars import SchemaError
from stackroles.codegen.schema import structural_schema


class Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class Colour(StrEnum):
    RED = "Red"
    BLUE = "Blue"


class Item(Model):
    """An item of a list."""

    name: str = Field(max_length=63, description="Its name.")
    weight: int = Field(1, description="Its weight.")


def schema_of(annotation: Any, default: Any = ..., **field: Any) -> dict[str, Any]:
    """Return the schema of one field, made by the generator from a model around it."""
    field.setdefault("description", "A field.")
    keys = {"roles": KeySet(noun="role", names=("db", "api"))}
    model = create_model("Probe", __base__=Model, the_field=(annotation, Field(default, **field)))
    result = structural_schema(model, keys)
    return dict(result["properties"]["theField"])


def rules_of(schema: dict[str, Any]) -> list[str]:
    return [rule["rule"] for rule in schema.get("x-kubernetes-validations", [])]


@pytest.mark.parametrize(
    ("annotation", "field", "expected"),
    [
        (
            str,
            {"max_length": 5, "min_length": 1},
            {"type": "string", "minLength": 1, "maxLength": 5},
        ),
        (str, {"pattern": "^a+$"}, {"type": "string", "pattern": "^a+$"}),
        (bool, {}, {"type": "boolean"}),
        (int, {"ge": 1, "le": 9}, {"type": "integer", "minimum": 1, "maximum": 9}),
        (int, {"gt": 1, "lt": 9}, {"type": "integer", "minimum": 2, "maximum": 8}),
        (
            int,
            {"gt": 3, "ge": 5, "lt": 9, "le": 7},
            {"type": "integer", "minimum": 5, "maximum": 7},
        ),
        (
            float,
            {"gt": 3, "ge": 5, "lt": 7, "le": 9},
            {"type": "number", "minimum": 5.0, "maximum": 7.0, "exclusiveMaximum": True},
        ),
        (
            float,
            {"gt": 0, "le": 1},
            {"type": "number", "maximum": 1.0, "minimum": 0.0, "exclusiveMinimum": True},
        ),
        (Literal["x"], {}, {"type": "string", "enum": ["x"]}),
        (Literal["x", "y"], {}, {"type": "string", "enum": ["x", "y"]}),
        (Colour, {}, {"type": "string", "enum": ["Red", "Blue"]}),
        (datetime, {}, {"type": "string", "format": "date-time"}),
        (
            tuple[str, ...],
            {"max_length": 4},
            {"type": "array", "maxItems": 4, "items": {"type": "string"}},
        ),
        (
            frozenset[str],
            {"max_length": 4},
            {
                "type": "array",
                "maxItems": 4,
                "items": {"type": "string"},
                "x-kubernetes-list-type": "set",
            },
        ),
        (
            dict[str, int],
            {"max_length": 3},
            {"type": "object", "maxProperties": 3, "additionalProperties": {"type": "integer"}},
        ),
        (
            int | str,
            {},
            {
                "x-kubernetes-int-or-string": True,
                "anyOf": [{"type": "integer"}, {"type": "string"}],
            },
        ),
        (
            dict[str, Any],
            {"json_schema_extra": {"x-kubernetes-preserve-unknown-fields": True}},
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        ),
        (
            Any,
            {"json_schema_extra": {"x-kubernetes-preserve-unknown-fields": True}},
            {"x-kubernetes-preserve-unknown-fields": True},
        ),
    ],
)
def test_each_shape_has_one_structural_form(
    annotation: Any, field: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert schema_of(annotation, **field) == {"description": "A field.", **expected}


def test_optional_is_the_plain_type_and_not_required() -> None:
    model = create_model("M", __base__=Model, a=(int | None, Field(None, description="A.")))

    assert structural_schema(model) == {
        "type": "object",
        "properties": {"a": {"description": "A.", "type": "integer"}},
    }


def test_fields_without_default_are_required_by_their_wire_name() -> None:
    model = create_model("M", __base__=Model, two_words=(int, Field(description="A.")))

    assert structural_schema(model)["required"] == ["twoWords"]


def test_a_default_is_described_and_left_to_the_operator() -> None:
    assert schema_of(int, 3) == {"description": "A field. Default: 3.", "type": "integer"}
    assert schema_of(bool, False)["description"] == "A field. Default: false."


def test_a_description_that_states_the_default_is_left_alone() -> None:
    assert schema_of(int, 3, description="Three by default.")["description"] == "Three by default."


def test_a_default_marked_for_the_api_server_is_kept() -> None:
    extra: dict[str, Any] = {"x-stackroles-schema-default": True}

    assert schema_of(int, 3, json_schema_extra=extra)["default"] == 3


def test_sub_models_are_inlined_with_the_field_description_and_both_rules() -> None:
    class Sub(Model):
        """Text of the class."""

        model_config = ConfigDict(
            json_schema_extra={"x-kubernetes-validations": [{"rule": "a", "message": "of model"}]}
        )
        size: int = Field(description="Size.")

    schema = schema_of(
        Optional[Sub],  # noqa: UP045 - the old spelling must work as well
        None,
        description="Text of the field.",
        json_schema_extra={"x-kubernetes-validations": [{"rule": "b", "message": "of field"}]},
    )

    assert schema == {
        "description": "Text of the field.",
        "type": "object",
        "required": ["size"],
        "properties": {"size": {"description": "Size.", "type": "integer"}},
        "x-kubernetes-validations": [
            {"rule": "a", "message": "of model"},
            {"rule": "b", "message": "of field"},
        ],
    }


def test_named_objects_become_a_list_map() -> None:
    extra: dict[str, Any] = {
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
    }
    schema = schema_of(tuple[Item, ...], json_schema_extra=extra)

    assert schema["x-kubernetes-list-map-keys"] == ["name"]
    assert schema["items"]["required"] == ["name"]
    assert "description" not in schema["items"]


def test_role_names_become_a_rule_on_keys_and_a_bound() -> None:
    schema = schema_of(dict[str, Item], json_schema_extra={"x-stackroles-keys": "roles"})

    assert schema["maxProperties"] == 2
    assert schema["x-kubernetes-validations"] == [
        {"rule": "self.all(k, k in ['db', 'api'])", "message": "unknown role; known are: db, api"}
    ]
    assert "x-stackroles-keys" not in schema


def test_key_types_become_rules_on_keys() -> None:
    named = schema_of(dict[Literal["cpu", "memory"], str])
    assert named["maxProperties"] == 2
    assert rules_of(named) == ["self.all(k, k in ['cpu', 'memory'])"]

    bounded = schema_of(dict[Annotated[str, Field(max_length=9, min_length=1)], str])
    assert rules_of(bounded) == ["self.all(k, size(k) <= 9)", "self.all(k, size(k) >= 1)"]

    shaped = schema_of(dict[Annotated[str, Field(pattern="^[a-z]+$")], str])
    assert rules_of(shaped) == ["self.all(k, k.matches(r'^[a-z]+$'))"]
    assert shaped["additionalProperties"] == {"type": "string"}


def test_a_model_that_contains_itself_raises() -> None:
    class Tree(Model):
        left: "Tree | None" = Field(None, description="Left.")

    Tree.model_rebuild(_types_namespace={"Tree": Tree})

    with pytest.raises(SchemaError, match="contains itself"):
        structural_schema(Tree)


@pytest.mark.parametrize(
    ("annotation", "field", "message"),
    [
        (str, {"description": None}, "has no description"),
        (Any, {}, "any type"),
        (dict[str, Any], {}, "open object"),
        (tuple[int, str], {}, "prefixItems"),
        (tuple[Item, ...], {}, "x-kubernetes-list-type"),
        (int | bool, {}, "boolean and integer"),
        (timedelta, {}, "format 'duration'"),
        (str, {"json_schema_extra": {"pattern": r"^(?=a)"}}, "RE2"),
        (str, {"json_schema_extra": {"x-kubernetes-frob": 1}}, "x-kubernetes-frob"),
        (str, {"json_schema_extra": {"contentEncoding": "base64"}}, "contentEncoding"),
        (dict[str, int], {"json_schema_extra": {"x-stackroles-keys": "nobody"}}, "nobody"),
        (
            dict[Annotated[str, Field(json_schema_extra={"not": {}})], int],
            {},
            "no rule on keys.*not",
        ),
        (
            dict[Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})], int],
            {},
            "no rule on keys.*contentEncoding",
        ),
        (dict[datetime, int], {}, "no rule on keys.*format"),
        (
            tuple[int, ...],
            {"json_schema_extra": {"x-kubernetes-list-type": "banana"}},
            "cannot be 'banana'",
        ),
        (str, {"json_schema_extra": {"x-kubernetes-list-type": "map"}}, "no meaning on a string"),
        (
            str,
            {"json_schema_extra": {"x-kubernetes-preserve-unknown-fields": True}},
            "no meaning on a string",
        ),
        (
            tuple[int, ...],
            {"json_schema_extra": {"x-kubernetes-list-map-keys": ["a"]}},
            "needs x-kubernetes-list-type: map",
        ),
        (
            tuple[Item, ...],
            {"json_schema_extra": {"x-kubernetes-list-type": "set"}},
            "is for plain values",
        ),
        (
            tuple[Item, ...],
            {
                "json_schema_extra": {
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["weight"],
                }
            },
            "required or have a default",
        ),
        (
            str,
            {"json_schema_extra": {"x-kubernetes-validations": [{"rule": "true"}]}},
            "no message",
        ),
        (
            str,
            {
                "json_schema_extra": {
                    "x-kubernetes-validations": [{"rule": "true", "message": "m", "text": "x"}]
                }
            },
            "a CEL rule has no text",
        ),
    ],
)
def test_what_has_no_structural_form_raises_and_names_the_field(
    annotation: Any, field: dict[str, Any], message: str
) -> None:
    with pytest.raises((SchemaError, ValueError), match=message) as caught:
        schema_of(annotation, **field)

    if isinstance(caught.value, SchemaError):
        assert "theField" in caught.value.path


def test_keys_of_an_enumeration_become_a_rule() -> None:
    schema = schema_of(dict[Colour, int])

    assert rules_of(schema) == ["self.all(k, k in ['Red', 'Blue'])"]
    assert schema["maxProperties"] == 2


@pytest.mark.parametrize(
    ("schema", "may_be_gone_around"),
    [
        ({"required": ["a"]}, False),
        ({}, True),
        ({"required": ["b"]}, True),
    ],
)
def test_rule_on_change_must_stand_on_what_stays(
    schema: dict[str, Any], *, may_be_gone_around: bool
) -> None:
    rule = {"rule": "self == oldSelf", "message": "stays"}
    field = {"type": "string", "x-kubernetes-validations": [rule]}
    whole = {"type": "object", "properties": {"a": field}, **schema}

    if may_be_gone_around:
        with pytest.raises(SchemaError, match=r"Probe\.a: a rule on change"):
            check_transitions(whole, "Probe")
    else:
        check_transitions(whole, "Probe")


def test_open_models_raise() -> None:
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")
        a: int = Field(description="A.")

    with pytest.raises(SchemaError, match="exclude each other"):
        structural_schema(Open)


def test_closed_models_need_no_keyword() -> None:
    class Closed(BaseModel):
        model_config = ConfigDict(extra="forbid")
        a: int = Field(description="A.")

    assert structural_schema(Closed)["properties"] == {
        "a": {"description": "A.", "type": "integer"}
    }


def test_the_same_model_gives_the_same_schema() -> None:
    extra = {"x-kubernetes-list-type": "atomic"}

    assert schema_of(tuple[Item, ...], json_schema_extra=extra) == schema_of(
        tuple[Item, ...], json_schema_extra=extra
    )
