"""Puts a task's trace context around its handler, so that spans made there are its children."""

from __future__ import annotations

from typing import Final

from opentelemetry import context
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from penstock.v1 import task_pb2

_TRACE: Final = TraceContextTextMapPropagator()
_BAGGAGE: Final = W3CBaggagePropagator()


def enter(spec: task_pb2.TaskSpec, traceparent: str) -> None:
    """Makes the trace current in the caller's context variables.

    `traceparent` names the span of this execution; without it the task's own parent counts.
    """
    task = spec.trace_context
    carrier = {
        "traceparent": traceparent or task.traceparent,
        "tracestate": task.tracestate,
        "baggage": task.baggage,
    }
    context.attach(_BAGGAGE.extract(carrier, _TRACE.extract(carrier)))
