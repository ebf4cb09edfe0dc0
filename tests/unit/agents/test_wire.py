"""How messages become JSON and are read again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pytest

from stackroles.agents.wire import OPTIONAL, WireError, dumps, encode, key, loads


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Leaf:
    number: int
    ratio: float = 0.0


@dataclass(frozen=True)
class Tree:
    name: str
    leaf: Leaf | None
    leaves: tuple[Leaf, ...] = ()
    words: frozenset[str] = frozenset()
    sizes: Mapping[str, int] = field(default_factory=dict)
    colour: Colour = field(default=Colour.RED, metadata=OPTIONAL)
    is_old: bool = field(default=False, metadata=key("isOld", optional=True))


WHOLE: dict[str, Any] = {"name": "oak", "leaf": None, "leaves": [], "words": [], "sizes": {}}


def test_a_message_has_its_own_keys_and_json_types() -> None:
    tree = Tree("oak", Leaf(1), (Leaf(2, 0.5),), frozenset({"b", "a"}), {"x": 1}, is_old=True)

    assert encode(tree) == {
        "name": "oak",
        "leaf": {"number": 1, "ratio": 0.0},
        "leaves": [{"number": 2, "ratio": 0.5}],
        "words": ["a", "b"],
        "sizes": {"x": 1},
        "colour": "red",
        "isOld": True,
    }
    assert loads(Tree, dumps(tree)) == tree


def test_keys_of_a_newer_writer_are_ignored_and_those_of_an_older_one_may_be_missing() -> None:
    assert loads(Tree, json.dumps({**WHOLE, "height": 9})) == Tree("oak", None)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": 1}, "name is of type int, not str"),
        ({"leaf": {}}, "leaf has no number"),
        ({"leaf": {"number": True, "ratio": 0.0}}, "leaf.number is of type bool, not int"),
        ({"leaf": {"number": 1.0, "ratio": 0.0}}, "leaf.number is of type float, not int"),
        ({"leaf": {"number": 1, "ratio": 10**400}}, "leaf.ratio is wrong"),
        ({"leaves": [{"number": 1, "ratio": 2}, []]}, r"leaves\[1\] is of type list, not dict"),
        ({"words": "a"}, "words is of type str, not list"),
        ({"sizes": {"x": "1"}}, "sizes.x is of type str, not int"),
        ({"colour": "blue"}, "colour is wrong: 'blue' is not a valid Colour"),
        ({"isOld": None}, "isOld is of type NoneType, not bool"),
    ],
)
def test_what_is_wrong_is_named(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(WireError, match=words):
        loads(Tree, json.dumps({**WHOLE, **changed}))


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "[]", "NaN", "[" * 100_000, '{"name": NaN}', b"\xff\xfe\x00", "9" * 9999],
)
def test_what_is_no_message_is_told(text: str | bytes) -> None:
    with pytest.raises(WireError):
        loads(Tree, text)
