"""Spans of a producer, by OpenTelemetry's messaging conventions, and the trace context in a task.

One task: span `send <queue>` (PRODUCER), whose context goes into the task, so that the worker's
`process <queue>` becomes its child. A batch: span `send <queue>` (CLIENT) for each call, and below
it a span `create <queue>` (PRODUCER) for each task, whose context goes into that task; whether a
batch is traced is decided once for the whole call. `run` keeps its `send` span open until the task
has ended.

Only the API package is used: without a tracer provider and outside any trace all of this is one
check for each call. A context that is not sampled travels on, so that workers do not sample anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opentelemetry import baggage, context, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace import ProxyTracerProvider, Span, SpanKind, Status, StatusCode

from penstock.errors import PenstockError
from penstock.v1.task_pb2 import TraceContext

SYSTEM: Final = "messaging.system"
OPERATION_NAME: Final = "messaging.operation.name"
OPERATION_TYPE: Final = "messaging.operation.type"
DESTINATION: Final = "messaging.destination.name"
MESSAGE_ID: Final = "messaging.message.id"
BATCH_COUNT: Final = "messaging.batch.message_count"
ERROR_TYPE: Final = "error.type"
TASK_TYPE: Final = "penstock.task_type"

_DEFAULT_QUEUE: Final = "default"
_MAX_TRACESTATE: Final = 512
_MAX_BAGGAGE: Final = 4_096
_tracer = trace.get_tracer("penstock")
_baggage = W3CBaggagePropagator()


class SendSpan:
    """The span of one send. `trace_context` is what goes into its task."""

    __slots__ = ("_context", "_inherited", "_span")

    def __init__(self, name: str, kind: SpanKind, attributes: Mapping[str, str]) -> None:
        parent = context.get_current()
        self._inherited = bool(parent)
        self._span = _tracer.start_span(name, parent, kind, attributes=attributes)
        self._context = trace.set_span_in_context(self._span, parent)

    @property
    def trace_context(self) -> TraceContext | None:
        """The W3C form of the span's context; None if no trace is to be continued from it."""
        return _trace_context(self._span, self._context, inherited=self._inherited)

    def created(self, queue: str, task_type: str) -> TraceContext | None:
        """Makes the creation context of one task of a batch."""
        if not self._span.is_recording():
            return self.trace_context
        name, attributes = _named("create", queue, task_type)
        span = _tracer.start_span(name, self._context, SpanKind.PRODUCER, attributes=attributes)
        span.end()
        return _trace_context(span, trace.set_span_in_context(span, self._context), inherited=True)

    def describe_batch(self, queues: set[str], count: int) -> None:
        """Says what the batch holds, once it is known."""
        if self._span.is_recording():
            self._span.set_attribute(BATCH_COUNT, count)
            if len(queues) == 1:
                queue = next(iter(queues)) or _DEFAULT_QUEUE
                self._span.update_name(f"send {queue}")
                self._span.set_attribute(DESTINATION, queue)

    def end(self, *, task_id: str = "", error: BaseException | None = None) -> None:
        """Ends the span with the outcome of the send."""
        if self._span.is_recording():
            if task_id:
                self._span.set_attribute(MESSAGE_ID, task_id)
            if error is not None:
                self._span.set_attribute(ERROR_TYPE, _error_type(error))
                self._span.set_status(Status(StatusCode.ERROR, _error_type(error)))
        self._span.end()


def start_send(queue: str, task_type: str) -> SendSpan | None:
    """The span of sending one task; None where nothing is traced."""
    if not _active():
        return None
    name, attributes = _named("send", queue, task_type)
    return SendSpan(name, SpanKind.PRODUCER, attributes)


def start_batch() -> SendSpan | None:
    """The span of sending several tasks; None where nothing is traced."""
    if not _active():
        return None
    return SendSpan("send", SpanKind.CLIENT, _operation("send"))


def _active() -> bool:
    """Whether there is a trace to continue, or a tracer provider that may begin one."""
    return bool(context.get_current()) or not isinstance(
        trace.get_tracer_provider(), ProxyTracerProvider
    )


def _operation(operation: str) -> dict[str, str]:
    return {SYSTEM: "penstock", OPERATION_NAME: operation, OPERATION_TYPE: operation}


def _named(operation: str, queue: str, task_type: str) -> tuple[str, dict[str, str]]:
    queue = queue or _DEFAULT_QUEUE
    attributes = _operation(operation) | {DESTINATION: queue, TASK_TYPE: task_type}
    return f"{operation} {queue}", attributes


def _trace_context(span: Span, where: Context, *, inherited: bool) -> TraceContext | None:
    """What a task carries of `span`. Not sampled and not inherited: nothing, there is no trace."""
    facts = span.get_span_context()
    if not facts.is_valid or not (inherited or facts.trace_flags.sampled):
        return None
    made = TraceContext(
        traceparent=f"00-{facts.trace_id:032x}-{facts.span_id:016x}-{facts.trace_flags:02x}"
    )
    if facts.trace_state and len(state := facts.trace_state.to_header()) <= _MAX_TRACESTATE:
        made.tracestate = state
    if baggage.get_all(where):
        carrier: dict[str, str] = {}
        _baggage.inject(carrier, where)
        if len(carrier.get("baggage", "")) <= _MAX_BAGGAGE:
            made.baggage = carrier.get("baggage", "")
    return made


def _error_type(error: BaseException) -> str:
    return (error.reason if isinstance(error, PenstockError) else "") or type(error).__name__
