"""Namespaces in the store."""

import msgpack

from penstock_server.model.errors import (
    EtagMismatch,
    LimitReached,
    NamespaceAlreadyExists,
    NamespaceNotFound,
)
from penstock_server.model.records import NamespaceRecord

from . import keys
from .lanes import Lanes


class NamespaceStore:
    """Namespaces, kept in partition 0: few, small, and changed rarely."""

    def __init__(self, lanes: Lanes, *, most: int = 1000) -> None:
        self._connection = lanes.connection
        self._partitions = lanes.partitions
        self._most = most
        self._key = keys.key(0, "namespaces")

    async def create(self, record: NamespaceRecord) -> None:
        """Makes a namespace. Raises `NamespaceAlreadyExists`, `LimitReached`."""
        if await self._connection.read("HLEN", self._key) >= self._most:
            raise LimitReached(what="namespaces", limit=self._most)
        if not await self._connection.write("HSETNX", self._key, record.namespace, _pack(record)):
            raise NamespaceAlreadyExists(namespace=record.namespace)

    async def all(self) -> dict[str, NamespaceRecord]:
        """Every namespace by name, in order."""
        flat = await self._connection.read("HGETALL", self._key)
        pairs = flat.items() if isinstance(flat, dict) else zip(flat[::2], flat[1::2], strict=True)
        return {name.decode(): _unpack(name.decode(), packed) for name, packed in sorted(pairs)}

    async def get(self, namespace: str) -> NamespaceRecord:
        """One namespace. Raises `NamespaceNotFound`."""
        packed = await self._connection.read("HGET", self._key, namespace)
        if packed is None:
            raise NamespaceNotFound(namespace=namespace)
        return _unpack(namespace, packed)

    async def update(self, record: NamespaceRecord, *, version: int = -1) -> None:
        """Replaces a namespace's record.

        Raises `NamespaceNotFound`, and `EtagMismatch` unless `version` fits or is -1.
        """
        known = await self.get(record.namespace)
        if version not in (-1, known.version):
            raise EtagMismatch(etag=str(version))
        await self._connection.write("HSET", self._key, record.namespace, _pack(record))

    async def delete(self, namespace: str) -> bool:
        """Removes a namespace, its task types and the names of its empty queues.

        False if it holds tasks. Raises `NamespaceNotFound`.
        """
        await self.get(namespace)
        for partition in range(self._partitions):
            backlog = keys.key(partition, "backlog")
            count = await self._connection.read("HGET", backlog, f"{namespace}:n")
            if int(count or 0) > 0:
                return False
        await self._connection.write("HDEL", self._key, namespace)
        await self._connection.write("DEL", keys.key(0, "task_types", namespace=namespace))
        for partition in range(self._partitions):
            await self._forget_queues(partition, namespace)
        return True

    async def _forget_queues(self, partition: int, namespace: str) -> None:
        index = keys.key(partition, "queues", namespace=namespace)
        for queue in await self._connection.read("ZRANGE", index, 0, -1):
            name = keys.key(partition, "queue", namespace=namespace, queue=queue.decode())
            await self._connection.write("DEL", name)
        await self._connection.write("DEL", index)


def _pack(record: NamespaceRecord) -> bytes:
    packed: bytes = msgpack.packb([record.data, record.create_ms, record.update_ms, record.version])
    return packed


def _unpack(namespace: str, packed: bytes) -> NamespaceRecord:
    data, create_ms, update_ms, version = msgpack.unpackb(packed, raw=True)
    return NamespaceRecord(namespace, data, create_ms, update_ms, version)
