"""Cursors: where a stream goes on.

Opaque to clients, versioned, URL-safe, and bound to the store that they belong to.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from typing import Any, Final, NamedTuple

import msgpack

from .errors import CursorInvalid
from .ids import MAX_PARTITIONS

_VERSION: Final = 1
_WATCH: Final = "w"
_LOGS: Final = "l"
_LONGEST: Final = 64 * MAX_PARTITIONS


class Place(NamedTuple):
    """A place in a partition's event stream: behind the entry with this id, which was number
    `count`.
    """

    entry_id: str
    number: int


def encode_watch(history_id: str, places: list[Place]) -> str:
    """A cursor of WatchTasks: a place for each partition."""
    rows = [[*map(int, place.entry_id.split("-")), place.number] for place in places]
    return _encode(_WATCH, history_id, rows)


def decode_watch(text: str, history_id: str, partitions: int) -> list[Place]:
    """The places of a cursor. Raises `CursorInvalid` if it is not one of this store."""
    rows = _decode(text, _WATCH, history_id)
    if len(rows) != partitions or not all(_is_row(row) for row in rows):
        raise CursorInvalid()
    return [Place(f"{ms}-{number}", count) for ms, number, count in rows]


def encode_logs(history_id: str, task_id: str, execution: int, number: int) -> str:
    """A cursor of TailLogs: behind a line of an execution."""
    return _encode(_LOGS, history_id, [task_id, execution, number])


def decode_logs(text: str, history_id: str, task_id: str) -> tuple[int, int]:
    """Execution and number of the line.

    Raises `CursorInvalid` if it is not a cursor of this task's log.
    """
    row = _decode(text, _LOGS, history_id)
    if len(row) != 3 or row[0] != task_id or not _is_row([*row[1:], 0]):
        raise CursorInvalid()
    return row[1], row[2]


def _encode(kind: str, history_id: str, value: object) -> str:
    return (
        urlsafe_b64encode(msgpack.packb([_VERSION, kind, history_id, value])).decode().rstrip("=")
    )


def _decode(text: str, kind: str, history_id: str) -> list[Any]:
    if len(text) > _LONGEST:
        raise CursorInvalid()
    try:
        value = msgpack.unpackb(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (Base64Error, ValueError, msgpack.UnpackException) as error:
        raise CursorInvalid() from error
    if not isinstance(value, list) or value[:3] != [_VERSION, kind, history_id] or len(value) != 4:
        raise CursorInvalid()
    if not isinstance(value[3], list):
        raise CursorInvalid()
    return value[3]


def _is_row(row: object) -> bool:
    return (
        isinstance(row, list)
        and len(row) == 3
        and all(type(item) is int and 0 <= item < 1 << 63 for item in row)
    )
