"""What the supervisor and its runners say to each other, and its form on the socket.

A frame is four bytes of length (big-endian) and a msgpack array of records; a record is an array
whose first item says what it is. Messages of the contract travel inside as their bytes. Both
ends are of one installation, so there is no version to agree on.

    supervisor → runner
      START     id · Lease without its token · deadline (monotonic s, or nil) · traceparent or ""
      CANCEL    id · reason
      PING      number
    runner → supervisor
      HELLO     name · queues · [[a HandlerInfo's fields, spans in seconds] …]
      BROKEN    why the user's module cannot be loaded
      END       id · ExecutionOutcome · ReportItem without its token · what it left, or ""
      PROGRESS  id · Progress
      LINE      id · time (ns) · LogStream · level · logger · text
      PONG      number
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import msgpack

START: Final = 1
CANCEL: Final = 2
PING: Final = 3
HELLO: Final = 10
BROKEN: Final = 11
END: Final = 12
PROGRESS: Final = 13
LINE: Final = 14
PONG: Final = 15

Record: TypeAlias = tuple[Any, ...]

# Far above any batch: 1,000 payloads of the default bound would not fit one call anyway.
MAX_FRAME_BYTES: Final = 512 * 1024 * 1024

_LENGTH: Final = struct.Struct(">I")


class FrameError(Exception):
    """The other end of the socket does not speak frames."""


def pack(records: Iterable[Record]) -> bytes:
    """Answers one frame that holds the records."""
    body: bytes = msgpack.packb(list(records), unicode_errors="replace")
    return _LENGTH.pack(len(body)) + body


class FrameReader:
    """Cuts a stream of bytes into records."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Record]:
        """Takes bytes as they came and answers the records that are complete by now."""
        buffer = self._buffer
        buffer += data
        records: list[Record] = []
        start = 0
        while len(buffer) - start >= 4:
            (length,) = _LENGTH.unpack_from(buffer, start)
            if length > MAX_FRAME_BYTES:
                raise FrameError(f"a frame of {length} bytes")
            end = start + 4 + length
            if len(buffer) < end:
                break
            records += self._records(memoryview(buffer)[start + 4 : end])
            start = end
        del buffer[:start]
        return records

    @staticmethod
    def _records(body: memoryview) -> tuple[Record, ...]:
        with body:
            try:
                frame: tuple[Record, ...] = msgpack.unpackb(body, use_list=False)
            except ValueError as error:
                raise FrameError(f"a frame that is no msgpack: {error}") from error
        if type(frame) is not tuple or not all(map(_is_record, frame)):
            raise FrameError("a frame that holds no records")
        return frame


def _is_record(record: object) -> bool:
    return type(record) is tuple and len(record) > 0 and type(record[0]) is int
