"""Checks of JSON values: how deep they nest, and that their numbers are numbers.

Stock protobuf parsers refuse messages nested deeper than 100. A value that just passes inside a
submit would be too deep inside a lease, and no worker could read the answer that carries it, nor
anything else in that answer. So nesting has a bound of its own that leaves room around it.
"""

import math
import re
from collections.abc import Iterable
from typing import Final

from google.protobuf.message import DecodeError, EncodeError
from google.protobuf.struct_pb2 import Struct, Value

from penstock_server.service.validate.found import Found
from penstock_server.service.validate.rules import Check

_PARSER_LEVELS: Final = 100

LEVELS: Final = 72
"""Most messages inside each other that a value may be made of. A list is two of them, an object
three."""

_TOO_DEEP: Final = (
    f"nests too deeply, allowed are {LEVELS // 3} objects or {LEVELS // 2} lists inside each other"
)

# Each level takes a tag and a length at least.
_SURELY_SHALLOW_BYTES: Final = 2 * LEVELS

# A double whose exponent bits are all ones is an infinity or not a number. On the wire a
# number_value is the tag 0x11 and eight bytes, lowest first: one pass in C clears the ordinary
# value, and only suspects are walked.
_SUSPECT: Final = re.compile(rb"\x11.{6}[\xf0-\xff][\x7f\xff]", re.DOTALL)

_TAG_LIST_VALUES: Final = 0x0A
_TAG_VALUE_STRUCT: Final = 0x2A
_TAG_VALUE_LIST: Final = 0x32


def json_value(value: Value, path: str, found: Found) -> None:
    """Takes JSON values that nest at most `LEVELS` deep and whose numbers are finite."""
    try:
        wire = value.SerializeToString()
    except EncodeError:
        found.add(path, _TOO_DEEP)
    else:
        _judge(wire, [value], path, found)


def details(most: int) -> Check:
    """Makes a check of structs of at most `most` bytes that are fine as a JSON value."""

    def check(value: Struct, path: str, found: Found) -> None:
        try:
            wire = value.SerializeToString()
        except EncodeError:
            found.add(path, _TOO_DEEP)
            return
        if len(wire) > most:
            found.add(path, f"has {len(wire)} bytes, at most {most} are allowed")
        else:
            head = bytes([_TAG_VALUE_STRUCT]) + _varint(len(wire))
            _judge(head + wire, value.fields.values(), path, found)

    return check


def _judge(wire: bytes, values: Iterable[Value], path: str, found: Found) -> None:
    """Judges a value by its wire form, and by the values that it is or holds where that is not
    enough."""
    if len(wire) > _SURELY_SHALLOW_BYTES and _is_too_deep(wire):
        found.add(path, _TOO_DEEP)
    elif _SUSPECT.search(wire) is not None and _hold_unreal_number(values):
        found.add(path, "holds NaN or an infinity, which JSON cannot say")


def _is_too_deep(wire: bytes) -> bool:
    """Lets the parser count: it refuses a value inside as many lists as there is room for, if that
    is too deep."""
    try:
        Value.FromString(_nested(wire, _PARSER_LEVELS - LEVELS))
    except DecodeError:
        return True
    return False


def _nested(wire: bytes, levels: int) -> bytes:
    """Gives the wire form of a value inside lists inside each other, `levels` messages in all."""
    heads: list[bytes] = []
    size = len(wire)
    for _ in range(levels // 2):
        for tag in (_TAG_LIST_VALUES, _TAG_VALUE_LIST):
            head = bytes([tag]) + _varint(size)
            heads.append(head)
            size += len(head)
    return b"".join([*reversed(heads), wire])


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _hold_unreal_number(values: Iterable[Value]) -> bool:
    waiting = list(values)
    while waiting:
        one = waiting.pop()
        kind = one.WhichOneof("kind")
        if kind == "number_value" and not math.isfinite(one.number_value):
            return True
        if kind == "list_value":
            waiting.extend(one.list_value.values)
        elif kind == "struct_value":
            waiting.extend(one.struct_value.fields.values())
    return False
