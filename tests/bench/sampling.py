"""Traces of the producer: which submits begin a sampled one, and where their spans go."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes


class Evenly(Sampler):
    """Samples a share of all traces, evenly: of 1 % every hundredth.

    Whether a batch is traced is decided once for all of its tasks. Drawn at random, a share of 1 %
    of some hundred batches would be another share in each run, and often none.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._due = 0.0

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Samples this trace if one is due."""
        self._due += self._share
        # A little less than 1, because a hundred times 0.01 is.
        if self._due < 1 - 1e-9:
            return SamplingResult(Decision.DROP)
        self._due -= 1
        return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)

    def get_description(self) -> str:
        """What it is, for logs."""
        return f"Evenly{{{self._share}}}"


def sample(share: float, endpoint: str) -> None:
    """Begins a trace for each submit, sampled at this share, and sends the spans away."""
    provider = TracerProvider(sampler=ParentBased(Evenly(share)))
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
