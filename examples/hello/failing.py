"""A task that fails, seen from end to end: `python failing.py`, while the worker runs.

It fails, is tried again after a while, becomes a dead letter that keeps its stack trace, and is
then run again with another payload, under the same id.
"""

import asyncio
from datetime import timedelta

from penstock import Client, RetryPolicy, Task, TaskEventKind, TaskState
from penstock.v1.task_pb2 import TaskSpec

TWICE = RetryPolicy(max_attempts=2, initial_backoff=timedelta(milliseconds=300))


async def main() -> None:
    async with Client.from_env() as client:
        submitted = await client.submit("hello.divide", [1, 0], retry=TWICE)
        print(f"task {submitted.task_id} divides 1 by 0")
        await follow(client, submitted.task_id)

        dead = await client.get(submitted.task_id)
        print(f"\nit is {dead.state.name}, a dead letter, after {dead.attempt} attempts:\n")
        if dead.failure is not None:
            print(indented(dead.failure.stack_trace))
        async for execution in client.executions(dead.task_id):
            print(f"  run {execution.number} ended as {execution.outcome.name}")

        print("\nretry it under the same id, dividing 1 by 4:")
        await client.retry(dead.task_id, edited(dead))
        print(f"  it answers {await client.await_result(dead.task_id)}")


async def follow(client: Client, task_id: str) -> None:
    """Prints what happens to the task until it has ended."""
    async for update in client.watch(task_ids=[task_id]):
        for event in update.events:
            print(f"  {event.kind.name.lower():<16} {event.failure_summary}".rstrip())
        if any(task.state is TaskState.FAILED for task in update.tasks):
            print(f"  {TaskEventKind.FAILED.name.lower()}")


def edited(task: Task) -> TaskSpec:
    """The task's own spec with another payload; everything else stays as it was."""
    spec = TaskSpec()
    spec.CopyFrom(task.spec)
    spec.ClearField("schedule_time")
    spec.payload.data = b"[1, 4]"
    return spec


def indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.rstrip().splitlines())


asyncio.run(main())
