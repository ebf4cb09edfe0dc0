"""Every message that agents and the operator exchange: both sides read what the other writes."""

import ast
import contextlib
import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackroles.agents import wire
from tests.support.binaries import ROOT

AGENTS = ROOT / "operator" / "stackroles" / "agents"
PROTOCOLS = [path.relative_to(AGENTS).with_suffix("") for path in AGENTS.rglob("*protocol.py")]
MODULES = sorted(".".join(path.parts) for path in PROTOCOLS)


def messages() -> Iterator[type]:
    """Yield the dataclasses that the protocol modules declare."""
    for name in MODULES:
        module = importlib.import_module(f"stackroles.agents.{name}")
        for value in vars(module).values():
            if isinstance(value, type) and is_dataclass(value):
                yield value


MESSAGES = sorted(set(messages()), key=lambda kind: (kind.__module__, kind.__name__))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Return what draws values of a field's type."""
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        drawn = {field.name: values(hints[field.name]) for field in fields(kind)}
        made: Any = kind
        return st.builds(made, **drawn)
    arguments = get_args(kind)
    if NoneType in arguments:
        return st.one_of(st.none(), *(values(a) for a in arguments if a is not NoneType))
    if get_origin(kind) is tuple:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if kind is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    return st.from_type(kind)


def places(data: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where in JSON types something may be replaced."""
    yield at
    if isinstance(data, dict | list):
        for name, item in data.items() if isinstance(data, dict) else enumerate(data):
            yield from places(item, (*at, name))


def put(data: Any, at: tuple[Any, ...], value: Any) -> Any:
    """Return JSON types with something else at a place."""
    if not at:
        return value
    changed = data.copy()
    changed[at[0]] = put(data[at[0]], at[1:], value)
    return changed


def test_the_protocols_are_found() -> None:
    assert "galera.protocol" in MODULES
    assert len(MESSAGES) > len(MODULES)


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_what_one_side_writes_the_other_reads(kind: type, data: st.DataObject) -> None:
    message = data.draw(values(kind))

    text = wire.dumps(message)
    read: object = wire.loads(kind, text)

    assert read == message
    assert wire.dumps(read) == text, "also what counts for no difference"
    newer = {**json.loads(text), "of a later version": {}}
    assert wire.loads(kind, json.dumps(newer)) == message


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_what_is_no_message_is_told_as_such(kind: type, data: st.DataObject) -> None:
    whole = wire.encode(data.draw(values(kind)))
    broken = put(whole, data.draw(st.sampled_from(list(places(whole)))), data.draw(JSON))
    cut = json.dumps(whole)[: data.draw(st.integers(0, 200))]

    for text in (json.dumps(broken), cut, data.draw(st.text())):
        with contextlib.suppress(wire.WireError):
            assert isinstance(wire.loads(kind, text), kind)


@pytest.mark.parametrize(
    "path", sorted(AGENTS.rglob("*.py")), ids=lambda path: path.relative_to(AGENTS).as_posix()
)
def test_agents_need_nothing_but_python(path: Path) -> None:
    """They run by the python3 of their image, and a protocol is imported by both sides."""
    named = {
        name
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    own = {name for name in named if name.startswith("stackroles.agents")}

    assert {name.partition(".")[0] for name in named - own} <= sys.stdlib_module_names
    if path.stem.endswith("protocol"):
        other = {name for name in own if not name.endswith("protocol")}
        assert other <= {"stackroles.agents.wire", "stackroles.agents.environment"}
