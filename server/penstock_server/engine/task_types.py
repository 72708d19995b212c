"""What operators do with task types, and the defaults that submits take from them."""

from collections.abc import Callable, Mapping
from time import monotonic
from typing import Final, Generic, TypeVar

from penstock_server.model.records import TaskTypeRecord
from penstock_server.store.store import Store

Config = TypeVar("Config")
_CONFIG_AGE: Final = 1.0
"""Seconds for which the configs of a namespace's types are taken from memory."""


class TaskTypes:
    """Create, get, list, update, delete."""

    def __init__(self, store: Store) -> None:
        self._store = store.task_types

    async def create(self, namespace: str, task_type: str, config: bytes) -> TaskTypeRecord:
        """Makes a record. Raises `TaskTypeAlreadyExists`, `LimitReached`."""
        return await self._store.create(namespace, task_type, config)

    async def get(self, namespace: str, task_type: str) -> TaskTypeRecord:
        """One record. Raises `TaskTypeNotFound`."""
        return await self._store.get(namespace, task_type)

    async def list(
        self, namespace: str, *, after: str, limit: int
    ) -> tuple[list[TaskTypeRecord], str]:
        """Records by name behind `after`, and the name to go on behind; empty if there are no
        more.
        """
        found = [item for item in await self._store.all(namespace) if item.task_type > after]
        return found[:limit], found[limit - 1].task_type if len(found) > limit else ""

    async def update(
        self, namespace: str, task_type: str, config: bytes, *, version: int
    ) -> TaskTypeRecord:
        """Replaces the config of a record that is as it was read.

        Raises `TaskTypeNotFound`, `EtagMismatch`.
        """
        return await self._store.update(namespace, task_type, config, version=version)

    async def delete(self, namespace: str, task_type: str) -> None:
        """Removes a record. Raises `TaskTypeNotFound`."""
        await self._store.delete(namespace, task_type)


class TaskTypeConfigs(Generic[Config]):
    """Configs of the types of a namespace for submits, at most a second old."""

    def __init__(self, store: Store, parse: Callable[[bytes], Config]) -> None:
        self._store = store
        self._parse = parse
        self._known: dict[str, tuple[float, Mapping[str, Config]]] = {}

    def at_hand(self, namespace: str) -> Mapping[str, Config] | None:
        """The configs if they are fresh in memory."""
        known = self._known.get(namespace)
        return known[1] if known is not None and monotonic() - known[0] < _CONFIG_AGE else None

    async def get(self, namespace: str) -> Mapping[str, Config]:
        """The configs, read if need be."""
        records = await self._store.task_types.all(namespace)
        configs = {record.task_type: self._parse(record.config) for record in records}
        if len(self._known) > 10_000:
            self._known.clear()
        self._known[namespace] = (monotonic(), configs)
        return configs

    def forget(self, namespace: str) -> None:
        """A config was changed here: read them anew."""
        self._known.pop(namespace, None)
