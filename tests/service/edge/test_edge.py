"""The edge around a service over a real channel: what callers see, what services are spared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from penstock.v1 import task_service_pb2 as pb
from penstock.v1 import task_service_pb2_grpc as rpc
from penstock_server.engine.access import AccessKeys, KeyRing
from penstock_server.model.access import AccessKey, Role
from penstock_server.model.errors import LeaseLost, TaskNotFound
from penstock_server.service.authorizer import RoleAuthorizer
from penstock_server.service.interceptors import (
    Admission,
    AdmissionLimits,
    Authenticator,
    CallTimes,
    Edge,
    EdgeParts,
    Registry,
)
from penstock_server.service.listening import ListenOptions, drain, listen
from penstock_server.service.principal import current_principal
from penstock_server.telemetry.metrics import Metrics
from penstock_server.telemetry.tracing import Tracing, TracingOptions

WITHIN = 10  # seconds; a call that takes longer hangs
SERVICE = pb.DESCRIPTOR.services_by_name["TaskService"]
SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Tasks(rpc.TaskServiceServicer):
    """Does what a test tells it to."""

    def __init__(self) -> None:
        self.get: Callable[[Any], Awaitable[Any]] = _empty
        self.watching = asyncio.Event()
        self.watch_ended = asyncio.Event()
        self.callers: list[str] = []

    async def GetTask(self, request: Any, context: Any) -> Any:
        self.callers.append(current_principal().name)
        return await self.get(request)

    async def AwaitTask(self, request: Any, context: Any) -> Any:
        self.watching.set()
        await asyncio.Event().wait()

    async def WatchTasks(self, request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            yield pb.WatchTasksResponse(cursor="first")
            self.watching.set()
            if request.cursor == "fail":
                raise TaskNotFound(namespace="default", task_id="t")
            if request.cursor != "end":
                await asyncio.Event().wait()
        finally:
            self.watch_ended.set()


async def _empty(_: Any) -> pb.GetTaskResponse:
    return pb.GetTaskResponse()


class Keys:
    def __init__(self) -> None:
        self.kept: dict[str, AccessKey] = {}

    async def all_keys(self) -> list[AccessKey]:
        return list(self.kept.values())

    async def put_key(self, key: AccessKey) -> None:
        self.kept[key.key_id] = key


@dataclass
class Served:
    """A server with the edge, and a client of it."""

    tasks: Tasks
    stub: Any
    channel: grpc.aio.Channel
    admission: Admission
    metrics: Metrics
    server: grpc.aio.Server


@asynccontextmanager
async def served(
    *,
    limits: AdmissionLimits | None = None,
    short: timedelta = timedelta(seconds=30),
    request_bytes: int = 64 << 10,
    keys: Keys | None = None,
    tracing: Tracing | None = None,
) -> AsyncIterator[Served]:
    ring = KeyRing(keys or Keys(), "on" if keys else "off")
    admission = Admission(limits or AdmissionLimits())
    metrics = Metrics(CollectorRegistry())
    parts = EdgeParts(
        authenticator=Authenticator(ring),
        authorizer=RoleAuthorizer(),
        admission=admission,
        metrics=metrics,
        tracing=tracing or Tracing(TracingOptions()),
        request_bytes=request_bytes,
    )
    registry = Registry(Edge(parts), CallTimes(short=short))
    tasks = Tasks()  # type: ignore[abstract] # the rest is what nobody has written
    registry.add(SERVICE, tasks, rpc.add_TaskServiceServicer_to_server)
    options = ListenOptions(address="127.0.0.1:0", request_bytes=request_bytes)
    server, port = await listen(options, registry)
    try:
        async with grpc.aio.insecure_channel(
            f"127.0.0.1:{port}", options=(("grpc.enable_http_proxy", 0),)
        ) as channel:
            stub: Any = rpc.TaskServiceStub(channel)
            yield Served(tasks, stub, channel, admission, metrics, server)
    finally:
        await server.stop(0)


def raw_call(server: Served, path: str) -> Any:
    """Calls a method with bytes."""
    channel: Any = server.channel
    return channel.unary_unary(path)


async def refusal(call: Awaitable[Any]) -> tuple[grpc.StatusCode, str, dict[str, str], str]:
    """Code, reason, facts and text of a call that is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(call, WITHIN)
    error = caught.value
    status = status_pb2.Status()
    metadata: Any = error.trailing_metadata() or ()
    for name, value in metadata:
        if name == "grpc-status-details-bin":
            status.ParseFromString(value)
    info = error_details_pb2.ErrorInfo()
    assert status.details, f"a raw status: {error.code()} {error.details()}"
    assert status.details[0].Unpack(info)
    return error.code(), info.reason, dict(info.metadata), error.details() or ""


