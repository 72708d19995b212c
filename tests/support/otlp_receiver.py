"""A receiver of traces over OTLP gRPC, and what it got as a tree to look things up in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as pb_grpc
from opentelemetry.proto.trace.v1 import trace_pb2

PATIENCE: Final = 40.0
ERROR: Final = trace_pb2.Status.STATUS_CODE_ERROR


@dataclass(frozen=True)
class Link:
    """What a link of a span names."""

    trace_id: str
    span_id: str


@dataclass(frozen=True)
class ReceivedSpan:
    """A span as it went over the wire. Ids are hexadecimal."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    """Empty for the root of a trace."""
    start_ns: int
    end_ns: int
    failed: bool
    attributes: dict[str, Any]
    links: tuple[Link, ...]


class OtlpReceiver:
    """Takes spans at `endpoint` while its `with` block runs, as a collector would."""

    def __init__(self) -> None:
        self._spans: list[ReceivedSpan] = []
        self._came = threading.Condition()
        self._server = grpc.server(
            futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)]
        )

    def __enter__(self) -> Self:
        add: Any = pb_grpc.add_TraceServiceServicer_to_server
        add(_Service(self), self._server)
        port = self._server.add_insecure_port("127.0.0.1:0")
        self.endpoint = f"http://127.0.0.1:{port}"
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.stop(0).wait()

    def take(self, request: pb.ExportTraceServiceRequest) -> None:
        """Keeps the spans of one call, and wakes whoever waits."""
        with self._came:
            self._spans += _read(request)
            self._came.notify_all()

    @property
    def spans(self) -> list[ReceivedSpan]:
        """Everything that came so far."""
        with self._came:
            return [*self._spans]

    def wait_for(self, fits: Callable[[Trace], bool], trace_id: str) -> Trace:
        """The trace once it fits. Fails with what came if it does not within a while."""
        with self._came:
            whole = self._came.wait_for(lambda: fits(self._trace(trace_id)), PATIENCE)
            assert whole, f"of the trace came only {self._trace(trace_id)}"
            return self._trace(trace_id)

    def _trace(self, trace_id: str) -> Trace:
        return Trace([span for span in self._spans if span.trace_id == trace_id])


class Trace:
    """The spans of one trace."""

    def __init__(self, spans: list[ReceivedSpan]) -> None:
        self.spans = sorted(spans, key=lambda span: (span.start_ns, span.end_ns))

    def __repr__(self) -> str:
        return f"Trace({[f'{span.service}: {span.name}' for span in self.spans]})"

    def named(self, name: str) -> list[ReceivedSpan]:
        """Spans of a name, by their start."""
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReceivedSpan:
        """The only span of a name."""
        (span,) = self.named(name)
        return span


class _Service(pb_grpc.TraceServiceServicer):
    def __init__(self, receiver: OtlpReceiver) -> None:
        self._receiver = receiver

    def Export(
        self, request: pb.ExportTraceServiceRequest, context: object
    ) -> pb.ExportTraceServiceResponse:
        self._receiver.take(request)
        return pb.ExportTraceServiceResponse()


def _read(request: pb.ExportTraceServiceRequest) -> list[ReceivedSpan]:
    return [
        _span(span, str(_attributes(group.resource.attributes).get("service.name")))
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def _span(span: trace_pb2.Span, service: str) -> ReceivedSpan:
    return ReceivedSpan(
        service=service,
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        failed=span.status.code == ERROR,
        attributes=_attributes(span.attributes),
        links=tuple(Link(link.trace_id.hex(), link.span_id.hex()) for link in span.links),
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
