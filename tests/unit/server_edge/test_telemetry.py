"""Log lines, spans and numbers."""

from __future__ import annotations

import io
import json
import logging
import urllib.request
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import CollectorRegistry

from penstock_server.telemetry.logging import LogOptions, configure_logging, get_logger, redact_text
from penstock_server.telemetry.metrics import Metrics, MetricsPage
from penstock_server.telemetry.traceparent import is_sampled, parse_traceparent
from penstock_server.telemetry.tracing import Tracing, TracingOptions, end_call

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"
PLACE = {"namespace": "default", "queue": "mail", "task_id": "t1"}


# ---- log lines ---------------------------------------------------------------------------------


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_log_line_is_an_event_and_its_fields(lines: io.StringIO) -> None:
    configure_logging(LogOptions(format="json", stream=lines))

    get_logger("room").info("server.ready", address="127.0.0.1:1")

    line = json.loads(lines.getvalue())
    assert (line["event"], line["address"], line["level"]) == (
        "server.ready",
        "127.0.0.1:1",
        "info",
    )


def test_secrets_are_masked_by_name_and_by_form(lines: io.StringIO) -> None:
    configure_logging(LogOptions(format="json", stream=lines))

    get_logger("room").warning(
        "x",
        lease_token="zzz-1",
        payload=b"zzz-2",
        url="redis://me:hunter2@h",
        said="key psk_ab_CD12",
    )
    logging.getLogger("library").warning("sent %s", "Bearer psk_ab_CD12")
    try:
        raise ValueError("redis://me:hunter2@h")
    except ValueError:
        get_logger("room").exception("y")

    text = lines.getvalue()
    assert not any(secret in text for secret in ("zzz-1", "zzz-2", "hunter2", "CD12"))
    assert "psk_ab_***" in text
    assert "ValueError" in text


def test_console_lines_are_one_line_of_key_and_value(lines: io.StringIO) -> None:
    configure_logging(LogOptions(format="console", stream=lines))

    get_logger("room").info("task.dead", queue="mail", attempts=3)

    assert "task.dead" in lines.getvalue()
    assert "attempts=3 queue=mail" in lines.getvalue()


def test_lines_below_the_level_are_not_written(lines: io.StringIO) -> None:
    configure_logging(LogOptions(level="warning", stream=lines))

    get_logger("room").info("quiet")

    assert lines.getvalue() == ""


def test_text_without_secrets_stays_as_it_is() -> None:
    assert (
        redact_text("queue mail-1 at http://host:80/a?b=c")
        == "queue mail-1 at http://host:80/a?b=c"
    )


# ---- traces ------------------------------------------------------------------------------------


def test_traceparent_is_read() -> None:
    parsed = parse_traceparent(SAMPLED)

    assert parsed is not None
    assert (f"{parsed.trace_id:032x}", f"{parsed.span_id:016x}") == (TRACE, SPAN)
    assert parsed.sampled


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        SAMPLED[:-1],
        SAMPLED + "-00",
        "ff" + SAMPLED[2:],
        SAMPLED.upper(),
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        SAMPLED.replace("-", "_"),
    ],
)
def test_what_is_no_traceparent_is_nothing(text: str) -> None:
    assert parse_traceparent(text) is None
    assert not is_sampled(text)


@given(st.text(max_size=80) | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"))
def test_any_text_is_read_or_refused_alike_by_both_readers(text: str) -> None:
    parsed = parse_traceparent(text)

    assert is_sampled(text) == (parsed is not None and parsed.sampled)


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def test_a_sampled_task_gets_a_span_of_its_wait_in_the_callers_trace(
    spans: InMemorySpanExporter,
) -> None:
    tracing = Tracing(TracingOptions(), exporter=spans)

    tracing.queue_wait(SAMPLED, **PLACE, start_ms=1_000, end_ms=1_250)
    tracing.shutdown()

    (span,) = spans.get_finished_spans()
    assert span.name == "queue wait mail"
    assert span.kind is SpanKind.INTERNAL
    assert span.context is not None
    assert span.parent is not None
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == SPAN
    assert (span.start_time, span.end_time) == (1_000_000_000, 1_250_000_000)
    assert span.attributes is not None
    assert span.attributes["messaging.message.id"] == "t1"


def test_retry_and_lease_have_spans_and_a_lost_lease_is_an_error(
    spans: InMemorySpanExporter,
) -> None:
    tracing = Tracing(TracingOptions(), exporter=spans)

    tracing.retry_wait(SAMPLED, **PLACE, attempt=2, start_ms=1, end_ms=2)
    tracing.lease(
        SAMPLED, **PLACE, execution=3, worker="w", outcome="lost", start_ms=2, end_ms=1, failed=True
    )
    tracing.shutdown()

    retry, lease = spans.get_finished_spans()
    assert (retry.name, lease.name) == ("retry wait mail", "lease mail")
    assert lease.status.status_code is StatusCode.ERROR
    assert lease.start_time == lease.end_time, "a store clock that steps back ends no span early"


@pytest.mark.parametrize("traceparent", ["", UNSAMPLED, "nonsense"])
def test_no_span_is_built_for_what_nobody_samples(
    spans: InMemorySpanExporter, traceparent: str
) -> None:
    tracing = Tracing(TracingOptions(), exporter=spans)

    tracing.queue_wait(traceparent, **PLACE, start_ms=1, end_ms=2)
    call = tracing.begin_call("penstock.v1.TaskService/GetTask", traceparent)
    tracing.shutdown()

    assert call is None
    assert spans.get_finished_spans() == ()


def test_a_share_of_calls_without_a_trace_begins_one(spans: InMemorySpanExporter) -> None:
    tracing = Tracing(TracingOptions(sample_ratio=1.0), exporter=spans)

    call = tracing.begin_call("penstock.v1.TaskService/GetTask", None)
    refused = tracing.begin_call("penstock.v1.TaskService/GetTask", UNSAMPLED)
    assert call is not None
    end_call(call, "NOT_FOUND")
    tracing.shutdown()

    (span,) = spans.get_finished_spans()
    assert refused is None
    assert span.kind is SpanKind.SERVER
    assert span.attributes is not None
    assert span.attributes["rpc.response.status_code"] == "NOT_FOUND"
    assert span.status.status_code is StatusCode.UNSET, "a caller's mistake is no fault of ours"


def test_without_a_receiver_nothing_is_traced() -> None:
    tracing = Tracing(TracingOptions())

    tracing.queue_wait(SAMPLED, **PLACE, start_ms=1, end_ms=2)

    assert not tracing.enabled
    assert tracing.begin_call("m", SAMPLED) is None


# ---- numbers -----------------------------------------------------------------------------------


def test_the_page_shows_what_was_counted() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.submitted.labels("default", "mail").inc(3)
    metrics.watch_gauge("penstock_calls_under_way", "Calls.", "lane", lambda: {"polls": 2})

    with MetricsPage(metrics.registry, host="127.0.0.1", port=0) as page:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{page.port}/metrics") as answer:
            text = answer.read().decode()

    assert 'penstock_tasks_submitted_total{namespace="default",queue="mail"} 3.0' in text
    assert 'penstock_calls_under_way{lane="polls"} 2.0' in text


def test_no_metric_is_labelled_with_what_clients_make_up() -> None:
    metrics = Metrics(CollectorRegistry())

    labels = {
        label for metric in vars(metrics).values() for label in getattr(metric, "_labelnames", ())
    }

    assert not labels & {"task_id", "task_type", "principal", "session_id", "request_id"}
