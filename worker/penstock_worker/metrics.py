"""Figures of a worker for Prometheus.

Counted in plain dictionaries and turned into metrics when somebody asks: an execution takes
microseconds, and must not pay for locks that a scrape needs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from penstock.v1 import execution_pb2

BUCKETS: Final = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0, 1800.0)
_OUTCOME_PREFIX: Final = len("EXECUTION_OUTCOME_")


class Series:
    """Durations of executions of one queue, type and outcome."""

    __slots__ = ("buckets", "total")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.total = 0.0


class Metrics(Collector):
    """Counts what a worker does."""

    def __init__(self, gauges: Callable[[], dict[str, float]]) -> None:
        self._gauges = gauges
        self._series: dict[tuple[str, str, int], Series] = {}
        self.leases_lost = 0
        self.runner_deaths = 0

    def ended(self, queue: str, task_type: str, outcome: int, seconds: float) -> None:
        """Counts an execution that has ended."""
        key = (queue, task_type, outcome)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = Series()
        series.buckets[bisect_left(BUCKETS, seconds)] += 1
        series.total += seconds

    def collect(self) -> Iterator[Metric]:
        """Answers everything in Prometheus' form."""
        yield self._durations()
        for name, value in self._gauges().items():
            gauge = GaugeMetricFamily(f"penstock_worker_{name}", _GAUGES[name])
            gauge.add_metric([], value)
            yield gauge
        lost = CounterMetricFamily(
            "penstock_worker_leases_lost", "Leases that were over before their report."
        )
        lost.add_metric([], self.leases_lost)
        yield lost
        deaths = CounterMetricFamily(
            "penstock_worker_runner_deaths", "Runner processes that died unasked."
        )
        deaths.add_metric([], self.runner_deaths)
        yield deaths

    def _durations(self) -> Metric:
        family = HistogramMetricFamily(
            "penstock_worker_execution_duration_seconds",
            "Executions from receipt to their end, by queue, task type and outcome.",
            labels=["queue", "task_type", "outcome"],
        )
        for (queue, task_type, outcome), series in list(self._series.items()):
            name = execution_pb2.ExecutionOutcome.Name(outcome)  # type: ignore[arg-type]
            family.add_metric(
                [queue, task_type, name[_OUTCOME_PREFIX:].lower()],
                list(_cumulated(series.buckets)),
                series.total,
            )
        return family


_GAUGES: Final = {
    "slots": "Executions that the worker can run at once.",
    "running": "Executions that run now.",
    "asked": "Tasks that calls under way ask for.",
    "reports_in_flight": "Report calls under way.",
}


def _cumulated(buckets: list[int]) -> Iterator[tuple[str, float]]:
    count = 0
    for bound, bucket in zip((*map(str, BUCKETS), "+Inf"), buckets, strict=True):
        count += bucket
        yield bound, count


class MetricsServer:
    """Serves metrics over HTTP. Raises OSError if the port is taken."""

    def __init__(self, address: str, metrics: Metrics) -> None:
        host, _, port = address.rpartition(":")
        registry = CollectorRegistry()
        registry.register(metrics)
        self._server, self._thread = start_http_server(
            int(port), host or "127.0.0.1", registry=registry
        )

    @property
    def address(self) -> str:
        """Where it serves, `host:port`."""
        host, port = self._server.server_address[:2]
        return f"{host if isinstance(host, str) else host.decode()}:{port}"

    def close(self) -> None:
        """Ends the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
