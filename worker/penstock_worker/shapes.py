"""JSON values to typed Python values: dataclasses, lists, dicts, unions, enums, dates.

A converter is built once for each handler. What a hint asks for and the value is not is a
`Mismatch`, which names the place.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import enum
import types
import typing
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

Convert: TypeAlias = Callable[[Any], Any]

_PARSED: Final[dict[Any, Convert]] = {
    datetime.datetime: datetime.datetime.fromisoformat,
    datetime.date: datetime.date.fromisoformat,
    datetime.time: datetime.time.fromisoformat,
    uuid.UUID: uuid.UUID,
}


_COLLECTIONS: Final[dict[Any, Any]] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    collections.abc.Sequence: list,
    collections.abc.Iterable: list,
    collections.abc.Collection: list,
    collections.abc.Set: frozenset,
}
_DATACLASSES: Final[dict[Any, Convert]] = {}


class Mismatch(Exception):
    """A value is not what the hint asks for."""

    def __init__(self, wanted: str, value: object, path: str = "") -> None:
        super().__init__(wanted, value, path)
        self.wanted, self.value, self.path = wanted, value, path

    def under(self, step: str) -> Mismatch:
        """Answers the same mismatch, seen from one level further out."""
        return Mismatch(self.wanted, self.value, f"{step}{self.path}")

    def __str__(self) -> str:
        # The type and not the value: payloads do not belong into logs.
        got = "null" if self.value is None else type(self.value).__name__
        return f"at `{self.path.lstrip('.') or 'the top'}` it wants {self.wanted}, not {got}"


def shape(hint: Any) -> Convert:
    """Answers the converter of a type hint. Raises ValueError for a hint that JSON cannot fill."""
    if hint is Any or hint is object or isinstance(hint, typing.TypeVar):
        return _anything
    if hint is None or hint is type(None):
        return _none
    origin = typing.get_origin(hint)
    if origin is not None:
        return _generic(hint, origin)
    if hint in _PARSED:
        return _parsed(hint)
    if isinstance(hint, type):
        return _class(hint)
    raise ValueError(f"a payload cannot be decoded into {hint!r}")


def _anything(value: Any) -> Any:
    return value


def _none(value: Any) -> None:
    if value is not None:
        raise Mismatch("null", value)


def _class(hint: type) -> Convert:
    if dataclasses.is_dataclass(hint):
        return _dataclass(hint)
    if issubclass(hint, enum.Enum):
        return _parsed(hint)
    if hint is float:
        return _float
    if hint in (int, str, bool, dict, list):
        return _instance(hint)
    if hint in (tuple, set, frozenset):
        return _collection(hint, shape(Any))
    if typing.is_typeddict(hint):
        return _instance(dict)
    raise ValueError(f"a payload cannot be decoded into {hint.__qualname__}")


def _instance(kind: type) -> Convert:
    def convert(value: Any) -> Any:
        # bool is an int in Python and not in JSON.
        if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
            return value
        raise Mismatch(kind.__name__, value)

    return convert


def _float(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise Mismatch("float", value)


def _parsed(kind: Any) -> Convert:
    parse = _PARSED.get(kind, kind)

    def convert(value: Any) -> Any:
        try:
            return parse(value)
        except (TypeError, ValueError) as error:
            raise Mismatch(kind.__name__, value) from error

    return convert


def _generic(hint: Any, origin: Any) -> Convert:
    arguments = typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _union(arguments)
    if origin is typing.Literal:
        return _literal(arguments)
    if origin is typing.Annotated:
        return shape(arguments[0])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(shape(arguments[1]))
    if origin is tuple and arguments[-1] is not Ellipsis:
        return _fixed([shape(argument) for argument in arguments])
    kind = _COLLECTIONS.get(origin)
    if kind is None:
        raise ValueError(f"a payload cannot be decoded into {hint!r}")
    return _collection(kind, shape(arguments[0]))


def _union(arguments: tuple[Any, ...]) -> Convert:
    converters = [shape(argument) for argument in arguments]
    wanted = " or ".join(getattr(a, "__name__", str(a)) for a in arguments)

    def convert(value: Any) -> Any:
        deepest: Mismatch | None = None
        for converter in converters:
            try:
                return converter(value)
            except Mismatch as mismatch:
                if mismatch.path and deepest is None:
                    deepest = mismatch
        raise deepest or Mismatch(wanted, value)

    return convert


def _literal(values: tuple[Any, ...]) -> Convert:
    def convert(value: Any) -> Any:
        if value in values:
            return value
        raise Mismatch("one of " + ", ".join(map(repr, values)), value)

    return convert


def _step(step: str, convert: Convert, value: Any) -> Any:
    try:
        return convert(value)
    except Mismatch as mismatch:
        raise mismatch.under(step) from None


def _mapping(convert_item: Convert) -> Convert:
    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            raise Mismatch("an object", value)
        if convert_item is _anything:
            return value
        return {key: _step(f".{key}", convert_item, item) for key, item in value.items()}

    return convert


def _collection(kind: Any, convert_item: Convert) -> Convert:
    def convert(value: Any) -> Any:
        if not isinstance(value, list):
            raise Mismatch("a list", value)
        return kind(_step(f"[{i}]", convert_item, item) for i, item in enumerate(value))

    return convert


def _fixed(converters: list[Convert]) -> Convert:
    def convert(value: Any) -> Any:
        if not isinstance(value, list) or len(value) != len(converters):
            raise Mismatch(f"a list of {len(converters)}", value)
        pairs = zip(converters, value, strict=True)
        return tuple(_step(f"[{i}]", c, item) for i, (c, item) in enumerate(pairs))

    return convert


def _dataclass(kind: Any) -> Convert:
    if kind in _DATACLASSES:  # also while it is being built: a dataclass may hold itself
        return _DATACLASSES[kind]
    fields: dict[str, Convert] = {}
    required: set[str] = set()

    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            raise Mismatch(f"an object ({kind.__name__})", value)
        _check_names(kind, value, fields.keys(), required)
        return kind(**{name: _step(f".{name}", fields[name], item) for name, item in value.items()})

    _DATACLASSES[kind] = convert
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if field.init:
            fields[field.name] = shape(hints[field.name])
            if field.default is field.default_factory is dataclasses.MISSING:
                required.add(field.name)
    return convert


def _check_names(kind: Any, value: dict[str, Any], known: Any, required: set[str]) -> None:
    missing = sorted(required - value.keys())
    if missing:
        raise Mismatch(f"the field `{missing[0]}` of {kind.__name__}", None)
    unknown = sorted(value.keys() - known)
    if unknown:
        raise Mismatch(f"no field `{unknown[0]}` ({kind.__name__} has none)", value[unknown[0]])
