"""The server's own spans, so that a trace is whole even if the worker of its task died.

Spans are built only for traces that their caller sampled, and only when a receiver is configured;
in every other case each function here costs one comparison. Span names and attributes follow the
messaging conventions of OpenTelemetry where these have a word, and `penstock.*` where not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import random
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode
from opentelemetry.util.types import AttributeValue

from penstock_server.telemetry.traceparent import TraceParent, parse_traceparent

_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_NS_PER_MS: Final = 1_000_000
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingOptions:
    """Where spans go. No endpoint: nowhere, and none are built."""

    endpoint: str | None = None
    """OTLP gRPC receiver, e.g. `http://127.0.0.1:4317`; http means without TLS."""
    sample_ratio: float = 0.0
    """Share of the calls without a trace context for which a trace begins here, 0.0 to 1.0."""
    service_name: str = "penstock-server"
    instance: str = ""
    """Tells this server apart from others of the same name."""


class Tracing:
    """Builds the spans of one server process and sends them off."""

    def __init__(self, options: TracingOptions, *, exporter: SpanExporter | None = None) -> None:
        self._ratio = options.sample_ratio
        exporter = exporter or _exporter(options)
        self.enabled = exporter is not None
        """False if spans go nowhere; callers may skip everything that leads to one."""
        if exporter is None:
            self._provider: TracerProvider | None = None
            self._tracer: trace.Tracer = trace.NoOpTracer()
            return
        resource = Resource.create(
            {"service.name": options.service_name, "service.instance.id": options.instance}
        )
        # The decision is the caller's: no span is begun here for a trace that is not sampled.
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("penstock.server")

    def queue_wait(
        self,
        traceparent: str,
        *,
        namespace: str,
        queue: str,
        task_id: str,
        start_ms: int,
        end_ms: int,
    ) -> None:
        """A task was ready from `start_ms` on and was leased at `end_ms`."""
        if parent := self._parent(traceparent):
            facts = _facts(namespace, queue, task_id)
            self._past(f"queue wait {queue}", parent, start_ms, end_ms, facts)

    def retry_wait(
        self,
        traceparent: str,
        *,
        namespace: str,
        queue: str,
        task_id: str,
        attempt: int,
        start_ms: int,
        end_ms: int,
    ) -> None:
        """A task whose attempt `attempt` failed at `start_ms` became ready again at `end_ms`."""
        if parent := self._parent(traceparent):
            facts = _facts(namespace, queue, task_id, attempt=attempt)
            self._past(f"retry wait {queue}", parent, start_ms, end_ms, facts)

    def lease(
        self,
        traceparent: str,
        *,
        namespace: str,
        queue: str,
        task_id: str,
        execution: int,
        worker: str,
        outcome: str,
        start_ms: int,
        end_ms: int,
        failed: bool = False,
    ) -> None:
        """An execution was leased at `start_ms` and its end was recorded at `end_ms`."""
        if parent := self._parent(traceparent):
            facts = _facts(
                namespace, queue, task_id, execution=execution, worker=worker, outcome=outcome
            )
            status = Status(StatusCode.ERROR, outcome) if failed else None
            self._past(f"lease {queue}", parent, start_ms, end_ms, facts, status)

    def begin_call(self, method: str, traceparent: str | None) -> Span | None:
        """A span for a call that is being served; None if its trace is not sampled. End it."""
        parent = parse_traceparent(traceparent) if traceparent else None
        if parent is None:
            if not self.enabled or not self._ratio or random() >= self._ratio:
                return None
        elif not self.enabled or not parent.sampled:
            return None
        return self._tracer.start_span(
            method.removeprefix("/"),
            context=None if parent is None else _context(parent),
            kind=SpanKind.SERVER,
            attributes={"rpc.system.name": "grpc", "rpc.method": method.removeprefix("/")},
        )

    def shutdown(self) -> None:
        """Sends what is left, and ends. Blocks for as long as the receiver takes."""
        if self._provider is not None:
            self._provider.shutdown()

    def _parent(self, traceparent: str) -> TraceParent | None:
        if not traceparent or not self.enabled:
            return None
        parent = parse_traceparent(traceparent)
        return parent if parent is not None and parent.sampled else None

    def _past(
        self,
        name: str,
        parent: TraceParent,
        start_ms: int,
        end_ms: int,
        facts: Mapping[str, AttributeValue],
        status: Status | None = None,
    ) -> None:
        span = self._tracer.start_span(
            name,
            context=_context(parent),
            kind=SpanKind.INTERNAL,
            attributes=dict(facts),
            start_time=start_ms * _NS_PER_MS,
        )
        if status is not None:
            span.set_status(status)
        # Store clocks may step back; a span never ends before it begins.
        span.end(max(start_ms, end_ms) * _NS_PER_MS)


def end_call(span: Span, code: str) -> None:
    """Ends the span of a call with its gRPC code, e.g. `OK` or `NOT_FOUND`."""
    span.set_attribute("rpc.response.status_code", code)
    if code in _FAULTS:
        span.set_status(Status(StatusCode.ERROR, code))
    span.end()


# Only these mean that the server, and not the caller, has a problem.
_FAULTS: Final = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)


def link_to(traceparent: str) -> Link | None:
    """A link to the span that the header names; None if it names none."""
    parent = parse_traceparent(traceparent)
    return None if parent is None else Link(_span_context(parent))


def _span_context(parent: TraceParent) -> SpanContext:
    return SpanContext(parent.trace_id, parent.span_id, is_remote=True, trace_flags=_SAMPLED)


def _context(parent: TraceParent) -> Context:
    return trace.set_span_in_context(NonRecordingSpan(_span_context(parent)), Context())


def _facts(
    namespace: str, queue: str, task_id: str, **more: AttributeValue
) -> dict[str, AttributeValue]:
    facts: dict[str, AttributeValue] = {
        "messaging.system": "penstock",
        "messaging.destination.name": queue,
        "messaging.message.id": task_id,
        "penstock.namespace": namespace,
    }
    facts.update({f"penstock.{name}": value for name, value in more.items()})
    return facts


def _exporter(options: TracingOptions) -> SpanExporter | None:
    if options.endpoint is None:
        return None
    # Loads gRPC's blocking stack, which a server that sends no spans does without.
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    insecure = not options.endpoint.startswith("https://")
    return OTLPSpanExporter(
        endpoint=options.endpoint,
        insecure=insecure,
        channel_options=_channel_options(options.endpoint),
    )


def _channel_options(endpoint: str) -> Any:
    """A receiver on this machine is never looked for behind a proxy."""
    host = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}").hostname
    return (("grpc.enable_http_proxy", 0),) if host in _LOOPBACK else None
