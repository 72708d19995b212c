"""The numbers of one server process, and the Prometheus page that shows them.

Labels are bounded by what operators name: namespace, queue, outcome, method. Never a task id, and
never a task type, of which a client can make up as many as it likes.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from penstock_server.telemetry.bulk_histogram import BulkHistogram

_QUEUE: Final = ("namespace", "queue")
_CALL_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)
_STORE_SECONDS: Final = (0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0)
_WAIT_SECONDS: Final = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 600.0, 3600.0)


class Metrics:
    """Every metric of a server process. `registry` is what the page shows."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or _process_registry()
        self._add_calls()
        self._add_work()
        self._add_queues()
        self._add_store_and_duties()

    def _add_calls(self) -> None:
        self.rpc_duration = self._histogram(
            "rpc_server_call_duration_seconds",
            "Time from the arrival of a call to its end.",
            ("rpc_method", "rpc_response_status_code"),
            _CALL_SECONDS,
        )

    def _add_work(self) -> None:
        self.submitted = self._counter(
            "penstock_tasks_submitted", "Tasks taken in; repeated submits do not count.", *_QUEUE
        )
        self.leased = self._counter("penstock_leases_made", "Leases handed to workers.", *_QUEUE)
        self.queue_wait = BulkHistogram(
            "penstock_queue_wait_seconds",
            "Time that tasks were ready before they were leased.",
            _QUEUE,
            _WAIT_SECONDS,
        )
        self.registry.register(self.queue_wait)
        self.executions_ended = self._counter(
            "penstock_executions_ended",
            "Executions that ended, by outcome (succeeded, failed, timed_out, cancelled, crashed, "
            "lost, released).",
            *("namespace", "outcome"),
        )
        self.leases_expired = self._counter(
            "penstock_leases_expired", "Leases that ran out without a report.", *_QUEUE
        )
        self.reports_refused = self._counter(
            "penstock_reports_refused", "Reports with a lease that was over."
        )

    def _add_queues(self) -> None:
        self.queue_tasks = self._gauge(
            "penstock_queue_tasks",
            "Tasks of a queue by state (ready, scheduled, running, dead), as of the latest look.",
            *(*_QUEUE, "state"),
        )
        self.queue_oldest_age = self._gauge(
            "penstock_queue_oldest_ready_age_seconds",
            "How long the first ready task of a queue has waited; 0 if none waits.",
            *_QUEUE,
        )
        self.queue_unserved = self._gauge(
            "penstock_queue_unserved", "1 if tasks wait that no live worker serves.", *_QUEUE
        )

    def _add_store_and_duties(self) -> None:
        self.store_duration = self._histogram(
            "penstock_store_call_duration_seconds",
            "Time of one store call, by verb.",
            ("verb",),
            _STORE_SECONDS,
        )
        self.events_quarantined = self._gauge(
            "penstock_events_quarantined",
            "Entries of an event stream that nobody can read and that were set aside; at most 100.",
            "partition",
        )
        self.leasing_stopped = self._gauge(
            "penstock_leasing_stopped", "1 while nothing is leased because the store is too full."
        )
        self.store_up = self._gauge("penstock_store_up", "1 while the store answers.")
        self.store_restarts = self._counter(
            "penstock_embedded_store_restarts", "Restarts of an embedded store that died."
        )
        self.duty_duration = self._histogram(
            "penstock_duty_duration_seconds", "Time of one run of a duty.", ("duty",), _CALL_SECONDS
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, labels: Sequence[str], buckets: Sequence[float]
    ) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)

    def watch_gauge(
        self, name: str, text: str, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        """Adds a gauge that is read when the page is shown, so that counting costs nothing."""
        self.registry.register(_ReadGauge(name, text, label, read))


class _ReadGauge(Collector):
    def __init__(
        self, name: str, text: str, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        self._name, self._text, self._label, self._read = name, text, label, read

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = GaugeMetricFamily(self._name, self._text, labels=(self._label,))
        for value, number in self._read().items():
            family.add_metric((value,), number)
        yield family


class MetricsPage:
    """Serves the page over HTTP for as long as the `with` block runs.

    It has a thread of its own, so it also answers while the event loop is busy. Entering raises
    OSError if the port is taken.
    """

    def __init__(self, registry: CollectorRegistry, *, host: str, port: int) -> None:
        self._registry = registry
        self._host = host
        self.port = port
        """The port; after entering, the one that the system chose for 0."""

    def __enter__(self) -> Self:
        self._server, self._thread = start_http_server(
            self.port, addr=self._host, registry=self._registry
        )
        self.port = self._server.server_port
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        _join(self._thread)


def _join(thread: threading.Thread) -> None:
    thread.join(timeout=5)


def _process_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
