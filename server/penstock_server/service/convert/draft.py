"""What a producer asks for → drafts for the engine."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from typing import Final, TypeVar

from google.protobuf.message import Message

from penstock.v1 import task_service_pb2 as pb
from penstock.v1.queue_pb2 import QueueConfig
from penstock.v1.task_pb2 import RetryPolicy, TaskSpec
from penstock.v1.task_type_pb2 import TaskTypeConfig
from penstock.v1.worker_service_pb2 import CompleteReport, FailReport
from penstock_server.model.errors import FieldInvalid, Violation
from penstock_server.model.lifecycle import TaskState
from penstock_server.model.records import (
    DEFAULT_POLICY,
    IdempotencyKey,
    Policy,
    TaskDraft,
    TaskRecord,
)
from penstock_server.service.convert.times import set_time, span_ms, time_ms
from penstock_server.service.trim import trim_failure
from penstock_server.service.validate.spec import plain_size

DEFAULT_QUEUE: Final = "default"
_DAY_MS: Final = 86_400_000
Defaults = Sequence[QueueConfig | TaskTypeConfig]
"""What fills in a spec where it says nothing, in the order of precedence."""
_N = TypeVar("_N", int, float)
_KEEP, _REJECT, _REPLACE = 0, 1, 2
_POLICIES: Final = {
    pb.CONFLICT_POLICY_UNSPECIFIED: _KEEP,
    pb.CONFLICT_POLICY_RETURN_EXISTING: _KEEP,
    pb.CONFLICT_POLICY_REJECT: _REJECT,
    pb.CONFLICT_POLICY_REPLACE_WAITING: _REPLACE,
}


def draft(
    spec: TaskSpec,
    *,
    defaults: Defaults = (),
    creator: str,
    now_ms: int,
    idempotency: pb.Idempotency | None = None,
) -> TaskDraft:
    """A validated spec as a draft. Fills in the defaults, the first ones first, in the spec
    itself.
    """
    key = idempotency_key(spec, idempotency) if idempotency is not None else None
    if not spec.queue:
        spec.queue = DEFAULT_QUEUE
    due_ms = delay_ms = 0
    if spec.HasField("delay"):
        delay_ms = span_ms(spec.delay)
        set_time(spec.schedule_time, now_ms + delay_ms)
        spec.ClearField("delay")
    elif spec.HasField("schedule_time"):
        due_ms = time_ms(spec.schedule_time)
    for config in defaults:
        _fill_in(spec, config)
    return TaskDraft(
        queue=spec.queue,
        task_type=spec.task_type,
        spec=spec.SerializeToString(),
        priority=spec.priority if spec.HasField("priority") else 5,
        group=spec.fairness_key,
        delay_ms=delay_ms,
        due_ms=due_ms,
        policy=_policy(spec, creator),
        timers=_timers(spec),
        idempotency=key,
    )


def plain_draft(item: pb.SubmitTasksItem, creator: str, most_bytes: int) -> TaskDraft | None:
    """The draft of an item that is what most are: a plain spec (`plain_size`) and nothing else.

    None for all others: whether they are in bounds, and what they ask for, takes a closer look. So
    does what a queue or a type fills in.
    """
    spec = item.spec
    queue, wire = spec.queue, spec.SerializeToString()
    if len(wire) != plain_size(spec, most_bytes) or item.HasField("idempotency"):
        return None
    if not queue:
        # The request stays as it came: its size is still to be judged.
        named = TaskSpec.FromString(wire)
        queue = named.queue = DEFAULT_QUEUE
        wire = named.SerializeToString()
    return TaskDraft(queue, spec.task_type, wire, policy=_policy_of(creator))


def idempotency_key(spec: TaskSpec, idempotency: pb.Idempotency) -> IdempotencyKey | None:
    """The key of a submit; None if it has none."""
    if not idempotency.key:
        return None
    window = span_ms(idempotency.window) if idempotency.HasField("window") else _DAY_MS
    policy = _POLICIES[idempotency.conflict_policy]
    return IdempotencyKey(idempotency.key, window, policy, _hash(spec))


def _hash(spec: TaskSpec) -> bytes:
    """Names what is asked for. The trace is left out: a repeated submit has another one."""
    plain = TaskSpec()
    plain.CopyFrom(spec)
    plain.ClearField("trace_context")
    plain.queue = plain.queue or DEFAULT_QUEUE
    return blake2b(plain.SerializeToString(deterministic=True), digest_size=16).digest()


def _fill_in(spec: TaskSpec, config: QueueConfig | TaskTypeConfig) -> None:
    if (
        isinstance(config, TaskTypeConfig)
        and config.HasField("priority")
        and not spec.HasField("priority")
    ):
        spec.priority = config.priority
    for name in ("retry_policy", "timeouts", "lease_duration", "retention"):
        if config.HasField(name) and not spec.HasField(name):
            getattr(spec, name).CopyFrom(getattr(config, name))


def _policy(spec: TaskSpec, creator: str) -> Policy:
    retry, grace = spec.HasField("retry_policy"), spec.HasField("cancel_grace")
    if not retry and not grace:
        return _policy_of(creator)
    policy = _retry_policy(spec.retry_policy) if retry else DEFAULT_POLICY
    if grace:
        policy = replace(policy, cancel_grace_ms=span_ms(spec.cancel_grace))
    return replace(policy, creator=creator)


@lru_cache(maxsize=1024)
def _policy_of(creator: str) -> Policy:
    """What holds for tasks of the creator that say nothing of their own."""
    if creator == DEFAULT_POLICY.creator:
        return DEFAULT_POLICY
    return replace(DEFAULT_POLICY, creator=creator)


def _retry_policy(retry: RetryPolicy) -> Policy:
    default = DEFAULT_POLICY
    initial = _span_or(retry, "initial_backoff", default.initial_backoff_ms)
    return Policy(
        max_attempts=_or(retry, "max_attempts", default.max_attempts),
        initial_backoff_ms=initial,
        max_backoff_ms=max(initial, _span_or(retry, "max_backoff", default.max_backoff_ms)),
        multiplier=_or(retry, "multiplier", default.multiplier),
        jitter=_or(retry, "jitter", default.jitter),
        max_crashes=_or(retry, "max_crashes", default.max_crashes),
        non_retryable_kinds=tuple(retry.non_retryable_kinds),
    )


def _or(message: Message, name: str, default: _N) -> _N:
    return getattr(message, name) if message.HasField(name) else default


def _span_or(message: Message, name: str, default_ms: int) -> int:
    return span_ms(getattr(message, name)) if message.HasField(name) else default_ms


def _timers(spec: TaskSpec) -> Mapping[str, int] | None:
    """Lease term, retention and timeouts by their field in the store."""
    timers: dict[str, int] = {}
    if spec.HasField("lease_duration"):
        timers["L"] = span_ms(spec.lease_duration)
    if spec.HasField("retention"):
        timers["rt"] = span_ms(spec.retention)
    if spec.HasField("timeouts"):
        for descriptor, value in spec.timeouts.ListFields():
            timers[_TIMEOUTS[descriptor.name]] = span_ms(value)
    return timers or None


_TIMEOUTS: Final = {
    "schedule_to_start": "ts",
    "start_to_close": "to",
    "heartbeat": "hb",
    "total": "tt",
}


def ending(request: pb.EndTaskRequest) -> tuple[TaskState, bytes]:
    """How an operator ends a task: the state, and a report like a worker's."""
    if request.WhichOneof("ending") == "result":
        return TaskState.SUCCEEDED, CompleteReport(result=request.result).SerializeToString()
    trim_failure(request.failure)
    return TaskState.FAILED, FailReport(failure=request.failure).SerializeToString()


def refuse_another_home(spec: TaskSpec, record: TaskRecord) -> None:
    """An edited spec keeps queue and type: the task stays where it is. Raises `FieldInvalid`."""
    wrong = [
        Violation(f"spec.{name}", f"is {given!r}; it must stay {known!r}")
        for name, given, known in (
            ("queue", spec.queue or DEFAULT_QUEUE, record.queue),
            ("task_type", spec.task_type, record.task_type),
        )
        if given != known
    ]
    if wrong:
        raise FieldInvalid(wrong)
