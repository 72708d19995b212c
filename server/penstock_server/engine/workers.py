"""What is known of worker sessions."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from penstock_server.model.records import SessionRecord
from penstock_server.store.store import Store

SILENT_AFTER: Final = timedelta(seconds=30)
"""A session with an open poll is stored as seen every 5 s, and any report shows that it lives."""


class Workers:
    """List worker sessions and drain them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def list(self, namespace: str) -> Sequence[SessionRecord]:
        """Sessions of the last ten minutes, newest first."""
        return await self._store.sessions.recent(namespace)

    async def live(self, namespace: str) -> Sequence[SessionRecord]:
        """Sessions that are not silent."""
        now_ms = await self._store.now_ms()
        return [session for session in await self.list(namespace) if not is_silent(session, now_ms)]

    async def now_ms(self) -> int:
        """The store's clock."""
        return await self._store.now_ms()

    async def drain(self, namespace: str, session_id: str, reason: str) -> SessionRecord:
        """Tells a session to lease nothing more. Raises `WorkerNotFound`."""
        await self._store.sessions.get(namespace, session_id)
        await self._store.sessions.drain(namespace, session_id, reason)
        return await self._store.sessions.get(namespace, session_id)


def is_silent(session: SessionRecord, now_ms: int) -> bool:
    """Whether a session was not heard of for longer than a poll may last."""
    return now_ms - session.seen_ms > SILENT_AFTER / timedelta(milliseconds=1)
