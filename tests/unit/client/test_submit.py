"""Single submits that share calls, and many tasks in few calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from penstock import Client, ConflictPolicy, RetryPolicy, TaskRequest, Timeouts
from penstock.errors import (
    BatchAborted,
    ClientClosed,
    FieldInvalid,
    InvalidRequest,
    PermissionDenied,
    StoreFull,
    TaskAlreadyExists,
)
from penstock.v1 import error_pb2
from penstock.v1.task_service_pb2 import SubmitTasksResponse
from support.scripted_server import Refusal, take, taken, unavailable


@dataclass
class Picture:
    path: str
    width: int


async def test_everything_that_a_caller_asks_for_is_sent(client, server):
    server.unary["SubmitTasks"] = take
    due = datetime(2030, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)

    await client.submit(
        "images.resize",
        Picture("ä.png", 20),
        queue="images",
        priority=0,
        run_at=due,
        retry=RetryPolicy(max_attempts=7, initial_backoff=timedelta(milliseconds=250)),
        timeouts=Timeouts(start_to_close=timedelta(minutes=2)),
        labels={"team": "web"},
        headers={"locale": "de"},
        idempotency_key="k1",
        idempotency_window=timedelta(hours=1),
        conflict=ConflictPolicy.REJECT,
        fairness_key="alice",
        owner="web",
        display_name="resize",
        description="for the gallery",
        retention=timedelta(days=2),
        lease_duration=timedelta(seconds=20),
        cancel_grace=timedelta(0),
    )

    item = server.requests[0].items[0]
    spec = item.spec
    assert spec.task_type == "images.resize"
    assert spec.payload.content_type == "application/json"
    assert spec.payload.data == '{"path":"ä.png","width":20}'.encode()
    assert (spec.queue, spec.priority, spec.fairness_key) == ("images", 0, "alice")
    assert spec.HasField("priority")
    assert spec.schedule_time.ToDatetime(UTC) == due
    assert spec.retry_policy.max_attempts == 7
    assert spec.retry_policy.initial_backoff.ToMilliseconds() == 250
    assert not spec.retry_policy.HasField("multiplier")
    assert spec.timeouts.start_to_close.ToSeconds() == 120
    assert (spec.labels, spec.headers) == ({"team": "web"}, {"locale": "de"})
    assert (spec.owner, spec.display_name, spec.description) == (
        "web",
        "resize",
        "for the gallery",
    )
    assert spec.retention.ToTimedelta() == timedelta(days=2)
    assert spec.lease_duration.ToSeconds() == 20
    assert spec.HasField("cancel_grace")
    assert item.idempotency.key == "k1"
    assert item.idempotency.window.ToTimedelta() == timedelta(hours=1)
    assert item.idempotency.conflict_policy == ConflictPolicy.REJECT


async def test_nothing_is_sent_that_a_caller_did_not_ask_for(client, server):
    server.unary["SubmitTasks"] = take

    await client.submit("noop")

    item = server.requests[0].items[0]
    assert {field.name for field, _ in item.ListFields()} == {"spec"}
    assert {field.name for field, _ in item.spec.ListFields()} == {"task_type"}


async def test_an_idle_client_sends_at_once_and_a_busy_one_gathers(server):
    gate = asyncio.Event()

    async def held(request):
        await gate.wait()
        return taken(request)

    server.unary["SubmitTasks"] = held
    async with Client(server.options(submit_flights=1)) as client, asyncio.TaskGroup() as group:
        first = group.create_task(client.submit("t", b"first"))
        await server.called.wait()
        rest = [group.create_task(client.submit("t", str(n).encode())) for n in range(50)]
        await asyncio.sleep(0)
        gate.set()

    assert [len(request.items) for request in server.requests] == [1, 50]
    assert first.result().task_id == "id-t-first"
    assert [task.result().task_id for task in rest] == [f"id-t-{n}" for n in range(50)]
    assert len({request.request_id for request in server.requests}) == 2


async def test_each_gathered_submit_keeps_its_own_outcome(client, server):
    async def refuse_odd(request):
        response = SubmitTasksResponse()
        for index, item in enumerate(request.items):
            number = int(item.spec.payload.data)
            if number % 2 == 0:
                response.results.add(task_id=f"id-{number}", existing=number == 4)
                continue
            error = response.results.add().error
            error.code = 3
            error.reason = error_pb2.ERROR_REASON_FIELD_INVALID
            error.message = f"items[{index}].spec.priority: at most 9"
            error.field_violations.add(
                field=f"items[{index}].spec.priority", description="at most 9"
            )
        return response

    server.unary["SubmitTasks"] = refuse_odd

    answers: list[Any] = await asyncio.gather(
        *(client.submit("t", str(n).encode()) for n in range(6)), return_exceptions=True
    )

    assert [a.task_id for a in answers[::2]] == ["id-0", "id-2", "id-4"]
    assert [a.existing for a in answers[::2]] == [False, False, True]
    for error in answers[1::2]:
        assert isinstance(error, FieldInvalid)
        assert error.message == "spec.priority: at most 9"
        assert error.violations[0].field == "spec.priority"


async def test_a_repeated_call_keeps_its_request_id_and_its_items(client, server):
    calls = 0

    async def fail_twice(request):
        nonlocal calls
        calls += 1
        if calls <= 2:
            raise unavailable()
        return taken(request)

    server.unary["SubmitTasks"] = fail_twice

    result = await client.submit("t", b"1")

    assert result.task_id == "id-t-1"
    assert len(server.requests) == 3
    assert server.requests[0].request_id
    assert server.requests[0] == server.requests[1] == server.requests[2]


async def test_a_caller_that_goes_away_while_it_waits_is_not_submitted(server):
    gate = asyncio.Event()

    async def held(request):
        await gate.wait()
        return taken(request)

    server.unary["SubmitTasks"] = held
    async with Client(server.options(submit_flights=1)) as client, asyncio.TaskGroup() as group:
        group.create_task(client.submit("t", b"first"))
        await server.called.wait()
        gone = group.create_task(client.submit("t", b"gone"))
        stays = group.create_task(client.submit("t", b"stays"))
        await asyncio.sleep(0)
        gone.cancel()
        gate.set()

    assert gone.cancelled()
    assert stays.result().task_id == "id-t-stays"
    sent = [item.spec.payload.data for request in server.requests for item in request.items]
    assert sent == [b"first", b"stays"]


async def test_closing_the_client_answers_the_submits_under_way(server):
    async def never(request):
        await asyncio.Event().wait()

    server.unary["SubmitTasks"] = never
    client = Client(server.options(submit_flights=1))
    under_way = [asyncio.create_task(client.submit("t")) for _ in range(3)]
    await server.called.wait()
    late = asyncio.create_task(client.submit("t"))
    await asyncio.sleep(0)

    await client.close()

    answers = await asyncio.gather(*under_way, late, return_exceptions=True)
    assert [type(answer) for answer in answers] == [ClientClosed] * 4
    with pytest.raises(ClientClosed):
        await client.submit("t")


async def test_many_tasks_leave_in_calls_of_a_thousand_and_answer_in_order(client, server):
    server.unary["SubmitTasks"] = take

    results = await client.submit_many(
        TaskRequest("t", str(n).encode(), queue="q") for n in range(2_500)
    )

    assert sorted(len(request.items) for request in server.requests) == [500, 1_000, 1_000]
    assert [result.task_id for result in results] == [f"id-t-{n}" for n in range(2_500)]
    assert len({request.request_id for request in server.requests}) == 3


async def test_no_call_is_larger_than_three_mebibytes_unless_one_task_is(client, server):
    async def take_quietly(request):
        response = SubmitTasksResponse()
        for item in request.items:
            response.results.add(task_id=str(len(item.spec.payload.data)))
        return response

    server.unary["SubmitTasks"] = take_quietly
    sizes = [1_000_000] * 7 + [3_500_000, 10]

    results = await client.submit_many(TaskRequest("t", b"x" * size) for size in sizes)

    assert [int(result.task_id) for result in results] == sizes
    assert all(
        request.ByteSize() <= 3 * 1024 * 1024 + 100 or len(request.items) == 1
        for request in server.requests
    )


async def test_a_task_that_cannot_be_encoded_fails_alone(client, server):
    server.unary["SubmitTasks"] = take
    requests = [
        TaskRequest("t", b"0"),
        TaskRequest("t", object()),
        TaskRequest("t", b"2", queue=5),  # type: ignore[arg-type] # what is tested
        TaskRequest("t", float("nan")),
        TaskRequest("t", b"4"),
    ]

    results = await client.submit_many(requests)

    assert [result.task_id for result in results] == ["id-t-0", "", "", "", "id-t-4"]
    assert all(isinstance(results[n].error, InvalidRequest) for n in (1, 2, 3))
    assert len(server.requests[0].items) == 2


async def test_a_call_that_fails_as_a_whole_gives_its_error_to_each_of_its_tasks(client, server):
    async def deny(request):
        raise Refusal(grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")

    server.unary["SubmitTasks"] = deny

    results = await client.submit_many(TaskRequest("t") for _ in range(10_000))

    assert len(results) == 10_000
    assert all(isinstance(result.error, PermissionDenied) for result in results)
    assert len(server.requests) <= client.options.submit_flights


async def test_items_refused_with_not_now_are_tried_again_and_taken_ones_answer_once(
    client, server
):
    async def full_at_first(request):
        response = taken(request)
        if len(server.requests) == 1:
            refused = response.results[1]
            refused.task_id = ""
            refused.error.code = 8
            refused.error.reason = error_pb2.ERROR_REASON_STORE_FULL
            refused.error.retry_delay.FromMilliseconds(1)
        else:
            for index in (0, 2):
                response.results[index].existing = True
        return response

    server.unary["SubmitTasks"] = full_at_first

    results = await client.submit_many(TaskRequest("t", str(n).encode()) for n in range(3))

    assert [result.task_id for result in results] == ["id-t-0", "id-t-1", "id-t-2"]
    assert [result.existing for result in results] == [False, False, False]
    assert server.requests[0] == server.requests[1]


async def test_not_now_is_raised_once_the_time_is_over(client, server):
    async def full(request):
        response = SubmitTasksResponse()
        for _ in request.items:
            error = response.results.add().error
            error.code = 8
            error.reason = error_pb2.ERROR_REASON_STORE_FULL
            error.retry_delay.FromSeconds(60)
        return response

    server.unary["SubmitTasks"] = full

    with pytest.raises(StoreFull) as raised:
        await client.submit("t", timeout=timedelta(seconds=1))

    assert raised.value.retry_delay == timedelta(seconds=60)
    assert len(server.requests) == 1


async def test_all_or_none_goes_in_one_call(client, server):
    async def abort(request):
        response = SubmitTasksResponse()
        for index, _ in enumerate(request.items):
            error = response.results.add().error
            error.code = 6 if index == 1 else 9
            error.reason = (
                error_pb2.ERROR_REASON_TASK_ALREADY_EXISTS
                if index == 1
                else error_pb2.ERROR_REASON_BATCH_ABORTED
            )
        return response

    server.unary["SubmitTasks"] = abort

    results = await client.submit_many([TaskRequest("t")] * 3, all_or_none=True)

    assert [type(r.error) for r in results] == [BatchAborted, TaskAlreadyExists, BatchAborted]
    assert [(request.all_or_none, len(request.items)) for request in server.requests] == [(True, 3)]


async def test_an_error_of_the_callers_iterable_comes_through_as_it_is(client, server):
    server.unary["SubmitTasks"] = take

    def broken() -> Iterator[TaskRequest]:
        for _ in range(1_500):
            yield TaskRequest("t", b"")
        raise LookupError("no more rows")

    with pytest.raises(LookupError, match="no more rows"):
        await client.submit_many(broken())


async def test_no_tasks_need_no_call(client, server):
    assert await client.submit_many([]) == []
    assert server.requests == []


async def test_the_api_key_travels_with_every_call_and_shows_nowhere(server):
    server.unary["SubmitTasks"] = take
    options = server.options(submit_flights=1, api_key="pk_secret")

    async with Client(options) as client:
        await client.submit("t", json.dumps({}))

    assert server.metadata[0]["authorization"] == "Bearer pk_secret"
    assert "pk_secret" not in repr(options)
