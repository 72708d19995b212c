"""What the store answers, as records."""

import struct
from collections.abc import Iterator
from typing import Any, Final

import msgpack

from penstock_server.model.ids import ID_LENGTH, partition_of
from penstock_server.model.lease_token import encode_lease_token
from penstock_server.model.lifecycle import CancelReason, EventKind, Outcome, TaskState
from penstock_server.model.records import Directive, EventRecord, ExecutionRecord, TaskRecord

from .keys import TASK_FIELDS
from .policy import creator_of, spec_of

_FIELDS: Final = tuple(name.encode() for name in TASK_FIELDS)
_AS_ARRAY: Final = struct.pack(">BH", 0xDC, len(_FIELDS) + 1)
"""What msgpack begins an array with: the values of a record stand one behind the other."""
_LARGE_ARRAY: Final = struct.Struct(">BI")
_TEXTS: Final = (b"q", b"y", b"w", b"g")
_EVENT_VERSION: Final = 3
_OUTCOMES: Final = {int(outcome): outcome for outcome in Outcome}
_REASONS: Final = {int(reason): reason for reason in CancelReason}


def execution(packed: bytes) -> ExecutionRecord:
    """An ended execution as the scripts keep it."""
    number, outcome, start, end, session, attempt, fence, report, note = msgpack.unpackb(
        packed, raw=True
    )[:9]
    return ExecutionRecord(
        number=number,
        outcome=_OUTCOMES.get(outcome),
        start_ms=int(start),
        end_ms=int(end),
        session_id=session.decode(),
        attempt=attempt,
        fence=int(fence),
        report=report,
        note=note.decode(),
    )


def running_execution(task: TaskRecord) -> ExecutionRecord:
    """The execution that runs, which only the task itself tells of yet."""
    return ExecutionRecord(
        number=task.executions,
        outcome=None,
        start_ms=task.start_ms,
        end_ms=0,
        session_id=task.session_id,
        attempt=task.attempt + 1,
        fence=task.fence,
    )


def fields_of(packed: bytes) -> dict[bytes, Any]:
    """The fields of a task's record that are there: numbers, names as texts, all else as bytes."""
    *values, rare = msgpack.unpackb(_AS_ARRAY + packed, raw=True)
    fields = {name: value for name, value in zip(_FIELDS, values, strict=True) if value is not None}
    fields |= rare or {}
    for name in _TEXTS:
        if name in fields:
            fields[name] = fields[name].decode()
    return fields


def task(namespace: str, task_id: str, answer: list[Any], now_ms: int) -> TaskRecord | None:
    """A task as `read` answers it; None if there is none."""
    if not answer:
        return None
    packed, stored, last, progress, timer = answer
    fields = fields_of(packed)
    get = fields.get
    state = TaskState(fields[b"s"])
    created = fields[b"c"]
    running = state is TaskState.RUNNING
    return TaskRecord(
        namespace=namespace,
        task_id=task_id,
        state=state,
        queue=fields[b"q"],
        task_type=fields[b"y"],
        sequence=fields[b"sq"],
        create_ms=created,
        update_ms=max(created, get(b"u", 0), get(b"b", 0), get(b"hs", 0), get(b"e", 0)),
        due_ms=get(b"d", created),
        start_ms=get(b"b", 0),
        end_ms=get(b"e", 0) if state.ended else 0,
        delete_ms=int(float(timer)) if state.ended and timer else 0,
        expire_ms=int(float(timer)) if running and timer else 0,
        attempt=get(b"a", 0),
        executions=get(b"x", 0),
        crashes=get(b"k", 0),
        releases=get(b"r", 0),
        cancel_requested=b"cq" in fields or get(b"cr") == CancelReason.REQUESTED,
        cancel_reason=_REASONS.get(get(b"cr", 0)) if state is TaskState.CANCELLED else None,
        session_id=get(b"w", "") if running else "",
        creator=creator_of(stored) if stored else "",
        spec=spec_of(stored) if stored else None,
        progress=_progress(progress) if progress else None,
        last_execution=last_execution(fields, last),
        fence=get(b"f", 0),
        now_ms=now_ms,
    )


def last_execution(fields: dict[bytes, Any], packed: bytes) -> ExecutionRecord | None:
    """The latest that has ended: one that succeeded with a short report stands in the record."""
    report = fields.get(b"re")
    if report is None:
        return execution(packed) if packed else None
    return ExecutionRecord(
        number=fields[b"x"],
        outcome=Outcome.SUCCEEDED,
        start_ms=fields[b"b"],
        end_ms=fields[b"e"],
        session_id=fields[b"w"],
        attempt=fields.get(b"a", 0) + 1,
        fence=fields[b"f"],
        report=report,
    )


def _progress(packed: bytes) -> tuple[int, bytes]:
    at, progress = msgpack.unpackb(packed, raw=True)
    return int(at), progress


def each_id(ids: str) -> Iterator[str]:
    """Task ids that a script wrote one behind the other."""
    return (ids[at : at + ID_LENGTH] for at in range(0, len(ids), ID_LENGTH))


def array(count: int, packed: bytes) -> list[Any]:
    """Values that a script packed one behind the other."""
    values: list[Any] = msgpack.unpackb(_LARGE_ARRAY.pack(0xDD, count) + packed, raw=True)
    return values


def events(packed: bytes) -> list[EventRecord]:
    """One entry of an event stream. Raises ValueError and others for what is none."""
    version, time_ms, groups = msgpack.unpackb(packed, raw=True)[:3]
    if version != _EVENT_VERSION:
        raise ValueError(f"an event entry of version {version}, known is {_EVENT_VERSION}")
    records: list[EventRecord] = []
    for namespace, queue, task_type, count, runs in groups:
        names = (namespace.decode(), queue.decode(), task_type.decode(), int(time_ms))
        for run in array(count, runs):
            records.extend(_events(names, run))
    return records


def _events(names: tuple[str, str, str, int], run: list[Any]) -> Iterator[EventRecord]:
    ids, kind, sequence, state, execution, outcome, attempt, reason, due, session, extra = run[:11]
    for task_id in each_id(ids.decode()):
        yield EventRecord(
            *names,
            task_id=task_id,
            kind=EventKind(kind),
            sequence=int(sequence),
            state=TaskState(state),
            execution=execution,
            outcome=_OUTCOMES.get(outcome),
            attempt=attempt,
            cancel_reason=_REASONS.get(reason),
            due_ms=int(due),
            session_id=session.decode(),
            extra=extra or b"",
        )


def directive(packed: bytes) -> Directive:
    """A directive as the scripts keep it."""
    kind, directive_id, task_id, fence, random, deadline_ms, reason = msgpack.unpackb(
        packed, raw=True
    )[:7]
    token = encode_lease_token(task_id.decode(), int(fence), random) if task_id else ""
    return Directive(directive_id.decode(), kind.decode(), token, int(deadline_ms), reason.decode())


def home_of(task_id: str, partitions: int) -> int:
    """The partition of a task.

    An id from elsewhere may name one that does not exist here; it is then simply not found.
    """
    return partition_of(task_id) % partitions
