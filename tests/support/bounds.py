"""Every bound of the contract: for each field, values that are taken and values that are refused.

One table for the validators alone and for a whole server.
"""

from __future__ import annotations

import time
from typing import Any, Final, NamedTuple

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from support.messages import put
from support.validators import METHODS, TASK_ID, request_type, valid_request

NOW: Final = int(time.time())

DAY: Final = 86_400
YEAR: Final = 365 * DAY
TEN_YEARS: Final = 3_653 * DAY
NAN, INFINITY = float("nan"), float("inf")


def span(seconds: int = 0, nanos: int = 0) -> Duration:
    """A duration, also one that protobuf does not allow."""
    return Duration(seconds=seconds, nanos=nanos)


def at(seconds: int, nanos: int = 0) -> Timestamp:
    """An instant, also one that protobuf does not allow."""
    return Timestamp(seconds=seconds, nanos=nanos)


def entries(count: int) -> dict[str, str]:
    """A map of so many entries."""
    return {f"k{index}": "v" for index in range(count)}


class Bound(NamedTuple):
    """Values of one field that are taken, and values that are refused."""

    method: str
    field: str
    taken: list[Any]
    refused: list[Any]
    wrong: str = ""
    """Field that the refusal names, where it is not the field itself."""


def spans(method: str, field: str, low: Duration, high: Duration) -> Bound:
    """Bounds of a duration, and durations that protobuf itself does not allow."""
    below = span(low.seconds, low.nanos - 1) if low.nanos else span(0, -1)
    if low.seconds and not low.nanos:
        below = span(low.seconds - 1, 999_999_999)
    above = span(high.seconds, high.nanos + 1)
    odd = [span(1, -1), span(0, 1_000_000_000), span(1, 2_000_000_000), span(-1), span(2**63 - 1)]
    return Bound(method, field, [low, high], [below, above, *odd, span(-(2**63), -999_999_999)])