async def test_a_refusal_of_the_service_arrives_typed() -> None:
    async def get(request: Any) -> Any:
        raise TaskNotFound(namespace="default", task_id=request.task_id)

    async with served() as server:
        server.tasks.get = get

        code, reason, facts, _ = await refusal(server.stub.GetTask(pb.GetTaskRequest(task_id="t")))

    assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND")
    assert facts == {"namespace": "default", "task_id": "t"}


async def test_a_fault_tells_the_caller_nothing_but_an_id() -> None:
    async def get(_: Any) -> Any:
        raise RuntimeError("table tasks at 10.0.0.7, password hunter2")

    async with served() as server:
        server.tasks.get = get

        code, reason, facts, text = await refusal(server.stub.GetTask(pb.GetTaskRequest()))

    assert (code, reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert set(facts) == {"error_id"}
    assert "hunter2" not in text


async def test_an_answer_that_cannot_be_sent_is_a_fault_and_not_a_leak() -> None:
    async def get(_: Any) -> Any:
        return "not a message"

    async with served() as server:
        server.tasks.get = get

        assert (await refusal(server.stub.GetTask(pb.GetTaskRequest())))[1] == "INTERNAL"


@pytest.mark.parametrize("raw", [b"\xff\xff\xff", b"\x0a\x02\xff\xfe", b"\x0a\x7f"])
async def test_bytes_that_are_no_request_are_refused_as_a_bad_field(raw: bytes) -> None:
    async with served() as server:
        call = raw_call(server, "/penstock.v1.TaskService/GetTask")

        code, reason, _, _ = await refusal(call(raw))

    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")


async def test_a_request_beyond_the_bound_is_refused_as_too_large() -> None:
    async with served(request_bytes=64 << 10) as server:
        request = pb.GetTaskRequest(task_id="x" * (100 << 10))

        code, reason, facts, _ = await refusal(server.stub.GetTask(request))

    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "TOO_LARGE")
    assert facts["limit"] == str(64 << 10)


@pytest.mark.parametrize("path", ["/penstock.v1.TaskService/Nothing", "/no.Service/At", "/x"])
async def test_an_unknown_method_is_refused_in_the_same_form(path: str) -> None:
    async with served() as server:
        code, reason, facts, _ = await refusal(raw_call(server, path)(b""))

    assert (code, reason) == (grpc.StatusCode.UNIMPLEMENTED, "UNIMPLEMENTED")
    assert facts == {"method": path}


async def test_a_method_that_nobody_has_written_is_unimplemented_too() -> None:
    async with served() as server:
        unary = await refusal(server.stub.CancelTask(pb.CancelTaskRequest()))
        stream = await refusal(server.stub.TailLogs(pb.TailLogsRequest()).read())

    assert unary[1] == stream[1] == "UNIMPLEMENTED"


