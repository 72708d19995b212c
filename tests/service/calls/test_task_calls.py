"""TaskService over the wire: what each call does when all is well, and why it is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from penstock.v1 import execution_pb2, task_pb2
from support.service import TYPE, App, Worker, app_on
from support.stores import StoreProgram

READY, SCHEDULED = task_pb2.TASK_STATE_READY, task_pb2.TASK_STATE_SCHEDULED
RUNNING, SUCCEEDED = task_pb2.TASK_STATE_RUNNING, task_pb2.TASK_STATE_SUCCEEDED
FAILED, CANCELLED = task_pb2.TASK_STATE_FAILED, task_pb2.TASK_STATE_CANCELLED


# ---- submit -------------------------------------------------------------------------------------


async def test_the_answer_to_a_submit_is_what_a_look_shows(app: App):
    spec: dict[str, Any] = {"task_type": TYPE, "payload": {"data": b"input"}, "labels": {"a": "b"}}

    submitted = (await app.call("SubmitTask", spec=spec)).task

    found = await app.task(submitted.task_id)
    assert found.spec.payload.data == b"input"
    found.spec.ClearField("payload")
    assert submitted == found
    assert (found.state, found.spec.queue, found.spec.priority) == (READY, "default", 5)
    assert found.spec.display_name == TYPE


async def test_a_delay_becomes_a_time(app: App):
    spec: dict[str, Any] = {"task_type": TYPE, "delay": {"seconds": 60}}

    task = (await app.call("SubmitTask", spec=spec)).task

    assert task.state == SCHEDULED
    assert not task.spec.HasField("delay")
    found = await app.task(task.task_id)
    assert found.schedule_time == task.schedule_time
    assert found.schedule_time.ToMilliseconds() - found.create_time.ToMilliseconds() == 60_000


async def test_a_repeated_submit_answers_with_the_same_task(app: App):
    request: dict[str, Any] = {"spec": {"task_type": TYPE}, "request_id": "r-1"}

    first, again = [await app.call("SubmitTask", **request) for _ in range(2)]

    assert (first.existing, again.existing) == (False, True)
    assert again.task.task_id == first.task.task_id


@pytest.mark.parametrize("same_request", [True, False])
async def test_the_same_key_gives_the_same_task_after_its_end(app: App, same_request: bool):
    request: dict[str, Any] = {
        "spec": {"task_type": TYPE, "queue": "q"},
        "idempotency": {"key": "k"},
    }
    first = await app.call("SubmitTask", **request, request_id="r-1")
    worker = Worker(app)
    await worker.report(await worker.lease(), complete={})

    again = await app.call("SubmitTask", **request, request_id="r-1" if same_request else "r-2")

    assert again.existing
    assert (again.task.task_id, again.task.state) == (first.task.task_id, SUCCEEDED)


async def test_a_batch_is_answered_item_by_item(app: App):
    items = [
        {"spec": {"task_type": TYPE}, "idempotency": {"key": "k"}},
        {"spec": {"task_type": ""}},
        {"spec": {"task_type": TYPE}, "idempotency": {"key": "k"}},
        {"spec": {"task_type": TYPE}},
    ]

    results = (await app.call("SubmitTasks", items=items)).results

    assert results[0].task_id == results[2].task_id != results[3].task_id
    assert [result.existing for result in results] == [False, False, True, False]
    assert [result.HasField("error") for result in results] == [False, True, False, False]


async def test_a_large_batch_is_known_again_chunk_by_chunk(app: App):
    items = [{"spec": {"task_type": TYPE, "description": str(n)}} for n in range(600)]

    first = await app.call("SubmitTasks", items=items, request_id="r-1")
    again = await app.call("SubmitTasks", items=items, request_id="r-1")

    ids = [result.task_id for result in first.results]
    assert [result.task_id for result in again.results] == ids
    assert ids == sorted(set(ids))
    assert (await app.task(ids[599])).spec.description == "599"
    queue = (await app.call("GetQueue", queue="default")).queue
    assert queue.stats.ready_count == 600


async def test_a_retry_policy_of_the_queue_is_for_tasks_that_bring_none(app: App):
    config = {"retry_policy": {"max_attempts": 1}, "lease_duration": {"seconds": 7}}
    await app.call("UpdateQueue", queue="q", config=config)
    task_id = await app.submit()
    worker = Worker(app)
    lease = await worker.lease()
    assert lease.term == Duration(seconds=7)

    await worker.report(lease, fail={"failure": {"kind": "Boom", "message": "bad"}})

    task = await app.task(task_id)
    assert (task.state, task.failure.kind) == (FAILED, "Boom")
    assert task.spec.retry_policy.max_attempts == 1


# ---- waiting for the end ------------------------------------------------------------------------


async def test_run_waits_for_the_end_and_answers_the_result(app: App):
    worker = Worker(app)
    running = asyncio.create_task(
        app.call("RunTask", spec={"task_type": TYPE, "queue": "q"}, wait={"seconds": 10})
    )
    lease = await worker.lease()

    await worker.report(lease, complete={"result": {"data": b"42"}})

    task = (await running).task
    assert (task.state, task.result.data) == (SUCCEEDED, b"42")


async def test_run_answers_the_task_as_it_is_when_the_wait_is_over(app: App):
    answer = await app.call("RunTask", spec={"task_type": TYPE}, wait={"seconds": 0})

    assert answer.task.state == READY


async def test_a_repeated_run_waits_for_the_same_task(app: App):
    request: dict[str, Any] = {"spec": {"task_type": TYPE, "queue": "q"}, "request_id": "r-1"}
    calls = [
        asyncio.create_task(app.call("RunTask", **request, wait={"seconds": 10})) for _ in range(2)
    ]
    worker = Worker(app)
    await worker.report(await worker.lease(), complete={})

    first, again = [(await call).task for call in calls]

    assert first == again
    assert first.state == SUCCEEDED


@pytest.mark.parametrize("end", ["complete", "cancel", "end", "delete"])
async def test_await_ends_with_the_task_however_that_ends(app: App, end: str):
    task_id = await app.submit()
    waiting = asyncio.create_task(app.call("AwaitTask", task_id=task_id, wait={"seconds": 10}))
    worker = Worker(app)
    if end == "complete":
        await worker.report(await worker.lease(), complete={})
    elif end == "end":
        await app.call("EndTask", task_id=task_id, failure={"kind": "Given", "message": "up"})
    else:
        await app.call("CancelTask", task_id=task_id)

    task = (await waiting).task

    assert task.state == {"complete": SUCCEEDED, "end": FAILED}.get(end, CANCELLED)
    if end == "delete":
        await app.call("DeleteTask", task_id=task_id)
        assert (await app.refusal("AwaitTask", task_id=task_id)).reason == "TASK_NOT_FOUND"


async def test_a_wait_ends_with_the_deadline_of_its_call(app: App):
    task_id = await app.submit()

    answer = await app.call("AwaitTask", patience=0.6, task_id=task_id, wait={"seconds": 60})

    assert answer.task.state == READY


# ---- operators ----------------------------------------------------------------------------------


async def test_a_cancel_of_a_waiting_task_says_so(app: App):
    task_id = await app.submit()

    task = (await app.call("CancelTask", task_id=task_id)).task

    assert (task.state, task.cancel_reason) == (CANCELLED, task_pb2.CANCEL_REASON_REQUESTED)
    assert (await app.call("CancelTask", task_id=task_id)).task == task


async def test_an_operators_result_is_the_result(app: App):
    task_id = await app.submit()

    await app.call("EndTask", task_id=task_id, result={"data": b"done by hand"})

    task = await app.task(task_id)
    assert (task.state, task.result.data) == (SUCCEEDED, b"done by hand")
    execution = (await app.call("GetExecution", task_id=task_id)).execution
    assert (execution.number, execution.result.data) == (1, b"done by hand")


async def test_an_operators_end_of_a_running_task_stands_behind_the_execution_it_ended(app: App):
    task_id = await app.submit()
    worker = Worker(app)
    lease = await worker.lease()

    await app.call("EndTask", task_id=task_id, failure={"kind": "Given", "message": "up"})

    executions = (await app.call("ListExecutions", task_id=task_id)).executions
    assert [(e.number, e.outcome) for e in executions] == [
        (2, execution_pb2.EXECUTION_OUTCOME_FAILED),
        (1, execution_pb2.EXECUTION_OUTCOME_CANCELLED),
    ]
    assert (await app.task(task_id)).failure.kind == "Given"
    assert (await worker.report(lease, complete={})).HasField("error")


async def test_a_task_that_succeeded_can_be_run_again(app: App):
    task_id = await app.submit()
    worker = Worker(app)
    # Text that is no UTF-8: a result must not be taken for a failure.
    payload = {"data": b"\xff\xfe", "content_type": "application/x-binary"}
    await worker.report(await worker.lease(), complete={"result": payload})

    task = (await app.call("RetryTask", task_id=task_id)).task

    assert task.state == READY
    lease = await worker.lease()
    assert (lease.execution, lease.attempt) == (2, 1)
    assert not lease.HasField("previous_failure")


async def test_a_retry_with_another_spec_keeps_who_submitted_the_task(app: App):
    task_id = await app.submit()
    await app.call("CancelTask", task_id=task_id)
    spec: dict[str, Any] = {
        "task_type": TYPE,
        "queue": "q",
        "priority": 9,
        "delay": {"seconds": 60},
    }

    task = (await app.call("RetryTask", task_id=task_id, spec=spec)).task

    assert (task.state, task.spec.priority, task.creator) == (SCHEDULED, 9, "anonymous")


async def test_an_update_takes_the_fields_of_its_mask_and_no_others(app: App):
    task_id = await app.submit(labels={"a": "1"}, owner="me", payload={"data": b"input"})
    before = await app.task(task_id)

    await app.call(
        "UpdateTask",
        task_id=task_id,
        spec={"labels": {"b": "2"}, "priority": 8, "owner": "you", "description": "not taken"},
        update_mask={"paths": ["labels", "priority"]},
        etag=before.etag,
    )

    after = await app.task(task_id)
    assert (dict(after.spec.labels), after.spec.priority) == ({"b": "2"}, 8)
    assert (after.spec.owner, after.spec.description) == ("me", "")
    assert after.spec.payload.data == b"input"
    assert after.etag != before.etag


async def test_updates_at_the_same_time_all_count_unless_they_name_an_etag(app: App):
    task_id = await app.submit()
    names = ("owner", "description", "display_name")
    updates = [
        app.call("UpdateTask", task_id=task_id, spec={name: "new"}, update_mask={"paths": [name]})
        for name in names
    ]

    await asyncio.gather(*updates)

    spec = (await app.task(task_id)).spec
    assert [getattr(spec, name) for name in names] == ["new"] * len(names)


async def test_an_update_of_the_time_puts_a_task_off_and_brings_it_forward(app: App):
    task_id = await app.submit()
    later = Timestamp(seconds=(await app.task(task_id)).create_time.seconds + 600)
    mask = {"paths": ["schedule_time"]}

    put_off = await app.call(
        "UpdateTask", task_id=task_id, spec={"schedule_time": later}, update_mask=mask
    )
    brought = await app.call("UpdateTask", task_id=task_id, update_mask=mask)

    assert (put_off.task.state, put_off.task.schedule_time) == (SCHEDULED, later)
    assert brought.task.state == READY


async def test_executions_are_listed_newest_first_page_by_page(app: App):
    policy = {"max_attempts": 9, "initial_backoff": {"nanos": 1_000_000}}
    task_id = await app.submit(retry_policy=policy)
    worker = Worker(app)
    for n in range(3):
        lease = await worker.lease()
        assert lease.previous_failure.message == (f"no {n - 1}" if n else "")
        await worker.report(
            lease,
            fail={"failure": {"kind": "Boom", "message": f"no {n}"}},
        )
    await worker.lease()

    numbers, token = [], ""
    while True:
        page = await app.call("ListExecutions", task_id=task_id, page_size=3, page_token=token)
        numbers.append([execution.number for execution in page.executions])
        token = page.next_page_token
        if not token:
            break

    assert numbers == [[4, 3, 2], [1]]
    running = (await app.call("GetExecution", task_id=task_id)).execution
    assert (running.number, running.outcome) == (4, 0)
    first = (await app.call("GetExecution", task_id=task_id, number=1)).execution
    assert first.failure.message == "no 0"
    assert first.worker_session_id == worker.session_id
    refusal = await app.refusal("GetExecution", task_id=task_id, number=9)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "EXECUTION_NOT_FOUND")


async def test_a_task_that_was_given_back_too_often_says_so(
    plain_program: StoreProgram, tmp_path: Path
):
    async with app_on(plain_program, tmp_path, lease__releases_in_a_row="1") as app:
        task_id = await app.submit("given.back")
        worker = Worker(app, queues=("given.back",))
        for _ in range(2):
            lease = await worker.lease()
            await worker.report(lease, release={"reason": "RELEASE_REASON_SHUTDOWN"})

        task = await app.task(task_id)

    assert (task.state, task.failure.kind) == (FAILED, "penstock.Released")
    assert task.failure.message == "given back 2 times in a row"
