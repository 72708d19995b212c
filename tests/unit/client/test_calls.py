"""Deadlines, repeats and errors of ordinary calls."""

from __future__ import annotations

import asyncio
import socket
from datetime import timedelta

import grpc
import pytest

from penstock import BackoffOptions, Client, ClientOptions
from penstock.error_mapping import from_item_error
from penstock.errors import (
    BacklogFull,
    ClientClosed,
    DeadlineExceeded,
    FieldInvalid,
    NotFound,
    Overloaded,
    ServerUnavailable,
    ShuttingDown,
    TaskCancelled,
    TaskFailed,
    TaskNotEnded,
    TaskNotFound,
    TooLarge,
    Unimplemented,
    Violation,
)
from penstock.retry import Backoff
from penstock.transport import Transport
from penstock.v1 import error_pb2, task_pb2
from penstock.v1.task_service_pb2 import (
    AwaitTaskResponse,
    DeleteTaskResponse,
    EndTaskResponse,
    GetTaskRequest,
    GetTaskResponse,
    RetryTaskResponse,
    RunTaskResponse,
    UpdateTaskResponse,
)
from support.scripted_server import Refusal, Unary, unavailable


def raises(refusal: Refusal) -> Unary:
    async def answer(request):
        raise refusal

    return answer


async def test_a_refusal_carries_its_facts(client, server):
    server.unary["GetTask"] = raises(
        Refusal(
            grpc.StatusCode.INVALID_ARGUMENT,
            "FIELD_INVALID",
            "task_id: 26 characters",
            violations=[("task_id", "26 characters")],
            field_count="1",
        )
    )

    with pytest.raises(FieldInvalid) as raised:
        await client.get("x")

    error = raised.value
    assert (error.reason, error.code) == ("FIELD_INVALID", 3)
    assert str(error) == "task_id: 26 characters"
    assert error.violations == (Violation("task_id", "26 characters"),)
    assert error.facts == {"field_count": "1"}
    assert len(server.requests) == 1


async def test_a_reason_of_a_newer_server_falls_back_to_its_code(client, server):
    server.unary["GetTask"] = raises(
        Refusal(grpc.StatusCode.NOT_FOUND, "MOON_NOT_FOUND", "no moon")
    )

    with pytest.raises(NotFound) as raised:
        await client.get("x")

    assert raised.value.reason == "MOON_NOT_FOUND"
    assert NotFound.reason == ""


async def test_an_answer_that_is_not_of_a_penstock_server_names_the_address(client, server):
    server.unary["GetTask"] = raises(Refusal(grpc.StatusCode.UNIMPLEMENTED, message="what?"))

    with pytest.raises(Unimplemented, match=server.address) as raised:
        await client.get("x")

    assert raised.value.reason == ""


def test_an_item_error_carries_the_same_facts():
    item = error_pb2.ItemError(
        code=8,
        reason=error_pb2.ERROR_REASON_BACKLOG_FULL,
        message="full",
        metadata={"limit": "5"},
    )
    item.retry_delay.FromSeconds(2)

    error = from_item_error(item)

    assert isinstance(error, BacklogFull)
    assert (error.code, error.message, error.facts) == (8, "full", {"limit": "5"})
    assert error.retry_delay == timedelta(seconds=2)


async def test_a_server_that_is_not_there_is_named_with_what_to_try():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: nobody else gets it either
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        async with Client(ClientOptions(address=address)) as client:
            with pytest.raises(ServerUnavailable) as raised:
                await client.get("x", timeout=timedelta(milliseconds=300))

    assert address in str(raised.value)
    assert "PENSTOCK_ADDRESS" in str(raised.value)


async def test_unavailable_is_tried_again_until_it_is_not(client, server):
    async def third_time(request):
        if len(server.requests) < 3:
            raise unavailable(timedelta(milliseconds=1))
        return GetTaskResponse(task=task_pb2.Task(task_id="t"))

    server.unary["GetTask"] = third_time

    assert (await client.get("t")).task_id == "t"
    assert len(server.requests) == 3


