"""Checks of what a producer asks for."""

from datetime import timedelta
from typing import Any

from penstock.v1.task_pb2 import RetryPolicy, TaskSpec, Timeouts, TraceContext
from penstock_server.service.validate import names
from penstock_server.service.validate.found import Found
from penstock_server.service.validate.names import fits_queue
from penstock_server.service.validate.payload import LONGEST_CONTENT_TYPE, payload
from penstock_server.service.validate.rules import MessageRules, each, key, mapping, number, text
from penstock_server.service.validate.times import (
    DAY,
    HOUR,
    NOTHING,
    TEN_YEARS,
    YEAR,
    instant_ahead,
    is_longer,
    span,
)
from penstock_server.service.validate.wire import NO_SIZE, delimited, names_of, payload_size

_MILLISECOND = timedelta(milliseconds=1)

lease_duration = span(timedelta(seconds=5), HOUR)
retention = span(NOTHING, YEAR)
grace = span(NOTHING, HOUR)
description = text(1_024)
priority = number(0, 9)


def _max_backoff_is_not_shorter(policy: RetryPolicy, prefix: str, found: Found) -> None:
    both = policy.HasField("initial_backoff") and policy.HasField("max_backoff")
    if both and is_longer(policy.initial_backoff, policy.max_backoff):
        found.add(f"{prefix}max_backoff", "must be at least as long as initial_backoff")


retry_policy = MessageRules(
    RetryPolicy,
    {
        "max_attempts": number(1, 1_000),
        "initial_backoff": span(_MILLISECOND, 30 * DAY),
        "max_backoff": span(_MILLISECOND, YEAR),
        "multiplier": number(1.0, 100.0),
        "jitter": number(0.0, 1.0),
        "non_retryable_kinds": each(text(128), most=32),
        "max_crashes": number(0, 1_000),
    },
    also=_max_backoff_is_not_shorter,
)

_limit = span(_MILLISECOND, YEAR)

timeouts = MessageRules(
    Timeouts,
    {
        "schedule_to_start": _limit,
        "start_to_close": _limit,
        "heartbeat": _limit,
        "total": _limit,
    },
)

_trace_context = MessageRules(
    TraceContext,
    {"traceparent": text(64), "tracestate": text(512), "baggage": text(4_096)},
)


def _time_is_said_once(spec: Any, prefix: str, found: Found) -> None:
    if spec.HasField("delay") and spec.HasField("schedule_time"):
        found.add(f"{prefix}delay", "is set beside schedule_time, only one of them may be")


task_spec_rules = MessageRules(
    TaskSpec,
    {
        "task_type": names.TASK_TYPE,
        "payload": payload,
        "queue": names.QUEUE,
        "priority": priority,
        "schedule_time": instant_ahead(TEN_YEARS),
        "delay": span(NOTHING, TEN_YEARS),
        "retry_policy": retry_policy,
        "timeouts": timeouts,
        "fairness_key": text(64),
        "labels": names.labels(of_task=True),
        "headers": mapping(key(64), text(1_024), most=32),
        "owner": text(128),
        "display_name": text(128),
        "description": description,
        "trace_context": _trace_context,
        "retention": retention,
        "lease_duration": lease_duration,
        "cancel_grace": grace,
        "requirements": names.labels(most=16),
    },
    required=["task_type"],
    also=_time_is_said_once,
)


def task_spec(spec: TaskSpec, path: str, found: Found) -> None:
    """Takes specs in bounds. Paths are relative to `path`."""
    if spec.ByteSize() != plain_size(spec, found.limits.payload_bytes):
        task_spec_rules(spec, path, found)


def plain_size(spec: TaskSpec, most_bytes: int) -> int:
    """Gives the bytes of a spec that is what most are: a type, a queue and bytes of some content
    type, all in bounds, and nothing else.

    A spec of another size has more in it. Names in bounds are ASCII, so their lengths are their
    sizes. `NO_SIZE` where a name or the payload is out of bounds.
    """
    task_type, queue, payload = spec.task_type, spec.queue, spec.payload
    size, type_size = len(payload.data), len(payload.content_type)
    if (
        fits_queue(task_type) is None
        or (queue and fits_queue(queue) is None)
        or size > most_bytes
        or type_size > LONGEST_CONTENT_TYPE
    ):
        return NO_SIZE
    content = payload_size(size, type_size)
    return names_of(task_type, queue) + (delimited(content) if content else 0)