def texts(method: str, field: str, most: int) -> Bound:
    """Bounds of a text in bytes of UTF-8; bytes are what is counted, not characters."""
    taken = ["", "x", "x" * most, "é" * (most // 2), "\x00"]
    return Bound(method, field, taken, ["x" * (most + 1), "é" * (most // 2 + 1)])


def names(method: str, field: str, most: int = 128, *, required: bool) -> Bound:
    """Bounds of a name of a queue or type."""
    refused = ["x" * (most + 1), ".x", "-x", "_x", "a b", "a/b", "a:b", "é", "a\n", "a\x00", "{a}"]
    taken = ["x", "0", "A.b_c-9", "x" * most]
    return Bound(method, field, taken, refused + ([""] if required else []))


def identifiers(method: str, field: str) -> Bound:
    refused = ["x" * 65, "a b", "é", "a\n", "a:b"]
    return Bound(method, field, ["x", "-.x", "x" * 64], refused)


def pages(method: str) -> Bound:
    return Bound(method, "page_size", [0, 1, 1_000, 2**31 - 1], [-1, -(2**31)])


def maps(method: str, field: str) -> list[Bound]:
    """Bounds of a label map."""
    most = 16 if field.endswith("requirements") else 32
    size = 1_024 if field.endswith("headers") else 256
    key = "x" * 64
    return [
        Bound(method, field, [{}, entries(most), {key: "v" * size}], [entries(most + 1)]),
        Bound(method, field, [], [{key + "x": ""}], f'{field}["{"x" * 48}..."]'),
        Bound(method, field, [], [{"": ""}], f'{field}[""]'),
        Bound(method, field, [], [{"k": "v" * (size + 1)}], f'{field}["k"]'),
    ]


SPEC: Final = [
    names("SubmitTask", "spec.task_type", required=True),
    names("SubmitTask", "spec.queue", required=False),
    Bound("SubmitTask", "spec.priority", [0, 9], [-1, 10, 2**31 - 1]),
    Bound(
        "SubmitTask",
        "spec.schedule_time",
        [at(0), at(-62_135_596_800), at(NOW + TEN_YEARS)],
        [
            *(at(NOW + TEN_YEARS + 3_600), at(-62_135_596_801), at(253_402_300_800)),
            *(at(0, -1), at(0, 1_000_000_000), at(2**63 - 1), at(-(2**63))),
        ],
    ),
    spans("SubmitTask", "spec.delay", span(0), span(TEN_YEARS)),
    Bound("SubmitTask", "spec.retry_policy.max_attempts", [1, 1_000], [0, -1, 1_001]),
    spans("SubmitTask", "spec.retry_policy.initial_backoff", span(0, 1_000_000), span(30 * DAY)),
    spans("SubmitTask", "spec.retry_policy.max_backoff", span(0, 1_000_000), span(YEAR)),
    Bound(
        "SubmitTask",
        "spec.retry_policy.multiplier",
        [1.0, 100.0],
        [0.999, 100.001, 0.0, -1.0, NAN, INFINITY, -INFINITY],
    ),
    Bound("SubmitTask", "spec.retry_policy.jitter", [0.0, 1.0], [-0.001, 1.001, NAN, INFINITY]),
    Bound(
        "SubmitTask",
        "spec.retry_policy.non_retryable_kinds",
        [[], ["x" * 128] * 32],
        [["x"] * 33],
    ),
    Bound(
        "SubmitTask",
        "spec.retry_policy.non_retryable_kinds",
        [],
        [["x", "x" * 129]],
        "spec.retry_policy.non_retryable_kinds[1]",
    ),
    Bound("SubmitTask", "spec.retry_policy.max_crashes", [0, 1_000], [-1, 1_001]),
    *(
        spans("SubmitTask", f"spec.timeouts.{name}", span(0, 1_000_000), span(YEAR))
        for name in ("schedule_to_start", "start_to_close", "heartbeat", "total")
    ),
    texts("SubmitTask", "spec.fairness_key", 64),
    *maps("SubmitTask", "spec.labels"),
    *maps("SubmitTask", "spec.headers"),
    *maps("SubmitTask", "spec.requirements"),
    Bound("SubmitTask", "spec.labels", [], [{"a b": ""}], 'spec.labels["a b"]'),
    texts("SubmitTask", "spec.owner", 128),
    texts("SubmitTask", "spec.display_name", 128),
    texts("SubmitTask", "spec.description", 1_024),
    texts("SubmitTask", "spec.trace_context.traceparent", 64),
    texts("SubmitTask", "spec.trace_context.tracestate", 512),
    texts("SubmitTask", "spec.trace_context.baggage", 4_096),
    spans("SubmitTask", "spec.retention", span(0), span(YEAR)),
    spans("SubmitTask", "spec.lease_duration", span(5), span(3_600)),
    spans("SubmitTask", "spec.cancel_grace", span(0), span(3_600)),
    texts("SubmitTask", "spec.payload.content_type", 128),
    Bound("SubmitTask", "spec.payload.metadata", [entries(16)], [entries(17)]),
    Bound(
        "SubmitTask",
        "spec.payload.metadata",
        [{"x" * 64: "v" * 1_024}],
        [{"k": "v" * 1_025}],
        'spec.payload.metadata["k"]',
    ),
    Bound(
        "SubmitTask",
        "spec.payload.data",
        [b"", b"x", b"x" * (1 << 20)],
        [b"x" * ((1 << 20) + 1)],
        "spec.payload",
    ),
    Bound(
        "SubmitTask",
        "spec.payload.json",
        [Value(), Value(string_value="x" * ((1 << 20) - 4)), Value(number_value=1e308)],
        [Value(string_value="x" * ((1 << 20) - 3))],
        "spec.payload",
    ),
    Bound(
        "SubmitTask",
        "spec.payload.json",
        [],
        [Value(number_value=NAN), Value(number_value=INFINITY), Value(number_value=-INFINITY)],
    ),
]

REQUESTS: Final = [
    identifiers("SubmitTask", "request_id"),
    identifiers("RetryTask", "request_id"),
    identifiers("RunTask", "request_id"),
    identifiers("SubmitTasks", "request_id"),
    spans("RunTask", "wait", span(0), span(3_600)),
    spans("AwaitTask", "wait", span(0), span(3_600)),
    spans("LeaseTasks", "wait", span(0), span(60)),
    spans("CancelTask", "grace", span(0), span(3_600)),
    texts("CancelTask", "reason", 256),
    texts("PauseQueue", "reason", 256),
    texts("DrainWorker", "reason", 256),
    texts("UpdateTask", "etag", 128),
    texts("UpdateQueue", "etag", 128),
    names("ListWorkers", "queue", required=False),
    pages("ListExecutions"),
    pages("ListQueues"),
    pages("ListWorkers"),
    pages("ListNamespaces"),
    pages("ListTaskTypes"),
    Bound("PeekQueue", "limit", [0, 1, 100, 101], [-1]),
    Bound("GetExecution", "number", [0, 1, 2**31 - 1], [-1]),
    Bound("TailLogs", "execution", [0, 1], [-1]),
    Bound("WatchTasks", "queues", [["q"] * 64], [["q"] * 65]),
    Bound("WatchTasks", "queues", [], [["q", ""]], "queues[1]"),
    Bound("WatchTasks", "task_types", [["t"] * 64], [["t"] * 65]),
    Bound("WatchTasks", "task_ids", [[TASK_ID] * 100], [[TASK_ID] * 101]),
    Bound("WatchTasks", "task_ids", [], [["x"]], "task_ids[0]"),
    Bound("LeaseTasks", "session.session_id", ["x", "x" * 64], ["", "x" * 65, "a b", "é"]),
    texts("LeaseTasks", "session.display_name", 128),
    texts("LeaseTasks", "session.runtime", 128),
    Bound("LeaseTasks", "session.slots", [1, 100_000], [0, -1, 100_001]),
    *maps("LeaseTasks", "session.labels"),
    Bound("LeaseTasks", "poll_seq", [0, 1, 2**53 - 1], [-1, 2**53, 2**63 - 1]),
    Bound("LeaseTasks", "queues", [["q"] * 64], [["q"] * 65]),
    Bound("LeaseTasks", "task_types", [["t"] * 1_000], [["t"] * 1_001]),
    Bound("LeaseTasks", "max_tasks", [0, 1_000], [-1, 1_001]),
    Bound("LeaseTasks", "max_bytes", [0, 64 << 10, 64 << 20], [-1, 1, (64 << 10) - 1, 2**63 - 1]),
    Bound("LeaseTasks", "acknowledged_directive_ids", [["d"] * 1_000], [["d"] * 1_001]),
    Bound("ReportExecutions", "queues", [["q"] * 64], [["q"] * 65]),
    Bound("ReportExecutions", "max_tasks", [0, 1_000], [-1, 1_001]),
    Bound("ReportExecutions", "max_bytes", [0, 64 << 10], [-1, (64 << 20) + 1]),
    Bound("ReportExecutions", "acknowledged_directive_ids", [["d"] * 1_000], [["d"] * 1_001]),
    Bound("CreateNamespace", "namespace.description", ["x" * 1_024], ["x" * 1_025]),
    *maps("CreateNamespace", "namespace.labels"),
    texts("UpdateNamespace", "namespace.etag", 128),
    texts("UpdateQueue", "config.description", 1_024),
    spans("UpdateQueue", "config.lease_duration", span(5), span(3_600)),
    spans("UpdateQueue", "config.retention", span(0), span(YEAR)),
    Bound("UpdateQueue", "config.retry_policy.max_attempts", [1, 1_000], [0, 1_001]),
    spans("UpdateQueue", "config.timeouts.total", span(0, 1_000_000), span(YEAR)),
    *(
        bound
        for method in ("CreateTaskType", "UpdateTaskType")
        for bound in (
            texts(method, "config.description", 1_024),
            spans(method, "config.lease_duration", span(5), span(3_600)),
            spans(method, "config.retention", span(0), span(YEAR)),
            spans(method, "config.timeouts.total", span(0, 1_000_000), span(YEAR)),
            Bound(method, "config.priority", [0, 9], [-1, 10]),
            Bound(method, "config.retry_policy.max_attempts", [1, 1_000], [0, 1_001]),
        )
    ),
    texts("UpdateTaskType", "etag", 128),
]

NAMESPACES: Final = [
    Bound(
        method,
        "namespace.namespace" if method in ("CreateNamespace", "UpdateNamespace") else "namespace",
        ["a", "a-0", "a" * 64],
        ["A", "0a", "-a", "a_b", "a.b", "a" * 65, "é", "a\n"],
    )
    for method in METHODS
    if method != "ListNamespaces"
]

IDENTITIES: Final = [
    *(
        Bound(method, "task_id", [TASK_ID], ["", "x", TASK_ID.upper(), TASK_ID + "0", "é" * 26])
        for method in METHODS
        if "task_id" in request_type(method).DESCRIPTOR.fields_by_name
    ),
    *(names(method, "queue", required=True) for method in METHODS if method.endswith("Queue")),
    *(
        names(method, "task_type", required=True)
        for method in METHODS
        if method.endswith("TaskType")
    ),
    *(
        Bound(method, "session_id", ["x", "-", "x" * 64], ["", "x" * 65, "a b", "é"])
        for method in ("ReportExecutions", "DrainWorker")
    ),
]

IDEMPOTENCY: Final = [
    Bound(method, f"{prefix}idempotency.{field}", taken, refused)
    for method, prefix in (("SubmitTask", ""), ("RunTask", ""))
    for field, taken, refused in (
        ("key", ["x", "x" * 256, "é"], ["x" * 257, "é" * 129]),
        ("window", [span(1), span(YEAR)], [span(0), span(0, 999_999_999), span(YEAR, 1)]),
        ("conflict_policy", [0, 1, 2, 3], [4, -1]),
    )
]

BOUNDS: Final = [*SPEC, *REQUESTS, *NAMESPACES, *IDENTITIES, *IDEMPOTENCY]


def named(bounds: list[Bound]) -> list[Any]:
    """The bounds as parameters of a test, each with a name of its own."""
    return [
        pytest.param(bound, id=f"{bound.method}-{bound.field}-{index}")
        for index, bound in enumerate(bounds)
    ]


def request_with(bound: Bound, value: Any) -> Any:
    """A request that is taken but for the value of the one field."""
    request = valid_request(bound.method)
    if "idempotency" in bound.field:
        request.idempotency.key = "k"
    put(request, bound.field, value)
    return request
