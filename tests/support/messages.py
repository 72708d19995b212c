"""Makes protobuf messages for tests: arbitrary ones from their descriptors, and changed ones by
path.

`messages(SomeRequest)` is a hypothesis strategy for any message type. It sets few fields at a time,
to values from the ends of their ranges and beyond every bound of the contract: enum numbers that
nobody knows, instants that do not exist, NaN, texts of several thousand bytes, deeply nested JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

M = TypeVar("M", bound=Message)

#: Field name → values that are tried as often as arbitrary ones, e.g. names that exist.
Hints = Mapping[str, Sequence[Any]]

# A name, perhaps with an index or a map key.
_STEP: Final = re.compile(r"(\w+)(?:\[(\d+|\".*?[^\\]\"|\"\")\])?(?:\.|$)")

_MOST_FIELDS: Final = 4
_DEEPEST: Final = 7

_INT32: Final = (-(1 << 31), (1 << 31) - 1)
_INT64: Final = (-(1 << 63), (1 << 63) - 1)
_UINT32: Final = (0, (1 << 32) - 1)
_UINT64: Final = (0, (1 << 64) - 1)


def messages(
    message: type[M], hints: Hints | None = None, *, most: int = _MOST_FIELDS
) -> st.SearchStrategy[M]:
    """Strategy for messages of a type, with at most `most` fields set in each."""
    return _Messages(hints or {}, most).of(message.DESCRIPTOR, _DEEPEST)


def changed(base: M, hints: Hints | None = None, *, most: int = 2) -> st.SearchStrategy[M]:
    """Strategy for messages that are like `base` except for a few fields, at any depth."""

    def merge(change: M) -> M:
        merged = type(base)()
        merged.CopyFrom(base)
        merged.MergeFrom(change)
        return merged

    return messages(type(base), hints, most=most).map(merge)


def put(message: Message, path: str, value: Any) -> None:
    """Sets the field at a dotted path: scalars are set, messages copied, lists and maps
    replaced."""
    *parents, name = path.split(".")
    owner: Any = message
    for parent in parents:
        owner = getattr(owner, parent)
    if isinstance(value, Message):
        getattr(owner, name).CopyFrom(value)
    elif isinstance(value, dict):
        owner.ClearField(name)
        getattr(owner, name).update(value)
    elif isinstance(value, list):
        owner.ClearField(name)
        getattr(owner, name).extend(value)
    else:
        setattr(owner, name, value)


def clear(message: Message, path: str) -> None:
    """Clears the field at a path as refusals spell it, e.g. `items[3].spec.labels["a"]`.

    Of a list or map that holds something wrong, all is cleared.
    """
    *parents, last = _STEP.findall(path)
    owner: Any = message
    for name, index in parents:
        owner = getattr(owner, name)
        owner = owner[int(index)] if index.isdigit() else owner
    if last[0] in owner.DESCRIPTOR.fields_by_name or last[0] in owner.DESCRIPTOR.oneofs_by_name:
        owner.ClearField(last[0])


class _Messages:
    """Strategies by message type, made once each."""

    def __init__(self, hints: Hints, most: int) -> None:
        self._hints = hints
        self._most = most
        self._known: dict[tuple[str, int], st.SearchStrategy[Any]] = {}

    def of(self, descriptor: Any, depth: int) -> st.SearchStrategy[Any]:
        known = self._known.get((descriptor.full_name, depth))
        if known is None:
            known = self._make(descriptor, depth)
            self._known[descriptor.full_name, depth] = known
        return known

    def _make(self, descriptor: Any, depth: int) -> st.SearchStrategy[Any]:
        message = GetMessageClass(descriptor)
        fields = {
            field.name: field for field in descriptor.fields if depth or not _is_message(field)
        }
        if not fields:
            return st.just(message())
        values = {
            name: st.deferred(_later(self._field, field, depth)) for name, field in fields.items()
        }
        chosen = st.lists(st.sampled_from(sorted(fields)), unique=True, max_size=self._most)
        return chosen.flatmap(
            lambda names: st.fixed_dictionaries({name: values[name] for name in names})
        ).map(lambda content: message(**content))

    def _field(self, field: Any, depth: int) -> st.SearchStrategy[Any]:
        if field.is_repeated:
            return self._many(field, depth)
        return self._one(field, depth)

    def _many(self, field: Any, depth: int) -> st.SearchStrategy[Any]:
        if _is_message(field) and field.message_type.GetOptions().map_entry:
            key, value = field.message_type.fields
            return st.dictionaries(
                self._one(key, depth - 1), self._one(value, depth - 1), max_size=3
            )
        few = st.lists(self._one(field, depth), max_size=4)
        if _is_message(field):
            return few
        many = st.tuples(self._one(field, depth), st.integers(60, 1_100)).map(
            lambda v: [v[0]] * v[1]
        )
        return few | few | few | many

    def _one(self, field: Any, depth: int) -> st.SearchStrategy[Any]:
        if _is_message(field):
            return self.of(field.message_type, depth - 1)
        if field.enum_type is not None:
            numbers = [value.number for value in field.enum_type.values]
            return st.sampled_from(numbers) | st.sampled_from([-1, len(numbers), *_INT32])
        arbitrary = _SCALARS[field.type]
        hints = self._hints.get(field.name)
        return st.sampled_from(list(hints)) | arbitrary if hints else arbitrary


def _later(make: Callable[..., st.SearchStrategy[Any]], *arguments: Any) -> Callable[[], Any]:
    return lambda: make(*arguments)


def _is_message(field: Any) -> bool:
    return field.message_type is not None


def _whole(ends: tuple[int, int]) -> st.SearchStrategy[int]:
    near = [n for n in (-1, 0, 1, 9, 10, 100, 1_000, 1_001, 100_001, 1_000_000_000) if n >= ends[0]]
    return st.sampled_from([*near, *ends]) | st.integers(*ends)


_NAMES: Final = st.sampled_from(
    ["", "default", "a", "A.b_c-d", "0", "-", "…", "\x00", "a" * 64, "a" * 129]
)
_LONG: Final = st.tuples(st.sampled_from("aé☃😀\x00 "), st.integers(1, 5_000)).map(
    lambda v: v[0] * v[1]
)
_TEXT: Final = _NAMES | st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | _LONG
_BYTES: Final = st.binary(max_size=40) | st.integers(0, 5_000).map(bytes)
_FLOAT: Final = st.floats()

_T = FieldDescriptor
_SCALARS: Final[dict[int, st.SearchStrategy[Any]]] = {
    _T.TYPE_BOOL: st.booleans(),
    _T.TYPE_BYTES: _BYTES,
    _T.TYPE_DOUBLE: _FLOAT,
    _T.TYPE_FLOAT: st.floats(width=32),
    _T.TYPE_STRING: _TEXT,
    **dict.fromkeys((_T.TYPE_INT32, _T.TYPE_SINT32, _T.TYPE_SFIXED32), _whole(_INT32)),
    **dict.fromkeys((_T.TYPE_INT64, _T.TYPE_SINT64, _T.TYPE_SFIXED64), _whole(_INT64)),
    **dict.fromkeys((_T.TYPE_UINT32, _T.TYPE_FIXED32), _whole(_UINT32)),
    **dict.fromkeys((_T.TYPE_UINT64, _T.TYPE_FIXED64), _whole(_UINT64)),
}
