"""How long calls take and how they end, for metrics and spans."""

from time import perf_counter
from typing import Any, Final

from opentelemetry.trace import Span

from penstock_server.service.interceptors.methods import Method
from penstock_server.telemetry.metrics import Metrics
from penstock_server.telemetry.tracing import Tracing, end_call

OK: Final = "OK"


class Observer:
    """Watches the calls of one method."""

    def __init__(self, method: Method, metrics: Metrics, tracing: Tracing) -> None:
        self._label = method.label
        self._duration = metrics.rpc_duration
        self._tracing = tracing
        # Looking a labelled child up costs as much as using it; codes are few.
        self._by_code: dict[str, Any] = {}

    def begin(self, context: Any) -> tuple[float, Span | None]:
        """A call begins; what it gives goes to `end`."""
        if not self._tracing.enabled:
            return perf_counter(), None
        return perf_counter(), self._tracing.begin_call(self._label, traceparent_of(context))

    def end(self, begun: tuple[float, Span | None], code: str) -> None:
        """The call has ended with a gRPC code."""
        started, span = begun
        child = self._by_code.get(code)
        if child is None:
            child = self._by_code[code] = self._duration.labels(self._label, code)
        child.observe(perf_counter() - started)
        if span is not None:
            end_call(span, code)


def traceparent_of(context: Any) -> str | None:
    """The `traceparent` header of a call, if it has one."""
    for name, value in context.invocation_metadata() or ():
        if name == "traceparent" and isinstance(value, str):
            return value
    return None
