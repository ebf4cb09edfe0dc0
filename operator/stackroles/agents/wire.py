"""Messages between agents and the operator: frozen dataclasses as JSON, decoded by their types.

Both sides import the module that declares a message and this one, so that its form is written once.
Standard library only: it runs inside role pods.

Either side may be the older one during an upgrade. Keys that the reader does not know are ignored;
one that is missing is an error unless its field is OPTIONAL, as every field that comes later must
be. Nothing else is tolerated: half a message never counts for a whole one.
"""

import json
from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass
from enum import Enum, StrEnum
from functools import lru_cache
from types import NoneType
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")

_KEY: Final = "wire.key"
_OPTIONAL: Final = "wire.optional"
# Metadata of a field whose key may be missing; it then has its default.
OPTIONAL: Final[Mapping[str, Any]] = {_OPTIONAL: True}


class WireError(ValueError):
    """A text is not the message that it should be; says where, such as `position.seqno`."""


def key(name: str, *, optional: bool = False) -> Mapping[str, Any]:
    """Return metadata of a field that has another name in JSON.

    Args:
        name: the key.
        optional: whether it may be missing.
    """
    return {_KEY: name, _OPTIONAL: optional}


def dumps(message: object, **form: Any) -> str:
    """Return a message as JSON text.

    Args:
        message: an instance of a dataclass, or several as a tuple.
        form: how the text looks, as `json.dumps` takes it.
    """
    return json.dumps(encode(message), **form)


def loads(kind: type[T], text: str | bytes) -> T:
    """Return the message in a JSON text.

    Raises:
        WireError: there is none of this kind.
    """
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise WireError(f"it is not JSON: {error}") from error
    return decode(kind, data)


def encode(value: Any) -> Any:
    """Return a message, or a value of one of its fields, as JSON types."""
    if is_dataclass(value):
        return {_key_of(field): encode(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): encode(item) for name, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(encode(item) for item in value)
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def decode(kind: type[T], data: Any) -> T:
    """Return the message in JSON types.

    Raises:
        WireError: they are of another form.
    """
    message: T = _value(kind, data, "")
    return message


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _key_of(field: Field[Any]) -> str:
    return str(field.metadata.get(_KEY, field.name))


@lru_cache(maxsize=256)
def _types(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _message(kind: Any, data: Any, at: str) -> Any:
    found = _of_type(dict, data, at)
    values = {}
    for field in fields(kind):
        name = _key_of(field)
        if name in found:
            where = f"{at}.{name}" if at else name
            values[field.name] = _value(_types(kind)[field.name], found[name], where)
        elif not field.metadata.get(_OPTIONAL):
            raise WireError(f"{_place(at)} has no {name}")
    return kind(**values)


def _value(kind: Any, data: Any, at: str) -> Any:
    """Return the value of a field.

    Args:
        kind: a dataclass; a StrEnum; str, int, float or bool; tuple[kind, ...], frozenset[kind] or
            Mapping[str, kind]; or one of these or None.
        data: JSON types.
        at: where the field is.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if NoneType in arguments:
        (inner,) = (argument for argument in arguments if argument is not NoneType)
        return None if data is None else _value(inner, data, at)
    if origin is Mapping:
        items = _of_type(dict, data, at).items()
        return {name: _value(arguments[1], item, f"{at}.{name}") for name, item in items}
    if origin in (tuple, frozenset):
        listed = enumerate(_of_type(list, data, at))
        return origin(_value(arguments[0], item, f"{at}[{n}]") for n, item in listed)
    if is_dataclass(kind):
        return _message(kind, data, at)
    return _scalar(kind, data, at)


def _scalar(kind: Any, data: Any, at: str) -> Any:
    try:
        if issubclass(kind, StrEnum):
            return kind(_of_type(str, data, at))
        if kind is float and type(data) is int:
            return float(data)
    except (ValueError, OverflowError) as error:
        raise WireError(f"{_place(at)} is wrong: {str(error)[:200]}") from error
    return _of_type(kind, data, at)


def _of_type(kind: type[T], data: Any, at: str) -> T:
    """Return data if it has exactly a type: to Python True is an int."""
    if type(data) is not kind:
        raise WireError(f"{_place(at)} is of type {type(data).__name__}, not {kind.__name__}")
    return data


def _place(at: str) -> str:
    return at or "it"
