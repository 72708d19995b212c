"""Spans of the worker: `receive <queue>` for each answer that brought sampled tasks, and
`process <queue>` for each sampled execution.

Both are made in the supervisor: it is there to end the span when a runner has died. The context of
the process span travels to the runner, so that spans made by user code are its children. Nothing
is built for tasks whose trace is not sampled.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from penstock.v1 import execution_pb2, worker_pb2
from penstock_worker.held import Held

_PROPAGATOR: Final = TraceContextTextMapPropagator()
# The second is for everything that is sent by OTLP, the first for traces alone, and wins.
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_OUTCOME_PREFIX: Final = len("EXECUTION_OUTCOME_")


class Tracing(Protocol):
    """What the supervisor asks of its tracing."""

    def received(self, leases: Iterable[worker_pb2.Lease], started: float) -> SpanContext | None:
        """Records the call that brought these leases; `started` is wall-clock seconds."""

    def begin(self, held: Held, lease: worker_pb2.Lease, link: SpanContext | None) -> str:
        """Begins the span of an execution; answers its `traceparent`, or "" where there is none."""

    def end(self, held: Held, outcome: int, kind: str) -> None:
        """Ends the span of an execution."""

    def close(self) -> None:
        """Sends what is still here."""


class NoTracing:
    """Makes no spans."""

    def received(self, leases: Iterable[worker_pb2.Lease], started: float) -> SpanContext | None:
        """Does nothing."""
        return None

    def begin(self, held: Held, lease: worker_pb2.Lease, link: SpanContext | None) -> str:
        """Answers ""."""
        return ""

    def end(self, held: Held, outcome: int, kind: str) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""


class OtlpTracing:
    """Makes spans and sends them by OTLP over gRPC, as the OTEL_ variables say."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("penstock_worker")

    def received(self, leases: Iterable[worker_pb2.Lease], started: float) -> SpanContext | None:
        """Makes the receive span, linked to every sampled task of the answer."""
        sampled = [lease for lease in leases if is_sampled(lease)]
        if not sampled:
            return None
        queues = {lease.spec.queue for lease in sampled}
        name = f"receive {queues.pop()}" if len(queues) == 1 else "receive"
        span = self._tracer.start_span(
            name,
            kind=SpanKind.CLIENT,
            links=[Link(_creation(lease)) for lease in sampled],
            attributes=_operation("receive") | {"messaging.batch.message_count": len(sampled)},
            start_time=int(started * 1e9),
        )
        span.end()
        return span.get_span_context()

    def begin(self, held: Held, lease: worker_pb2.Lease, link: SpanContext | None) -> str:
        """Begins the process span as a child of the task's creation, linked to the receive span."""
        if not is_sampled(lease):
            return ""
        attributes = _operation("process") | {
            "messaging.destination.name": held.queue,
            "messaging.message.id": held.task_id,
            "penstock.task_type": held.task_type,
            "penstock.execution": held.execution,
            "penstock.attempt": lease.attempt,
        }
        held.span = self._tracer.start_span(
            f"process {held.queue}",
            context=_parent(lease),
            kind=SpanKind.CONSUMER,
            links=[Link(link)] if link is not None else [],
            attributes=attributes,
        )
        facts = held.span.get_span_context()
        return f"00-{facts.trace_id:032x}-{facts.span_id:016x}-{facts.trace_flags:02x}"

    def end(self, held: Held, outcome: int, kind: str) -> None:
        """Ends the process span with the outcome."""
        span: Span = held.span
        held.span = None
        name = execution_pb2.ExecutionOutcome.Name(outcome)[_OUTCOME_PREFIX:]  # type: ignore[arg-type]
        span.set_attribute("penstock.outcome", name)
        if kind:
            span.set_attribute("error.type", kind)
            span.set_status(Status(StatusCode.ERROR, name))
        span.end()

    def close(self) -> None:
        """Sends what is still here; waits a few seconds at most."""
        self._provider.shutdown()


def _operation(name: str) -> dict[str, str | int]:
    return {
        "messaging.system": "penstock",
        "messaging.operation.name": name,
        "messaging.operation.type": name,
    }


def is_sampled(lease: worker_pb2.Lease) -> bool:
    """Answers whether the task's trace is sampled."""
    spec = lease.spec
    if not spec.HasField("trace_context"):
        return False
    flags = spec.trace_context.traceparent[-2:]
    return len(flags) == 2 and flags[1] in "13579bdf"


def _creation(lease: worker_pb2.Lease) -> SpanContext:
    return trace.get_current_span(_parent(lease)).get_span_context()


def _parent(lease: worker_pb2.Lease) -> Context:
    context = lease.spec.trace_context
    carrier = {"traceparent": context.traceparent, "tracestate": context.tracestate}
    return _PROPAGATOR.extract(carrier)


def open_tracing(name: str) -> Tracing:
    """Answers tracing as the environment asks for it: none without an OTLP endpoint."""
    endpoint = next(filter(None, map(os.environ.get, _ENDPOINTS)), "")
    if not endpoint:
        return NoTracing()
    service = os.environ.get("OTEL_SERVICE_NAME", "penstock-worker")
    resource = Resource.create({"service.name": service, "service.instance.id": name})
    provider = TracerProvider(resource=resource)
    # A receiver on this machine is never looked for behind a proxy.
    host = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}").hostname
    direct: Any = (("grpc.enable_http_proxy", 0),) if host in _LOOPBACK else None
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(channel_options=direct)))
    return OtlpTracing(provider)
