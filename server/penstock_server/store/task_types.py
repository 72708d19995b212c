"""Task types in the store: the records that operators make of them."""

from typing import Any

import msgpack

from penstock_server.model.errors import (
    EtagMismatch,
    LimitReached,
    TaskTypeAlreadyExists,
    TaskTypeNotFound,
)
from penstock_server.model.records import StoreLimits, TaskTypeRecord

from . import keys
from .lanes import Lanes


class TaskTypeStore:
    """The verbs on records of task types, kept in partition 0: few, and changed rarely."""

    def __init__(self, lanes: Lanes, limits: StoreLimits) -> None:
        self._lanes = lanes
        self._limits = limits

    async def create(self, namespace: str, task_type: str, config: bytes) -> TaskTypeRecord:
        """Makes a record. Raises `TaskTypeAlreadyExists`, `LimitReached`."""
        return await self._set(namespace, task_type, "create", config, -1)

    async def update(
        self, namespace: str, task_type: str, config: bytes, *, version: int = -1
    ) -> TaskTypeRecord:
        """Replaces the config. Raises `TaskTypeNotFound`, and `EtagMismatch` unless `version` fits
        or is -1.
        """
        return await self._set(namespace, task_type, "update", config, version)

    async def _set(
        self, namespace: str, task_type: str, what: str, config: bytes, version: int
    ) -> TaskTypeRecord:
        answer = await self._run(namespace, task_type, what, config, version)
        return _record(namespace, task_type, answer[1])

    async def delete(self, namespace: str, task_type: str) -> None:
        """Removes a record. Raises `TaskTypeNotFound`."""
        await self._run(namespace, task_type, "delete", b"", -1)

    async def _run(
        self, namespace: str, task_type: str, what: str, config: bytes, version: int
    ) -> list[Any]:
        value = [namespace, task_type, what, config, version]
        answer: list[Any] = await self._lanes.run("set_task_type", 0, value)
        word = answer[0]
        if word == b"exists":
            raise TaskTypeAlreadyExists(task_type=task_type)
        if word == b"not_found":
            raise TaskTypeNotFound(namespace=namespace, task_type=task_type)
        if word == b"changed":
            raise EtagMismatch(etag=str(version))
        if word == b"too_many":
            raise LimitReached(
                what=f"task types in namespace {namespace}",
                limit=self._limits.task_types_per_namespace,
            )
        return answer

    async def get(self, namespace: str, task_type: str) -> TaskTypeRecord:
        """One record. Raises `TaskTypeNotFound`."""
        name = keys.key(0, "task_types", namespace=namespace)
        packed = await self._lanes.connection.read("HGET", name, task_type)
        if packed is None:
            raise TaskTypeNotFound(namespace=namespace, task_type=task_type)
        return _record(namespace, task_type, msgpack.unpackb(packed, raw=True))

    async def all(self, namespace: str) -> list[TaskTypeRecord]:
        """Every record of a namespace, by name."""
        name = keys.key(0, "task_types", namespace=namespace)
        flat = await self._lanes.connection.read("HGETALL", name)
        pairs = flat.items() if isinstance(flat, dict) else zip(flat[::2], flat[1::2], strict=True)
        return [
            _record(namespace, task_type.decode(), msgpack.unpackb(packed, raw=True))
            for task_type, packed in sorted(pairs)
        ]


def _record(namespace: str, task_type: str, fields: list[Any]) -> TaskTypeRecord:
    config, create_ms, update_ms, version = fields
    return TaskTypeRecord(
        namespace, task_type, config, int(create_ms), int(update_ms), int(version)
    )
