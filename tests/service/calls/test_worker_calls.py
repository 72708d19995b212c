"""WorkerService over the wire: polls that wait, directives, reports."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from penstock.v1 import execution_pb2, task_pb2, worker_pb2
from penstock.v1.error_pb2 import ErrorReason
from support.service import TYPE, App, Worker


async def waits(poll: asyncio.Task[Any]) -> bool:
    """Whether a poll still waits, once the server has had time to look."""
    done, _ = await asyncio.wait([poll], timeout=0.1)
    return not done


# ---- polls --------------------------------------------------------------------------------------


async def test_a_poll_waits_until_there_is_a_task(app: App):
    poll = Worker(app).poll()
    assert await waits(poll)

    task_id = await app.submit(payload={"data": b"input"}, headers={"h": "1"})

    (lease,) = (await poll).leases
    assert (lease.task_id, lease.execution, lease.attempt) == (task_id, 1, 1)
    assert (lease.spec.payload.data, lease.spec.headers["h"]) == (b"input", "1")
    assert (lease.term, lease.accept_within) == (Duration(seconds=60), Duration(seconds=10))
    task = await app.task(task_id)
    assert task.state == task_pb2.TASK_STATE_RUNNING
    assert lease.create_time == task.create_time


async def test_a_poll_ends_empty_when_its_wait_is_over(app: App):
    answer = await Worker(app).poll(wait=0)

    assert (len(answer.leases), answer.superseded) == (0, False)


async def test_a_poll_ends_before_the_deadline_of_its_call(app: App):
    answer = await Worker(app).poll(wait=60, patience=0.7)

    assert len(answer.leases) == 0


@pytest.mark.parametrize("slots", [0, 1])
async def test_a_newer_poll_of_the_session_ends_the_older_one(app: App, slots: int):
    worker = Worker(app)
    older = worker.poll(slots)
    assert await waits(older)

    newer = worker.poll(slots)

    assert (await older).superseded
    assert await waits(newer)
    task_id = await app.submit()
    if slots:
        assert [lease.task_id for lease in (await newer).leases] == [task_id]
    else:
        assert await waits(newer)
        newer.cancel()


async def test_a_poll_with_an_old_number_gets_nothing(app: App):
    worker = Worker(app)
    await app.submit()
    current = worker.poll(0, poll_seq=9)
    assert await waits(current)

    assert (await worker.poll(poll_seq=5)).superseded
    current.cancel()


async def test_queues_of_a_poll_are_all_served(app: App):
    worker = Worker(app, queues=("q1", "q2", "q3"))
    for queue in ("q3", "q1", "q2"):
        poll = worker.poll(9)
        assert await waits(poll)
        task_id = await app.submit(queue)
        assert [lease.task_id for lease in (await poll).leases] == [task_id]


async def test_tasks_leased_for_a_caller_that_went_away_are_given_back(app: App):
    gone = Worker(app).poll()
    assert await waits(gone)
    gone.cancel()
    await asyncio.wait([gone])

    task_id = await app.submit()

    lease = await Worker(app).lease()
    assert lease.task_id == task_id


async def test_many_polls_with_many_slots_wait_in_peace(app: App):
    polls = [Worker(app).poll(500) for _ in range(6)]
    assert await waits(polls[-1])

    ids = {await app.submit() for _ in range(3)}

    got: set[str] = set()
    while got != ids:
        done, _ = await asyncio.wait(polls, return_when=asyncio.FIRST_COMPLETED, timeout=10)
        assert done, "a task waits and nobody gets it"
        for poll in done:
            polls.remove(poll)
            got |= {lease.task_id for lease in poll.result().leases}
    for poll in polls:
        poll.cancel()


async def test_an_answer_keeps_to_its_bound_in_bytes(app: App):
    for _ in range(5):
        await app.submit(payload={"data": bytes(30_000)})

    answer = await Worker(app).poll(9, max_bytes=65_536)

    assert len(answer.leases) == 2


# ---- directives ---------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [0, 3])
async def test_a_cancel_reaches_a_session_that_waits(app: App, slots: int):
    worker = Worker(app)
    task_id = await app.submit()
    lease = await worker.lease()
    poll = worker.poll(slots, patience=5)
    assert await waits(poll)

    await app.call("CancelTask", task_id=task_id, grace={"seconds": 30})

    (directive,) = (await asyncio.wait_for(poll, 1)).directives
    assert directive.cancel.lease_token == lease.lease_token
    assert 29 <= directive.cancel.grace.ToSeconds() <= 30


async def test_directives_come_again_until_they_are_acknowledged(app: App):
    worker = Worker(app)
    task_id = await app.submit()
    await worker.lease()
    await app.call("CancelTask", task_id=task_id)
    for slots in (0, 1, 0):
        (directive,) = (await worker.poll(slots)).directives

    acknowledged = worker.poll(0, acknowledged_directive_ids=[directive.directive_id])

    assert await waits(acknowledged)
    acknowledged.cancel()


async def test_a_report_says_that_a_cancel_was_asked_for(app: App):
    worker = Worker(app)
    task_id = await app.submit()
    lease = await worker.lease()
    await app.call("CancelTask", task_id=task_id)

    result = await worker.report(lease, heartbeat={})
    assert result.cancel_requested
    await worker.report(lease, fail={"outcome": "EXECUTION_OUTCOME_CANCELLED"})

    assert (await app.task(task_id)).state == task_pb2.TASK_STATE_CANCELLED


async def test_a_drain_is_told_and_shown(app: App):
    worker = Worker(app)
    poll = worker.poll(3)
    assert await waits(poll)
    listed: list[Any] = []
    while not listed:  # sessions are written down once a second
        listed = (await app.call("ListWorkers", queue="q")).workers
        await asyncio.sleep(0.05)
    assert listed[0].health == worker_pb2.WORKER_HEALTH_HEALTHY

    drained = (await app.call("DrainWorker", session_id=worker.session_id, reason="new")).worker

    assert drained.health == worker_pb2.WORKER_HEALTH_DRAINING
    (directive,) = (await poll).directives
    assert directive.drain.reason == "new"
    assert not (await app.call("ListWorkers", queue="elsewhere")).workers
    refusal = await app.refusal("DrainWorker", session_id="nobody")
    assert refusal.reason == "WORKER_NOT_FOUND"


# ---- reports ------------------------------------------------------------------------------------


async def test_a_report_may_bring_more_leases_at_once(app: App):
    worker = Worker(app)
    await app.submit()
    lease = await worker.lease()
    more = [await app.submit() for _ in range(3)]

    answer = await app.call(
        "ReportExecutions",
        session_id=worker.session_id,
        items=[{"lease_token": lease.lease_token, "complete": {}}],
        max_tasks=2,
        queues=["empty", "q"],
        task_types=[TYPE],
    )

    assert not answer.results[0].HasField("error")
    assert [lease.task_id for lease in answer.leases] == more[:2]


async def test_a_report_that_asks_for_leases_is_told_directives_too(app: App):
    worker = Worker(app)
    task_id = await app.submit()
    await worker.lease()
    await app.call("CancelTask", task_id=task_id)

    answer = await app.call(
        "ReportExecutions",
        session_id=worker.session_id,
        max_tasks=2,
        queues=["q"],
        task_types=[TYPE],
    )

    assert len(answer.directives) == 1


async def test_items_of_a_report_are_answered_one_by_one(app: App):
    worker = Worker(app)
    for _ in range(4):
        await app.submit()
    leases = (await worker.poll(9)).leases
    tokens = [lease.lease_token for lease in leases]
    await worker.report(leases[3], complete={})
    line = {"number": 1, "text": "a line"}

    answer = await app.call(
        "ReportExecutions",
        session_id=worker.session_id,
        items=[
            {"lease_token": tokens[0], "complete": {}, "log_lines": [line]},
            {"lease_token": "no token", "complete": {}},
            {"lease_token": tokens[1], "accept": {}},
            {"lease_token": tokens[2], "log_lines": [line]},
            {"lease_token": tokens[3], "fail": {}},
        ],
    )

    reasons = [ErrorReason.Name(result.error.reason)[13:] for result in answer.results]
    assert reasons == ["UNSPECIFIED", "FIELD_INVALID", "UNSPECIFIED", "UNSPECIFIED", "LEASE_LOST"]
    assert [result.last_log_line for result in answer.results] == [1, 0, 0, 1, 0]
    assert answer.results[2].term == Duration(seconds=60)


async def test_log_lines_of_a_lease_that_is_lost_are_refused_even_if_there_are_none(app: App):
    worker = Worker(app)
    task_id = await app.submit()
    lease = await worker.lease()
    await app.call("EndTask", task_id=task_id, result={})

    for report in ({}, {"log_lines": [{"number": 1, "text": "late"}]}):
        assert (await worker.report(lease, **report)).HasField("error")


async def test_what_an_execution_used_and_said_is_kept_with_it(app: App):
    worker = Worker(app)
    task_id = await app.submit()
    lease = await worker.lease()
    progress = {"fraction": 0.5, "message": "half"}
    await worker.report(lease, heartbeat={"progress": progress})
    task = await app.task(task_id)
    assert (task.progress.fraction, task.progress.message) == (0.5, "half")
    assert task.progress.HasField("update_time")

    usage = {"wall_time": {"seconds": 3}, "peak_memory_bytes": 1_000}
    await worker.report(lease, complete={"usage": usage, "result": {"data": b"r"}})

    execution = (await app.call("GetExecution", task_id=task_id)).execution
    assert execution.outcome == execution_pb2.EXECUTION_OUTCOME_SUCCEEDED
    assert execution.usage.wall_time == Duration(seconds=3)
    assert execution.usage.peak_memory_bytes == 1_000
    assert not execution.usage.HasField("cpu_time")


async def test_the_reason_of_a_release_is_kept(app: App):
    worker = Worker(app)
    task_id = await app.submit()
    lease = await worker.lease()

    await worker.report(lease, release={"reason": "RELEASE_REASON_NO_RESOURCES"})

    execution = (await app.call("GetExecution", task_id=task_id, number=1)).execution
    assert execution.outcome == execution_pb2.EXECUTION_OUTCOME_RELEASED
    assert execution.release_reason == execution_pb2.RELEASE_REASON_NO_RESOURCES
    assert not (await app.task(task_id)).HasField("failure")
