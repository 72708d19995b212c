"""Sends calls of one verb and partition in batches.

A call waits only while earlier batches are under way; then everything that waits leaves together,
within bounds. Up to `in_flight` batches are under way at once, the later ones only if they hold
`worth_it` items: many single calls become few. An idle verb is sent at once. A batch that the store
refuses is sent again call by call, so that a call that cannot succeed fails alone. A caller that
has gone away is skipped; what has left is never called back.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from penstock_server.model.errors import Overloaded, PenstockError

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class _Group(Generic[Item, Answer]):
    """The items of one caller: they leave together and are answered together."""

    __slots__ = ("future", "items", "size", "weight")

    def __init__(
        self, items: Sequence[Item], size: int, weight: int, future: "asyncio.Future[list[Answer]]"
    ) -> None:
        self.items = items
        self.size = size
        self.weight = weight
        self.future = future


class Batcher(Generic[Item, Answer]):
    """Collects the items of many callers into few calls of `send`, which answers item by item,
    in order.
    """

    def __init__(
        self,
        send: Callable[[list[Item]], Awaitable[list[Answer]]],
        *,
        in_flight: int = 2,
        worth_it: int = 32,
        most_items: int = 256,
        most_bytes: int = 1 << 20,
        most_waiting_bytes: int = 64 << 20,
    ) -> None:
        self._send = send
        self._most_in_flight = in_flight
        self._worth_it = worth_it
        self._most_items = most_items
        self._most_bytes = most_bytes
        self._most_waiting_bytes = most_waiting_bytes
        self._waiting: deque[_Group[Item, Answer]] = deque()
        self._waiting_bytes = 0
        self._waiting_weight = 0
        self._in_flight: set[asyncio.Task[None]] = set()
        self._pump_scheduled = False

    async def call(
        self, items: Sequence[Item], *, size: int = 0, weight: int | None = None
    ) -> list[Answer]:
        """Sends the items with others, and gives their answers in order.

        `size` is their weight in bytes, `weight` in items where one item stands for several. Raises
        what `send` raises, or `Overloaded` when too much waits already.
        """
        if self._waiting_bytes + size > self._most_waiting_bytes and self._waiting:
            raise Overloaded(what="bytes of waiting store calls", limit=self._most_waiting_bytes)
        loop = asyncio.get_running_loop()
        group = _Group(items, size, len(items) if weight is None else weight, loop.create_future())
        self._waiting.append(group)
        self._waiting_bytes += size
        self._waiting_weight += group.weight
        if not self._pump_scheduled and self._may_leave():
            # Deferred to the end of this turn of the loop, so that calls made in the same turn
            # leave together.
            self._pump_scheduled = True
            loop.call_soon(self._pump)
        return await group.future

    async def drain(self) -> None:
        """Waits until everything that was handed in has been answered."""
        while self._waiting or self._in_flight:
            await asyncio.wait(self._in_flight or {asyncio.ensure_future(asyncio.sleep(0))})

    def _pump(self) -> None:
        self._pump_scheduled = False
        while self._waiting and self._may_leave():
            groups = self._gather()
            if groups:
                task = asyncio.get_running_loop().create_task(self._run(groups))
                self._in_flight.add(task)
                task.add_done_callback(self._landed)

    def _may_leave(self) -> bool:
        """Whether a batch may leave now: beside others that are under way only a large one, so that
        many small calls become few.
        """
        under_way = len(self._in_flight)
        if under_way == 0:
            return True
        return under_way < self._most_in_flight and self._waiting_weight >= self._worth_it

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        self._pump()

    def _gather(self) -> list[_Group[Item, Answer]]:
        groups: list[_Group[Item, Answer]] = []
        items = size = 0
        waiting = self._waiting
        while waiting:
            group = waiting[0]
            if groups and (
                items + group.weight > self._most_items or size + group.size > self._most_bytes
            ):
                break
            waiting.popleft()
            self._waiting_bytes -= group.size
            self._waiting_weight -= group.weight
            if not group.future.cancelled():
                groups.append(group)
                items += group.weight
                size += group.size
        return groups

    async def _run(self, groups: list[_Group[Item, Answer]]) -> None:
        try:
            answers = await self._send([item for group in groups for item in group.items])
        except PenstockError as error:
            # The store is away or full: true for every call, so there is nothing to gain from
            # sending them one by one.
            self._fail(groups, error)
        except Exception as error:
            if len(groups) == 1:
                self._fail(groups, error)
            else:
                for group in groups:
                    await self._run([group])
        else:
            self._deliver(groups, answers)

    def _deliver(self, groups: list[_Group[Item, Answer]], answers: list[Answer]) -> None:
        start = 0
        for group in groups:
            end = start + len(group.items)
            if not group.future.done():
                group.future.set_result(answers[start:end])
            start = end

    def _fail(self, groups: list[_Group[Item, Answer]], error: Exception) -> None:
        for group in groups:
            if not group.future.done():
                group.future.set_exception(error)