async def test_a_call_that_takes_too_long_ends_on_the_server() -> None:
    async def get(_: Any) -> Any:
        await asyncio.Event().wait()

    async with served(short=timedelta(milliseconds=50)) as server:
        server.tasks.get = get

        code, reason, facts, _ = await refusal(server.stub.GetTask(pb.GetTaskRequest()))

        assert (code, reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
        assert facts["allowed_seconds"] == "0.05"
        assert server.admission.under_way()["calls"] == 0


async def test_a_timeout_inside_the_service_is_a_fault_and_no_deadline() -> None:
    async def get(_: Any) -> Any:
        raise TimeoutError

    async with served() as server:
        server.tasks.get = get

        assert (await refusal(server.stub.GetTask(pb.GetTaskRequest())))[1] == "INTERNAL"


# ---- streams -----------------------------------------------------------------------------------


async def test_a_stream_brings_answers_and_then_its_refusal() -> None:
    async with served() as server:
        call = server.stub.WatchTasks(pb.WatchTasksRequest(cursor="fail"))

        first = await call.read()
        code, reason, _, _ = await refusal(call.read())

    assert first.cursor == "first"
    assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND")


async def test_a_stream_ends_by_itself() -> None:
    async with served() as server:
        answers = [
            a.cursor async for a in server.stub.WatchTasks(pb.WatchTasksRequest(cursor="end"))
        ]

        assert answers == ["first"]
        assert server.admission.under_way()["streams"] == 0


async def test_a_reader_that_goes_away_ends_the_stream_and_makes_room() -> None:
    async with served(limits=AdmissionLimits(streams=1)) as server:
        call = server.stub.WatchTasks(pb.WatchTasksRequest())
        await call.read()
        await asyncio.wait_for(server.tasks.watching.wait(), WITHIN)

        call.cancel()
        await asyncio.wait_for(server.tasks.watch_ended.wait(), WITHIN)

        again = server.stub.WatchTasks(pb.WatchTasksRequest(cursor="end"))
        assert (await again.read()).cursor == "first"
        again.cancel()


# ---- bounds ------------------------------------------------------------------------------------


async def test_waiting_calls_and_streams_at_their_bounds_leave_short_calls_alone() -> None:
    async with served(limits=AdmissionLimits(polls=1, streams=1)) as server:
        waiting = server.stub.AwaitTask(pb.AwaitTaskRequest())
        stream = server.stub.WatchTasks(pb.WatchTasksRequest())
        await stream.read()
        await asyncio.wait_for(server.tasks.watching.wait(), WITHIN)

        poll = await refusal(server.stub.AwaitTask(pb.AwaitTaskRequest()))
        watch = await refusal(server.stub.WatchTasks(pb.WatchTasksRequest()).read())
        answer = await server.stub.GetTask(pb.GetTaskRequest())

        assert poll[:2] == watch[:2] == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert answer == pb.GetTaskResponse()
        waiting.cancel()
        stream.cancel()


# ---- who calls ---------------------------------------------------------------------------------


async def with_key(keys: Keys, role: Role, *namespaces: str) -> tuple[tuple[str, str], ...]:
    where = frozenset(namespaces) or None
    new = await AccessKeys(keys).create(role=role, namespaces=where, description=role.value)
    return (("authorization", f"Bearer {new.text}"),)


async def test_without_a_key_nothing_is_answered_where_keys_are_on() -> None:
    async with served(keys=Keys()) as server:
        code, reason, _, _ = await refusal(server.stub.GetTask(pb.GetTaskRequest()))

        assert (code, reason) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
        assert server.tasks.callers == []


async def test_the_service_knows_who_calls() -> None:
    keys = Keys()
    async with served(keys=keys) as server:
        viewer = await with_key(keys, Role.VIEWER)
        admin = await with_key(keys, Role.ADMIN)

        await asyncio.gather(
            server.stub.GetTask(pb.GetTaskRequest(), metadata=viewer),
            server.stub.GetTask(pb.GetTaskRequest(), metadata=admin),
        )

        assert sorted(server.tasks.callers) == ["key:admin", "key:viewer"]


async def test_where_keys_are_off_everybody_is_anonymous() -> None:
    async with served() as server:
        await server.stub.GetTask(pb.GetTaskRequest())

        assert server.tasks.callers == ["anonymous"]


async def test_a_role_that_does_not_cover_the_call_is_refused() -> None:
    keys = Keys()
    async with served(keys=keys) as server:
        worker = await with_key(keys, Role.WORKER)

        code, reason, facts, _ = await refusal(
            server.stub.GetTask(pb.GetTaskRequest(), metadata=worker)
        )

    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    assert facts["role"] == "worker"


async def test_permission_comes_before_existence() -> None:
    keys = Keys()
    async with served(keys=keys) as server:
        viewer = await with_key(keys, Role.VIEWER, "dev")

        _, reason, _, _ = await refusal(
            server.stub.GetTask(pb.GetTaskRequest(namespace="no-such"), metadata=viewer)
        )

        assert reason == "PERMISSION_DENIED"
        assert server.tasks.callers == [], "nothing was looked up"


async def test_a_stream_needs_a_role_too() -> None:
    keys = Keys()
    async with served(keys=keys) as server:
        worker = await with_key(keys, Role.WORKER)
        call = server.stub.WatchTasks(pb.WatchTasksRequest(), metadata=worker)

        assert (await refusal(call.read()))[1] == "PERMISSION_DENIED"


# ---- what is told about calls ------------------------------------------------------------------


async def test_calls_are_measured_by_method_and_code() -> None:
    async def get(_: Any) -> Any:
        raise LeaseLost(task_id="t")

    async with served() as server:
        await server.stub.GetTask(pb.GetTaskRequest())
        server.tasks.get = get
        await refusal(server.stub.GetTask(pb.GetTaskRequest()))

    # A refused caller hears before the call is over, and so before it is counted.
    def count(code: str) -> float | None:
        labels = {
            "rpc_method": "penstock.v1.TaskService/GetTask",
            "rpc_response_status_code": code,
        }
        name = "rpc_server_call_duration_seconds_count"
        return server.metrics.registry.get_sample_value(name, labels)

    assert (count("OK"), count("FAILED_PRECONDITION")) == (1, 1)


async def test_only_a_sampled_call_has_a_span() -> None:
    spans = InMemorySpanExporter()
    tracing = Tracing(TracingOptions(), exporter=spans)
    async with served(tracing=tracing) as server:
        await server.stub.GetTask(pb.GetTaskRequest())
        await server.stub.GetTask(pb.GetTaskRequest(), metadata=(("traceparent", SAMPLED),))
        unsampled = SAMPLED[:-1] + "0"
        await server.stub.GetTask(pb.GetTaskRequest(), metadata=(("traceparent", unsampled),))
    tracing.shutdown()

    (span,) = spans.get_finished_spans()
    assert span.name == "penstock.v1.TaskService/GetTask"
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == SAMPLED[3:35]


# ---- the end -----------------------------------------------------------------------------------


async def test_a_drain_lets_calls_end_and_takes_no_new_ones() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def get(_: Any) -> Any:
        begun.set()
        await go_on.wait()
        return pb.GetTaskResponse()

    async with served() as server:
        server.tasks.get = get
        under_way = asyncio.ensure_future(server.stub.GetTask(pb.GetTaskRequest()))
        await asyncio.wait_for(begun.wait(), WITHIN)

        never = asyncio.Event().wait
        hour = timedelta(hours=1)
        await drain(server.server, grace=hour, end_waiting=go_on.set, hurry=wait_on(never))

        assert await under_way == pb.GetTaskResponse()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.stub.GetTask(pb.GetTaskRequest(), timeout=WITHIN)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_second_wish_to_end_ends_the_grace() -> None:
    begun = asyncio.Event()

    async def get(_: Any) -> Any:
        begun.set()
        await asyncio.Event().wait()

    async with served() as server:
        server.tasks.get = get
        under_way = asyncio.ensure_future(server.stub.GetTask(pb.GetTaskRequest()))
        await asyncio.wait_for(begun.wait(), WITHIN)

        hurry = asyncio.Event()
        hour = timedelta(hours=1)
        await asyncio.wait_for(
            drain(server.server, grace=hour, end_waiting=hurry.set, hurry=wait_on(hurry.wait)),
            WITHIN,
        )

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await under_way
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def wait_on(wait: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[None]]:
    async def waited() -> None:
        await wait()

    return waited
