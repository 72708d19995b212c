"""Spans of a producer, and the trace context that goes into each task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from penstock import TaskRequest, tracing
from penstock.errors import PermissionDenied
from penstock.v1 import task_pb2
from penstock.v1.task_service_pb2 import RunTaskResponse
from support.scripted_server import Refusal, take


class Traces:
    """A tracer provider of one test, in place of the process's."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.exporter = InMemorySpanExporter()

    def start(self, sampler: Sampler) -> None:
        provider = TracerProvider(sampler=sampler)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self._patch.setattr(tracing, "_tracer", provider.get_tracer("penstock"))
        self._patch.setattr(trace, "get_tracer_provider", lambda: provider)

    def named(self, name: str) -> list[Any]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> Traces:
    return Traces(monkeypatch)


def traceparent(span: ReadableSpan) -> str:
    facts = span.get_span_context()
    assert facts is not None
    assert facts.trace_flags.sampled
    return f"00-{facts.trace_id:032x}-{facts.span_id:016x}-{facts.trace_flags:02x}"


async def test_a_submit_is_a_producer_span_whose_context_is_in_the_task(client, server, traces):
    traces.start(ALWAYS_ON)
    server.unary["SubmitTasks"] = take

    result = await client.submit("images.resize", b"1", queue="images")

    (span,) = traces.named("send images")
    assert span.kind is SpanKind.PRODUCER
    assert dict(span.attributes) == {
        "messaging.system": "penstock",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "images",
        "messaging.message.id": result.task_id,
        "penstock.task_type": "images.resize",
    }
    sent = server.requests[0].items[0].spec.trace_context
    assert sent.traceparent == traceparent(span)


async def test_gathered_submits_keep_their_own_traces(client, server, traces):
    traces.start(ALWAYS_ON)
    server.unary["SubmitTasks"] = take

    await client.submit("t", b"1")
    await client.submit("t", b"2")

    first, second = traces.named("send default")
    assert first.context.trace_id != second.context.trace_id


async def test_a_batch_has_one_send_span_and_a_creation_context_for_each_task(
    client, server, traces
):
    traces.start(ALWAYS_ON)
    server.unary["SubmitTasks"] = take

    await client.submit_many(TaskRequest("t", str(n).encode(), queue="q") for n in range(3))

    (send,) = traces.named("send q")
    created = traces.named("create q")
    assert send.kind is SpanKind.CLIENT
    assert send.attributes["messaging.batch.message_count"] == 3
    assert [span.kind for span in created] == [SpanKind.PRODUCER] * 3
    assert all(span.parent.span_id == send.context.span_id for span in created)
    assert [item.spec.trace_context.traceparent for item in server.requests[0].items] == [
        traceparent(span) for span in created
    ]


async def test_a_refused_submit_is_an_error_span(client, server, traces):
    async def deny(request):
        raise Refusal(grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")

    traces.start(ALWAYS_ON)
    server.unary["SubmitTasks"] = deny

    with pytest.raises(PermissionDenied):
        await client.submit("t")

    (span,) = traces.named("send default")
    assert span.attributes["error.type"] == "PERMISSION_DENIED"
    assert not span.status.is_ok


async def test_run_is_traced_like_a_submit(client, server, traces):
    async def done(request):
        return RunTaskResponse(
            task=task_pb2.Task(task_id="t1", state=task_pb2.TASK_STATE_SUCCEEDED)
        )

    traces.start(ALWAYS_ON)
    server.unary["RunTask"] = done

    await client.run("t", queue="q")

    (span,) = traces.named("send q")
    assert span.attributes["messaging.message.id"] == "t1"
    assert server.requests[0].spec.trace_context.traceparent == traceparent(span)


@pytest.mark.parametrize("provider", [None, ALWAYS_OFF])
async def test_without_a_trace_nothing_is_added_to_a_task(client, server, traces, provider):
    if provider is not None:
        traces.start(provider)
    server.unary["SubmitTasks"] = take

    await client.submit("t")
    await client.submit_many([TaskRequest("t")])

    assert len(server.requests) == 2
    for request in server.requests:
        assert not request.items[0].spec.HasField("trace_context")


@pytest.fixture
def caller() -> Iterator[SpanContext]:
    """A trace that the caller is in and that nobody samples, with baggage."""
    facts = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(0))
    where = trace.set_span_in_context(NonRecordingSpan(facts))
    token = context.attach(baggage.set_baggage("tenant", "a b", where))
    yield facts
    context.detach(token)


async def test_a_callers_trace_travels_on_without_any_sdk(client, server, caller):
    server.unary["SubmitTasks"] = take

    await client.submit("t")
    await client.submit_many([TaskRequest("t")])

    for request in server.requests:
        sent = request.items[0].spec.trace_context
        assert sent.traceparent == f"00-{1:032x}-{2:016x}-00"
        assert sent.baggage == "tenant=a+b"


async def test_a_trace_context_that_the_caller_gives_is_kept(client, server, traces):
    traces.start(ALWAYS_ON)
    server.unary["SubmitTasks"] = take
    given = task_pb2.TraceContext(traceparent=f"00-{7:032x}-{8:016x}-01")

    await client.submit("t", trace_context=given)
    await client.submit_many([TaskRequest("t", trace_context=given)])

    for request in server.requests:
        assert request.items[0].spec.trace_context == given