async def test_a_call_that_a_dying_server_cancelled_is_tried_again(client, server):
    async def second_time(request):
        if len(server.requests) < 2:
            raise Refusal(grpc.StatusCode.CANCELLED, message="CANCELLED")
        return GetTaskResponse(task=task_pb2.Task(task_id="t"))

    server.unary["GetTask"] = second_time

    assert (await client.get("t")).task_id == "t"


async def test_resource_exhausted_is_tried_again_only_if_the_server_says_when(client, server):
    server.unary["GetTask"] = raises(
        Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, message="message larger than max")
    )
    with pytest.raises(TooLarge):
        await client.get("t")
    assert len(server.requests) == 1

    server.unary["GetTask"] = raises(
        Refusal(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "OVERLOADED",
            retry_delay=timedelta(milliseconds=5),
        )
    )
    with pytest.raises(Overloaded):
        await client.get("t", timeout=timedelta(milliseconds=300))
    assert len(server.requests) > 2


async def test_a_delay_that_is_longer_than_the_time_left_ends_the_call_at_once(client, server):
    server.unary["GetTask"] = raises(unavailable(timedelta(minutes=1)))

    with pytest.raises(ShuttingDown):
        await client.get("t")

    assert len(server.requests) == 1


async def test_every_call_has_a_deadline(client, server):
    async def never(request):
        await asyncio.Event().wait()

    server.unary["GetTask"] = never

    with pytest.raises(DeadlineExceeded, match=server.address):
        await client.get("t", timeout=timedelta(milliseconds=50))


async def test_what_is_not_repeatable_is_not_repeated(server):
    server.unary["GetTask"] = raises(unavailable())
    transport = Transport(ClientOptions(address=server.address))

    with pytest.raises(ShuttingDown):
        await transport.call(transport.tasks.GetTask, GetTaskRequest(), repeatable=False)

    assert len(server.requests) == 1
    await transport.close()


