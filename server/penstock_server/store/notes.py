"""Notes from the store to this server: a queue has tasks, a task has ended, a session has a
directive.

Hints only. Whoever waits also looks by itself from time to time, so a lost note costs time, never
correctness.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from redis import exceptions

from .connection import Connection
from .keys import DIRECTIVE_CHANNEL, server_channel

log = structlog.get_logger(__name__)


class Notes:
    """Listens on this server's channel and hands every note on."""

    def __init__(
        self,
        connection: Connection,
        server_id: str,
        *,
        on_queue: Callable[[str, str], None],
        on_task: Callable[[str, str], None],
        on_directive: Callable[[str, str], None],
        on_subscribed: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._channels = (server_channel(server_id), DIRECTIVE_CHANNEL)
        self._handlers = {"Q": on_queue, "T": on_task}
        self._on_directive = on_directive
        self._on_subscribed = on_subscribed

    async def listen(self) -> None:
        """Listens until cancelled; subscribes again whenever the connection breaks."""
        while True:
            pubsub = self._connection.blocking.pubsub()
            try:
                await pubsub.subscribe(*self._channels)
                self._on_subscribed()
                async for message in pubsub.listen():
                    self._handle(message)
            except (exceptions.RedisError, OSError) as error:
                log.warning("notes.interrupted", error=type(error).__name__)
                await asyncio.sleep(0.5)
            finally:
                await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped

    def _handle(self, message: dict[str, Any]) -> None:
        if message["type"] != "message":
            return
        text = message["data"].decode()
        if message["channel"] == DIRECTIVE_CHANNEL.encode():
            self._on_directive(*text.split(":", 1))
            return
        for line in text.split("\n"):
            namespace, _, name = line[1:].partition(":")
            self._handlers[line[0]](namespace, name)
