"""Keeps one poll open: for tasks while slots are free, for directives always.

A poll that asks for less than the worker could take is superseded by a newer one. The older keeps
its ask until it is answered, so that both together never bring more than there is room for.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from penstock.errors import PenstockError
from penstock.v1 import worker_pb2
from penstock.v1 import worker_service_pb2 as pb
from penstock_worker import events
from penstock_worker.capacity import NOTHING, Ask, Capacity
from penstock_worker.connection import Connection
from penstock_worker.errors import WorkerStartError

SLACK: Final = 10.0
FIRST_BACKOFF: Final = 0.1
LONGEST_BACKOFF: Final = 5.0
# Between two polls of which the newer supersedes the older: reports get the chance to ask first.
SUPERSEDE_PAUSE: Final = 0.005

# Refusals that no waiting cures. Seen before anything ever worked, they end the worker.
FINAL_REASONS: Final = frozenset(
    {
        "UNAUTHENTICATED",
        "PERMISSION_DENIED",
        "NAMESPACE_NOT_FOUND",
        "FIELD_INVALID",
        "UNIMPLEMENTED",
    }
)

log = structlog.stdlib.get_logger("penstock_worker")


class Owner(Protocol):
    """Whoever takes the answers: the supervisor."""

    def on_polled(self, response: pb.LeaseTasksResponse, sent: float) -> None:
        """Takes the leases and directives of an answer; `sent` is monotonic seconds."""

    def acknowledged(self) -> list[str]:
        """Answers the directives to acknowledge."""

    def on_acknowledged(self, directive_ids: list[str]) -> None:
        """Told that the server knows these acknowledgements."""


class Poller:
    """Polls until it is cancelled."""

    def __init__(
        self,
        connection: Connection,
        capacity: Capacity,
        owner: Owner,
        *,
        namespace: str,
        session: worker_pb2.WorkerSession,
        queues: tuple[str, ...],
        wait: float,
    ) -> None:
        self._connection = connection
        self._capacity = capacity
        self._owner = owner
        self._namespace, self._session, self._queues = namespace, session, queues
        self._wait = wait
        self._sequence = 0
        self._wake = asyncio.Event()
        self._open: Ask | None = None
        """Ask of the newest poll while it is under way."""
        self._failures = 0
        self._ever_answered = False
        self._superseded_time = 0.0
        self.leaves_asking: Callable[[], bool] = lambda: False
        """Whether reports ask for shared types now, so that polls need not; set by the owner."""

    async def run(self) -> None:
        """Polls for ever. Raises WorkerStartError if the server never lets this worker in."""
        async with asyncio.TaskGroup() as polls:
            while True:
                if self._is_worth_superseding():
                    await self._pause()
                if self._is_worth_superseding():  # reports may have asked for it meanwhile
                    polls.create_task(self._poll())
                    await asyncio.sleep(0)  # lets it take its ask
                await self._wake.wait()
                self._wake.clear()

    @property
    def is_waiting_for_tasks(self) -> bool:
        """True if a poll is open that asks for tasks."""
        return self._open is not None and self._open.count > 0

    def reconsider(self) -> None:
        """Polls anew if the open poll asks for much less than the worker could take."""
        if self._is_worth_superseding():
            self._wake.set()

    def look_again(self) -> None:
        """Reconsiders once the call whose answer is handled now is over."""
        if self._open is not None:
            self._wake.set()

    def renew(self) -> None:
        """Polls anew whatever the open poll asks for: something about the worker has changed."""
        self._open = None
        self._wake.set()

    def _is_worth_superseding(self) -> bool:
        if self._open is None:
            return True
        return self._capacity.is_worth_superseding(self._open, leave_shared=self.leaves_asking())

    async def _pause(self) -> None:
        if self._failures:
            ceiling = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** min(self._failures - 1, 10))
            await asyncio.sleep(random.uniform(ceiling / 2, ceiling))
        elif self._open is not None:
            pause = self._superseded_time + SUPERSEDE_PAUSE - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            self._superseded_time = time.monotonic()

    async def _poll(self) -> None:
        ask = self._capacity.poll_ask(leave_shared=self.leaves_asking())
        acknowledged = self._owner.acknowledged()
        request = self._request(ask, acknowledged)
        sequence = self._sequence
        self._capacity.take(ask)
        self._open = ask
        sent = time.monotonic()
        response = None
        try:
            response = await self._connection.lease(request, self._wait + SLACK)
        except PenstockError as error:
            self._on_failure(error)
        finally:
            self._capacity.give_back(ask)
            if sequence == self._sequence:
                self._open = None
                self._wake.set()
        if response is not None:
            if not response.superseded:
                self._capacity.answered(ask, len(response.leases))
            self._on_answer(response, sent, acknowledged)
            if response.superseded:
                self.reconsider()  # its successor could not ask for what this one held

    def _request(self, ask: Ask, acknowledged: list[str]) -> pb.LeaseTasksRequest:
        self._sequence += 1
        request = pb.LeaseTasksRequest(
            namespace=self._namespace,
            session=self._session,
            poll_seq=self._sequence,
            # Named in every poll, so that the server knows what this worker serves even when full.
            queues=self._queues,
            task_types=ask.types if ask is not NOTHING else self._capacity.types,
            max_tasks=ask.count,
            acknowledged_directive_ids=acknowledged,
        )
        request.wait.FromNanoseconds(int(self._wait * 1e9))
        return request

    def _on_answer(
        self, response: pb.LeaseTasksResponse, sent: float, acknowledged: list[str]
    ) -> None:
        if self._failures:
            log.info(events.POLL_RECOVERED, address=self._connection.address)
        self._failures = 0
        self._ever_answered = True
        self._owner.on_acknowledged(acknowledged)
        self._owner.on_polled(response, sent)

    def _on_failure(self, error: PenstockError) -> None:
        if error.reason in FINAL_REASONS and not self._ever_answered:
            raise WorkerStartError(
                f"the server at {self._connection.address} refuses this worker"
                f" ({error.reason}): {error.message}"
            )
        if self._failures == 0 or self._failures % 20 == 0:
            log.warning(
                events.POLL_FAILED,
                address=self._connection.address,
                reason=error.reason,
                detail=error.message,
            )
        self._failures += 1