async def test_a_delete_whose_reply_was_lost_has_deleted(client, server):
    async def gone_the_second_time(request):
        if len(server.requests) == 1:
            raise unavailable()
        raise Refusal(grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND")

    server.unary["DeleteTask"] = gone_the_second_time
    await client.delete("t")
    assert len(server.requests) == 2

    async def gone(request):
        raise Refusal(grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND")

    server.unary["DeleteTask"] = gone
    with pytest.raises(TaskNotFound):
        await client.delete("t")

    async def deletes(request):
        return DeleteTaskResponse()

    server.unary["DeleteTask"] = deletes
    await client.delete("t")


async def test_a_cancelled_caller_is_cancelled_and_its_call_too(client, server):
    cancelled = asyncio.Event()

    async def never(request):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    server.unary["GetTask"] = never
    call = asyncio.create_task(client.get("t"))
    await server.called.wait()

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.wait_for(cancelled.wait(), 5)


async def test_closing_ends_calls_under_way_with_client_closed(client, server):
    async def never(request):
        await asyncio.Event().wait()

    server.unary["GetTask"] = never
    call = asyncio.create_task(client.get("t"))
    await server.called.wait()

    await client.close()

    with pytest.raises(ClientClosed):
        await call
    with pytest.raises(ClientClosed):
        await client.get("t")


def test_backoff_grows_is_bounded_and_comes_after_what_the_server_asks():
    options = BackoffOptions(initial=timedelta(seconds=1), longest=timedelta(seconds=5))
    highest, lowest = Backoff(options, lambda: 1.0), Backoff(options, lambda: 0.0)

    assert [highest.seconds(n) for n in (0, 1, 2, 3, 10_000)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert [lowest.seconds(n) for n in (0, 5)] == [0.0, 0.0]
    assert highest.seconds(0, timedelta(seconds=7)) == 8.0
    assert lowest.seconds(9, timedelta(seconds=7)) == 7.0


# ---- run and await --------------------------------------------------------------------------


def task(state: str, **fields) -> task_pb2.Task:
    return task_pb2.Task(
        task_id="t1",
        state=task_pb2.TaskState.Value(f"TASK_STATE_{state}"),
        spec=task_pb2.TaskSpec(task_type="add"),
        **fields,
    )


def json_payload(data: bytes) -> task_pb2.Payload:
    return task_pb2.Payload(content_type="application/json", data=data)


async def test_run_waits_until_the_task_has_ended_and_answers_its_result(client, server):
    async def still_running(request):
        if len(server.requests) == 1:
            raise unavailable()
        return RunTaskResponse(task=task("RUNNING"))

    async def ends(request):
        if len(server.of("AwaitTask")) < 3:
            return AwaitTaskResponse(task=task("RUNNING"))
        return AwaitTaskResponse(task=task("SUCCEEDED", result=json_payload(b'{"sum":3}')))

    server.unary |= {"RunTask": still_running, "AwaitTask": ends}

    assert await client.run("add", [1, 2]) == {"sum": 3}
    runs = server.of("RunTask")
    assert len(runs) == 2
    assert runs[0].request_id == runs[1].request_id != ""
    assert runs[0].spec.payload.data == b"[1,2]"
    assert all(request.task_id == "t1" for request in server.of("AwaitTask"))


async def test_a_task_that_failed_or_was_cancelled_is_raised_with_the_task(client, server):
    failure = task_pb2.Failure(kind="ValueError", message="no", stack_trace="at line 1")

    async def fails(request):
        return RunTaskResponse(task=task("FAILED", failure=failure))

    server.unary["RunTask"] = fails
    with pytest.raises(TaskFailed, match="ValueError: no") as failed:
        await client.run("add")
    assert failed.value.failure is not None
    assert failed.value.failure.stack_trace == "at line 1"

    async def cancelled(request):
        return AwaitTaskResponse(
            task=task("CANCELLED", cancel_reason=task_pb2.CANCEL_REASON_EXPIRED)
        )

    server.unary["AwaitTask"] = cancelled
    with pytest.raises(TaskCancelled, match="expired"):
        await client.await_result("t1")
    assert (await client.await_task("t1")).state.name == "CANCELLED"


async def test_a_wait_that_is_over_says_so_and_the_task_goes_on(client, server):
    async def runs(request):
        return AwaitTaskResponse(task=task("RUNNING"))

    server.unary["AwaitTask"] = runs

    with pytest.raises(TaskNotEnded) as raised:
        await client.await_result("t1", timeout=timedelta(milliseconds=20))

    assert raised.value.task_id == "t1"
    assert isinstance(raised.value, TimeoutError)
    assert raised.value.task is not None


async def test_a_wait_outlives_a_restart_of_the_server(client, server):
    async def runs(request):
        if len(server.requests) < 4:
            raise unavailable(timedelta(milliseconds=1))
        return AwaitTaskResponse(task=task("SUCCEEDED"))

    server.unary["AwaitTask"] = runs

    assert await client.await_result("t1") is None


# ---- operators ------------------------------------------------------------------------------


async def test_update_names_exactly_what_is_given(client, server):
    async def answer(request):
        return UpdateTaskResponse(task=task("READY"))

    server.unary["UpdateTask"] = answer

    await client.update("t1", owner="", priority=0, labels={}, etag="e1")

    request = server.requests[0]
    assert set(request.update_mask.paths) == {"labels", "owner", "priority"}
    assert request.etag == "e1"


async def test_end_succeeds_with_a_result_or_fails_with_a_failure(client, server):
    async def answer(request):
        return EndTaskResponse(task=task("SUCCEEDED"))

    server.unary["EndTask"] = answer

    await client.end("t1")
    await client.end("t1", result=[1])
    await client.end("t1", failure="given up")

    nothing, result, failure = server.requests
    assert nothing.WhichOneof("ending") == "result"
    assert result.result.data == b"[1]"
    assert (failure.failure.kind, failure.failure.message) == ("operator", "given up")


async def test_retry_keeps_the_spec_unless_another_is_given(client, server):
    async def answer(request):
        return RetryTaskResponse(task=task("READY"))

    server.unary["RetryTask"] = answer
    edited = task_pb2.TaskSpec(task_type="add", payload=json_payload(b"[3]"))

    await client.retry("t1")
    await client.retry("t1", edited)

    assert not server.requests[0].HasField("spec")
    assert server.requests[1].spec == edited
    assert server.requests[0].request_id != server.requests[1].request_id
