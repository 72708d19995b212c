"""Namespaces: what operators do with them, and which ones there are."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from penstock_server.model.errors import (
    NamespaceAlreadyExists,
    NamespaceNotEmpty,
    NamespaceNotFound,
)
from penstock_server.model.records import NamespaceRecord
from penstock_server.store.store import Store

DEFAULT: Final = "default"


class Namespaces:
    """Create, get, list, update, delete; and a quick answer to whether one exists."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: frozenset[str] = frozenset({DEFAULT})

    async def start(self) -> None:
        """Makes the default namespace if the store is new."""
        now_ms = await self._store.now_ms()
        # Usually it exists: the store is not new.
        with suppress(NamespaceAlreadyExists):
            record = NamespaceRecord(DEFAULT, b"", now_ms, now_ms, 1)
            await self._store.namespaces.create(record)
        await self.refresh()

    async def refresh(self) -> None:
        """Reads which namespaces there are."""
        self._known = frozenset(await self._store.namespaces.all())

    async def resolve(self, given: str) -> str:
        """The namespace that a call means, `default` if none. Raises `NamespaceNotFound`."""
        namespace = given or DEFAULT
        await self.require(namespace)
        return namespace

    async def require(self, namespace: str) -> None:
        """Raises `NamespaceNotFound` unless the namespace exists.

        One removed elsewhere may pass for 2 s.
        """
        if namespace not in self._known:
            await self.refresh()
            if namespace not in self._known:
                raise NamespaceNotFound(namespace=namespace)

    async def create(self, namespace: str, data: bytes) -> NamespaceRecord:
        """Makes a namespace. Raises `NamespaceAlreadyExists`, `LimitReached`."""
        now_ms = await self._store.now_ms()
        record = NamespaceRecord(namespace, data, now_ms, now_ms, 1)
        await self._store.namespaces.create(record)
        await self.refresh()
        return record

    async def get(self, namespace: str) -> NamespaceRecord:
        """One namespace. Raises `NamespaceNotFound`."""
        return await self._store.namespaces.get(namespace)

    async def list(self) -> Sequence[NamespaceRecord]:
        """Every namespace, by name."""
        return list((await self._store.namespaces.all()).values())

    async def update(
        self, record: NamespaceRecord, data: bytes, *, version: int
    ) -> NamespaceRecord:
        """Replaces the data of a namespace that is as it was read.

        Raises `NamespaceNotFound`, `EtagMismatch`.
        """
        now_ms = await self._store.now_ms()
        changed = NamespaceRecord(
            record.namespace, data, record.create_ms, now_ms, record.version + 1
        )
        await self._store.namespaces.update(changed, version=version)
        return changed

    async def delete(self, namespace: str) -> None:
        """Removes a namespace without tasks. Raises `NamespaceNotFound`, `NamespaceNotEmpty`."""
        if namespace == DEFAULT or not await self._store.namespaces.delete(namespace):
            raise NamespaceNotEmpty(namespace=namespace)
        await self.refresh()
