"""Watchers of one queue, all in a process of their own.

Prints a line when all watch; when each has seen so many tasks submitted, task and arrival of each
event, in monotonic seconds. Arguments: address, watchers, tasks.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import grpc

from bench.handlers import QUEUE
from penstock.v1 import task_service_pb2 as pb
from penstock.v1 import task_service_pb2_grpc as pb_grpc
from penstock.v1.event_pb2 import TASK_EVENT_KIND_SUBMITTED

# Streams of one connection: beyond some hundred they wait for each other.
_PER_CHANNEL: Final = 100
# Longer than any run: an event that never comes must end the measurement.
_PATIENCE: Final = 120.0

Arrival = tuple[str, float]


async def main(address: str, watchers: int, tasks: int) -> None:
    """Watches until everything was seen."""
    channels = [grpc.aio.insecure_channel(address) for _ in range(0, watchers, _PER_CHANNEL)]
    stubs = [pb_grpc.TaskServiceStub(channel) for channel in channels]
    request = pb.WatchTasksRequest(queues=[QUEUE])
    calls: list[Any] = [
        stubs[number % len(stubs)].WatchTasks(request) for number in range(watchers)
    ]
    await asyncio.gather(*(call.initial_metadata() for call in calls))
    print("watching", flush=True)
    async with asyncio.timeout(_PATIENCE):
        found = await asyncio.gather(*(_arrivals(call, tasks) for call in calls))
    print(json.dumps([arrival for some in found for arrival in some]), flush=True)
    for channel in channels:
        await channel.close(None)


async def _arrivals(call: AsyncIterator[pb.WatchTasksResponse], tasks: int) -> Sequence[Arrival]:
    arrivals: list[Arrival] = []
    async for answer in call:
        now = time.monotonic()
        for event in answer.events:
            if event.kind == TASK_EVENT_KIND_SUBMITTED:
                arrivals.append((event.task_id, now))
        if len(arrivals) >= tasks:
            break
    return arrivals


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
