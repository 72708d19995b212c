"""The streams of the store: events by partition, log lines by task."""

from typing import Any, Final, NamedTuple

import msgpack
import structlog

from penstock_server.model.cursor import Place
from penstock_server.model.errors import CursorExpired
from penstock_server.model.records import EventRecord, LogRecord

from . import decode, keys
from .lanes import Lanes

log = structlog.get_logger(__name__)

MOST_BYTES: Final = 256 * 1024
"""Bytes of events, as they are stored, beyond which no further entry is read along. As answers they
take up to four times as much, and stock clients refuse one above 4 MiB.
"""


_MOST_SET_ASIDE: Final = 100
_SHOWN_BYTES: Final = 4096


class _Unreadable(Exception):
    """An entry that cannot be decoded: written by what nobody knows, or damaged."""

    def __init__(self, entry: Any, error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.entry_id: str = entry[0].decode()
        self.data = bytes(_fields(entry).get(b"d", b""))


class EventBatch(NamedTuple):
    """Events behind a position, and the position behind them."""

    events: list[EventRecord]
    position: Place
    size: int = 0
    """Bytes as stored."""


class EventStream:
    """Reads what happened in a partition, without gap or repeat.

    An entry that cannot be decoded is set aside and stands in nobody's way: whoever would pass over
    it is told `CursorExpired`, as at any other gap, and goes on behind it.
    """

    def __init__(self, lanes: Lanes) -> None:
        self._connection = lanes.connection
        self.partitions = lanes.partitions

    async def end(self, partition: int) -> Place:
        """The position behind the latest event."""
        name = keys.key(partition, "events")
        # The counter first: an event that comes between the two reads is then behind the place.
        count = int(await self._connection.read("GET", keys.key(partition, "event_count")) or 0)
        entries = await self._connection.read("XREVRANGE", name, "+", "-", "COUNT", 1)
        if not entries:
            return Place("0-0", count)
        try:
            return _position(entries[0])
        except (KeyError, ValueError):  # to be set aside by who reads it
            return Place(entries[0][0].decode(), count)

    async def after(self, partition: int, position: Place, *, limit: int = 100) -> EventBatch:
        """Events behind a position, of at most `limit` entries and little more than `MOST_BYTES`.

        Raises `CursorExpired` if some that lay between are gone, or if the store no longer knows
        the position.
        """
        name = keys.key(partition, "events")
        entries = await self._connection.read(
            "XRANGE", name, f"({position.entry_id}", "+", "COUNT", limit
        )
        if not entries:
            await self._check_known(partition, position)
            return EventBatch([], position)
        return await self._batch(partition, position, entries)

    async def wait(self, partition: int, position: Place, *, block_ms: int) -> EventBatch | None:
        """Waits for events behind a position, at most `block_ms`; None if there were none.

        One partition for each call: a cluster refuses a read across slots. Raises `CursorExpired`
        as `after` does.
        """
        name = keys.key(partition, "events")
        answer = await self._connection.block(
            "XREAD", "COUNT", 200, "BLOCK", block_ms, "STREAMS", name, position.entry_id
        )
        pairs = list(answer.items() if isinstance(answer, dict) else answer or ())
        return await self._batch(partition, position, pairs[0][1]) if pairs else None

    async def _check_known(self, partition: int, position: Place) -> None:
        count = int(await self._connection.read("GET", keys.key(partition, "event_count")) or 0)
        if count < position.number:
            # The store lost its latest writes: what the watcher saw then did not last.
            raise CursorExpired()
        if count > position.number and not await self._connection.read(
            "XRANGE", keys.key(partition, "events"), f"({position.entry_id}", "+", "COUNT", 1
        ):
            raise CursorExpired()

    async def _batch(self, partition: int, position: Place, entries: list[Any]) -> EventBatch:
        try:
            return _batch(position, entries)
        except _Unreadable as bad:
            await self._set_aside(partition, bad)
            raise CursorExpired() from bad

    async def _set_aside(self, partition: int, bad: _Unreadable) -> None:
        name = keys.key(partition, "quarantine")
        if int(await self._connection.read("HLEN", name)) >= _MOST_SET_ASIDE:
            return
        kept = msgpack.packb([str(bad)[:500], bad.data[:_SHOWN_BYTES]])
        if await self._connection.write("HSETNX", name, bad.entry_id, kept):
            log.error("event.quarantined", partition=partition, entry=bad.entry_id, why=str(bad))

    async def set_aside(self, partition: int) -> int:
        """How many entries were set aside."""
        return int(await self._connection.read("HLEN", keys.key(partition, "quarantine")))


def _batch(position: Place, entries: list[Any]) -> EventBatch:
    events: list[EventRecord] = []
    size = 0
    for entry in entries:
        try:
            behind, data, found = _decoded(entry)
        except _Unreadable:
            if not size:
                raise
            break  # what came before it is given first
        if behind.number != position.number + 1:
            raise CursorExpired()
        events += found
        position = behind
        size += len(data)
        if size > MOST_BYTES:
            break
    return EventBatch(events, position, size)


def _decoded(entry: Any) -> tuple[Place, bytes, list[EventRecord]]:
    try:
        data = _fields(entry)[b"d"]
        return _position(entry), data, decode.events(data)
    except Exception as error:
        # Whatever is wrong with it, nobody can read it.
        raise _Unreadable(entry, error) from error


def _fields(entry: Any) -> dict[bytes, bytes]:
    fields = entry[1]
    return fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))


def _position(entry: Any) -> Place:
    return Place(entry[0].decode(), int(_fields(entry)[b"n"]))


class LogStream:
    """Reads the log lines of tasks."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    async def after(
        self,
        namespace: str,
        task_id: str,
        position: tuple[int, int],
        *,
        last_execution: int,
        limit: int,
    ) -> list[LogRecord]:
        """Lines behind execution and number, up to those of `last_execution`."""
        name = keys.key(
            decode.home_of(task_id, self._lanes.partitions), "logs", namespace=namespace, id=task_id
        )
        start, end = f"({position[0]}-{position[1]}", f"{last_execution}-{(1 << 63) - 1}"
        entries = await self._lanes.connection.read("XRANGE", name, start, end, "COUNT", limit)
        return [_log_record(entry) for entry in entries]


def _log_record(entry: Any) -> LogRecord:
    execution, number = entry[0].decode().split("-")
    return LogRecord(int(execution), int(number), _fields(entry).get(b"l", b""))
