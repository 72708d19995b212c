"""docs/reference/metrics.md: every metric of server and worker, read from the registries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from prometheus_client.metrics import MetricWrapperBase

from pages.form import REMARK, table
from penstock_server.telemetry.bulk_histogram import BulkHistogram
from penstock_server.telemetry.metrics import Metrics as ServerMetrics
from penstock_worker.metrics import _GAUGES
from penstock_worker.metrics import Metrics as WorkerMetrics

_COLUMNS: Final = ("metric", "kind", "labels", "meaning")
#: Read when the page is shown, so it stands in no registry before the server runs.
_UNDER_WAY: Final = (
    "`penstock_calls_under_way`",
    "gauge",
    "`lane`",
    "Calls under way, by lane: calls, polls, streams.",
)


def page() -> str:
    """The whole page."""
    server = table(_COLUMNS, [*_of_server(), _UNDER_WAY])
    return _HEAD + server + _WORKER + table(_COLUMNS, _of_worker()) + _TAIL


def _of_server() -> Iterator[list[str]]:
    for metric in vars(ServerMetrics()).values():
        if isinstance(metric, MetricWrapperBase | BulkHistogram):
            (family,) = metric.describe()
            yield _row(family.name, family.type, _labels_of(metric), family.documentation)


def _labels_of(metric: MetricWrapperBase | BulkHistogram) -> tuple[str, ...]:
    return metric.labels if isinstance(metric, BulkHistogram) else metric._labelnames


def _of_worker() -> Iterator[list[str]]:
    metrics = WorkerMetrics(lambda: dict.fromkeys(_GAUGES, 0.0))
    metrics.ended("q", "t", 1, 0.0)
    for family in metrics.collect():
        labels = {name: "" for sample in family.samples for name in sample.labels if name != "le"}
        yield _row(family.name, family.type, tuple(labels), family.documentation)


def _row(name: str, kind: str, labels: tuple[str, ...], text: str) -> list[str]:
    # In the text form, counters end in _total.
    shown = f"{name}_total" if kind == "counter" else name
    return [f"`{shown}`", kind, ", ".join(f"`{label}`" for label in labels), text]


def names() -> dict[str, Any]:
    """Names of the documented metrics, for server and worker."""
    server = [row[0].strip("`") for row in [*_of_server(), list(_UNDER_WAY)]]
    return {"server": server, "worker": [row[0].strip("`") for row in _of_worker()]}


_HEAD: Final = f"""\
# Metrics

{REMARK}

Every server process serves a Prometheus page at `http://127.0.0.1:7790/metrics` (setting
`metrics`; with several processes each adds its number to the port). It also has the usual metrics
of a Python process. A worker serves a page with `--metrics HOST:PORT`.

Labels are bounded by what operators name. There is never a task id in a label.
A histogram has `_bucket`, `_sum` and `_count`.

## Server

"""

_WORKER: Final = """
## Worker

"""

_TAIL: Final = """
## What to alert on

| alert | expression |
| --- | --- |
| the store does not answer | `penstock_store_up == 0` |
| tasks wait and nobody serves them | `penstock_queue_unserved == 1` for 5 minutes |
| tasks wait too long | `penstock_queue_oldest_ready_age_seconds > 600` |
| dead letters come | `delta(penstock_queue_tasks{state="dead"}[15m]) > 0` |
| workers die | `rate(penstock_executions_ended_total{outcome=~"crashed\\|lost"}[5m]) > 0` |
| handlers block | `increase(penstock_worker_runner_deaths_total[15m]) > 0` |

Held by `tests/e2e/test_metrics.py`: `test_the_page_of_the_server_counts_what_happened`,
`test_a_queue_that_no_worker_serves_shows_on_the_page`,
`test_the_page_of_the_worker_counts_what_it_ran`, `test_every_documented_metric_is_on_its_page`.
"""
