"""Worker sessions and directives in the store."""

from collections.abc import Sequence
from typing import Any, Final

import msgpack

from penstock_server.model.errors import WorkerNotFound
from penstock_server.model.records import Directive, SessionRecord

from . import decode, keys
from .lanes import Lanes

_REGISTRY: Final = 0
"""Partition that keeps what sessions say of themselves."""


class SessionStore:
    """What is known of worker sessions, and what they are to be told."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    async def touch(self, records: Sequence[SessionRecord]) -> None:
        """Notes sessions as seen now. An empty description changes nothing else."""
        rows = [
            [r.namespace, r.session_id, r.session, list(r.queues), list(r.task_types)]
            for r in records
        ]
        await self._lanes.run("touch_session", _REGISTRY, rows)

    async def recent(self, namespace: str) -> list[SessionRecord]:
        """Sessions of the last ten minutes, newest first."""
        name = keys.key(_REGISTRY, "sessions", namespace=namespace)
        ids = await self._lanes.connection.read("ZREVRANGE", name, 0, 9_999)
        found = [await self._read(namespace, session_id.decode()) for session_id in ids]
        records = sorted(filter(None, found), key=lambda r: (-r.create_ms, r.session_id))
        await self._count_leases(namespace, records)
        return records

    async def descriptions(self, namespace: str, session_ids: Sequence[str]) -> dict[str, bytes]:
        """What sessions said of themselves, of those that were seen within a day."""
        found: dict[str, bytes] = {}
        for session_id in set(session_ids):
            name = keys.key(_REGISTRY, "session", namespace=namespace, session=session_id)
            description = await self._lanes.connection.read("HGET", name, "d")
            if description:
                found[session_id] = description
        return found

    async def _count_leases(self, namespace: str, records: Sequence[SessionRecord]) -> None:
        if not records:
            return
        for partition in range(self._lanes.partitions):
            name = keys.key(partition, "held", namespace=namespace)
            sessions = [record.session_id for record in records]
            counts = await self._lanes.connection.read("HMGET", name, *sessions)
            for record, count in zip(records, counts, strict=True):
                record.running += int(count or 0)

    async def get(self, namespace: str, session_id: str) -> SessionRecord:
        """One session. Raises `WorkerNotFound`."""
        record = await self._read(namespace, session_id)
        if record is None:
            raise WorkerNotFound(namespace=namespace, session_id=session_id)
        await self._count_leases(namespace, [record])
        return record

    async def _read(self, namespace: str, session_id: str) -> SessionRecord | None:
        name = keys.key(_REGISTRY, "session", namespace=namespace, session=session_id)
        fields: list[Any] = await self._lanes.connection.read(
            "HMGET", name, "d", "q", "y", "c", "at", "dr"
        )
        if fields[0] is None:
            return None
        return SessionRecord(
            namespace=namespace,
            session_id=session_id,
            session=fields[0],
            queues=[queue.decode() for queue in _names(fields[1])],
            task_types=[task_type.decode() for task_type in _names(fields[2])],
            create_ms=int(fields[3]),
            seen_ms=int(fields[4]),
            draining=fields[5] is not None,
        )

    async def drain(self, namespace: str, session_id: str, reason: str) -> None:
        """Tells a session to lease nothing more."""
        name = keys.key(_REGISTRY, "session", namespace=namespace, session=session_id)
        await self._lanes.connection.write("HSET", name, "dr", "1")
        directive = ["drain", "drain", "", 0, b"", 0, reason]
        await self._direct(_REGISTRY, namespace, session_id, "give", ["drain", directive])

    async def directives(
        self, namespace: str, session_id: str, partitions: Sequence[int]
    ) -> list[Directive]:
        """What a session is to be told, from its partitions and the registry."""
        found: list[Directive] = []
        for partition in sorted({_REGISTRY, *partitions}):
            found += await self._direct(partition, namespace, session_id, "read", [])
        return found

    async def acknowledge(
        self,
        namespace: str,
        session_id: str,
        directive_ids: Sequence[str],
        partitions: Sequence[int],
    ) -> None:
        """Forgets directives that a session has received."""
        for partition in sorted({_REGISTRY, *partitions}):
            await self._direct(partition, namespace, session_id, "forget", list(directive_ids))

    async def _direct(
        self, partition: int, namespace: str, session_id: str, what: str, value: object
    ) -> list[Directive]:
        _now, directives = await self._lanes.run(
            "direct", partition, [namespace, session_id, what, value]
        )
        return [decode.directive(packed) for packed in directives]


def _names(packed: bytes) -> list[bytes]:
    names: list[bytes] = list(msgpack.unpackb(packed, raw=True))
    return names
