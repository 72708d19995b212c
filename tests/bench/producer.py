"""The producing side of a measurement: a process of its own that uses the public client.

Reads one order as JSON per line from standard input, carries it out, and prints one answer. Times
are monotonic seconds, which all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from random import Random
from typing import Any, Final

from bench.handlers import QUEUE, SPREAD, TASK_TYPE
from bench.sampling import sample
from penstock import Client, TaskRequest
from penstock.options import ClientOptions
from penstock.spec import to_spec
from penstock.v1 import task_service_pb2 as tasks_pb
from penstock.v1 import worker_pb2
from penstock.v1 import worker_service_pb2 as workers_pb

# Exactly 200 bytes once it is JSON.
PAYLOAD: Final = {"text": "x" * 189}
_LOOK_EVERY: Final = 1_000

Answer = dict[str, Any]


class Producer:
    """Carries out orders through one client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._random = Random(7)
        self._turn = itertools.count()

    async def obey(self, order: dict[str, Any]) -> Answer:
        """Carries out one order: its `do` names the method, the rest are its arguments."""
        arguments = {name: value for name, value in order.items() if name != "do"}
        answer: Answer = await getattr(self, f"do_{order['do']}")(**arguments)
        return answer

    async def do_batches(
        self,
        *,
        tasks: int,
        seconds: float | None = None,
        priorities: bool = False,
        groups: int = 0,
        task_type: str = TASK_TYPE,
        spread: bool = False,
    ) -> Answer:
        """Submits in bulk, until there are `tasks` or `seconds` are over."""
        begin = time.monotonic()
        requests = self._requests(
            tasks,
            seconds,
            task_type,
            SPREAD if spread else (QUEUE,),
            priorities=priorities,
            groups=groups,
        )
        results = await self._client.submit_many(requests)
        end = time.monotonic()
        for result in results:
            result.unwrap()
        return {"begin": begin, "end": end, "tasks": len(results)}

    async def do_singles(
        self, *, callers: int, tasks: int, seconds: float, shared_calls: bool
    ) -> Answer:
        """Submits one by one from concurrent callers; answers each one's time in seconds too."""
        times: list[float] = []
        begin = time.monotonic()
        left = iter(range(tasks))

        async def caller() -> None:
            async for _ in _until(left, begin + seconds):
                start = time.monotonic()
                await (self._submit_shared() if shared_calls else self._submit_alone())
                times.append(time.monotonic() - start)

        await asyncio.gather(*(caller() for _ in range(callers)))
        return {"begin": begin, "end": time.monotonic(), "times": times}

    async def do_round_trips(self, *, tasks: int, seconds: float) -> Answer:
        """Submits a task and waits for its result, one after the other."""
        times: list[float] = []
        begin = time.monotonic()
        async for _ in _until(iter(range(tasks)), begin + seconds):
            start = time.monotonic()
            await self._client.run(TASK_TYPE, PAYLOAD, queue=QUEUE)
            times.append(time.monotonic() - start)
        return {"begin": begin, "end": time.monotonic(), "times": times}

    async def do_paced(self, *, tasks: int, seconds: float) -> Answer:
        """Submits one by one, evenly over the time; answers when each submit began, by task."""
        sent: dict[str, float] = {}
        begin = time.monotonic()
        for number in range(tasks):
            await asyncio.sleep(begin + seconds * number / tasks - time.monotonic())
            start = time.monotonic()
            submitted = await self._client.submit(TASK_TYPE, PAYLOAD, queue=QUEUE)
            sent[submitted.task_id] = start
        return {"begin": begin, "end": time.monotonic(), "sent": sent}

    async def do_leases(self, *, calls: int, count: int, groups: int = 0) -> Answer:
        """Leases `count` tasks per call; between calls ends them and submits as many anew, so that
        the backlog stays as it is. Only the lease calls are timed.
        """
        session, times = str(uuid.uuid4()), []
        begin = time.monotonic()
        for number in range(1, calls + 1):
            start = time.monotonic()
            leases = await self._lease(session, number, count)
            times.append(time.monotonic() - start)
            if len(leases) != count:
                raise RuntimeError(f"asked for {count} leases, got {len(leases)}")
            await self._complete(session, leases)
            await self.do_batches(tasks=count, priorities=not groups, groups=groups)
        return {"begin": begin, "end": time.monotonic(), "times": times}

    async def do_workers(self, *, spread: bool = False) -> Answer:
        """How many workers the server has heard of."""
        queue = SPREAD[0] if spread else QUEUE
        return {"workers": len([1 async for _ in self._client.workers.list(queue=queue)])}

    def _requests(
        self,
        tasks: int,
        seconds: float | None,
        task_type: str,
        queues: Sequence[str],
        *,
        priorities: bool,
        groups: int,
    ) -> Iterator[TaskRequest]:
        give_up = None if seconds is None else time.monotonic() + seconds
        for number in range(tasks):
            late = number % _LOOK_EVERY == 0 and give_up is not None
            if late and give_up is not None and time.monotonic() > give_up:
                return
            priority = self._random.randrange(10) if priorities else None
            # In turn, across orders: what is leased in turn comes back in turn, so all stay in use.
            group = str(next(self._turn) % groups) if groups else ""
            queue = queues[number % len(queues)]
            yield TaskRequest(
                task_type, PAYLOAD, queue=queue, priority=priority, fairness_key=group
            )

    async def _submit_shared(self) -> None:
        await self._client.submit(TASK_TYPE, PAYLOAD, queue=QUEUE)

    async def _submit_alone(self) -> None:
        """One SubmitTask call of its own, as a client without call sharing makes it."""
        request = tasks_pb.SubmitTaskRequest(
            namespace=self._client.options.namespace,
            spec=to_spec(TaskRequest(TASK_TYPE, PAYLOAD, queue=QUEUE)),
            request_id=uuid.uuid4().hex,
        )
        transport = self._client._transport
        await transport.call(transport.tasks.SubmitTask, request)

    async def _lease(self, session: str, number: int, count: int) -> list[worker_pb2.Lease]:
        transport = self._client._transport
        request = workers_pb.LeaseTasksRequest(
            session=worker_pb2.WorkerSession(session_id=session, slots=count),
            poll_seq=number,
            queues=[QUEUE],
            task_types=[TASK_TYPE],
            max_tasks=count,
        )
        return list((await transport.call(transport.workers.LeaseTasks, request)).leases)

    async def _complete(self, session: str, leases: list[worker_pb2.Lease]) -> None:
        transport = self._client._transport
        done = workers_pb.CompleteReport()
        items = [
            workers_pb.ReportItem(lease_token=lease.lease_token, complete=done) for lease in leases
        ]
        request = workers_pb.ReportExecutionsRequest(session_id=session, items=items)
        answer = await transport.call(transport.workers.ReportExecutions, request)
        if any(result.HasField("error") for result in answer.results):
            raise RuntimeError("the server refused the end of a lease")


async def _until(numbers: Iterator[int], deadline: float) -> AsyncIterator[int]:
    """The next numbers, until they or the time are over."""
    for number in numbers:
        if time.monotonic() > deadline:
            return
        yield number


async def main(address: str) -> None:
    """Obeys until standard input ends."""
    loop = asyncio.get_running_loop()
    async with Client(ClientOptions(address=address)) as client:
        producer = Producer(client)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps(await producer.obey(json.loads(line))), flush=True)


if __name__ == "__main__":
    # address, the run's folder; and for traces: the share, where they go
    if len(sys.argv) > 3:
        sample(float(sys.argv[3]), sys.argv[4])
    asyncio.run(main(sys.argv[1]))
