"""Tasks in the store: submit, read, cancel, end, retry, update, delete."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from penstock_server.model.errors import (
    BacklogFull,
    BatchAborted,
    EtagMismatch,
    IdempotencyKeyReused,
    LimitReached,
    PenstockError,
    TaskAlreadyExists,
    TaskNotFound,
    TaskStateConflict,
)
from penstock_server.model.ids import ids_from, partition_of
from penstock_server.model.lifecycle import TaskState
from penstock_server.model.records import (
    ExecutionRecord,
    StoreLimits,
    Submitted,
    TaskDraft,
    TaskRecord,
)

from . import decode, keys
from .hand_off import HandOff, Kind, SubmitCall
from .lanes import Lanes
from .policy import with_policy

_NO_TIMERS: Final[Mapping[str, int]] = {}
_READ_CHUNK: Final = 256
_STATES: Final = {int(state): state for state in TaskState}


class TaskStore:
    """The verbs on tasks.

    Each mutating one is one script call, batched with those of other callers.
    """

    def __init__(self, lanes: Lanes, limits: StoreLimits, hand_off: HandOff) -> None:
        self._lanes = lanes
        self._limits = limits
        self._hand_off = hand_off

    def home(self, namespace: str, queue: str) -> int:
        """The partition of a queue's tasks."""
        return self._lanes.home(namespace, queue)

    async def submit(
        self,
        namespace: str,
        drafts: Sequence[TaskDraft],
        ids: Sequence[str],
        *,
        request_id: str = "",
        all_or_none: bool = False,
        here: Sequence[str] = (),
        waiting_server: str = "",
    ) -> list[Submitted | PenstockError]:
        """Takes in tasks whose queues share a partition, at most 256, in one call. Answers in
        order.

        `ids` come from one `TaskIds.first`. `here` names queues for which this server has a waiting
        poll: it leases by itself, with this very call if it can, and needs no waking.
        `waiting_server` is told when one of the tasks ends.
        """
        kinds: dict[Kind, int] = {}
        items = [_item(draft, kinds) for draft in drafts]
        size = sum(len(item[1]) for item in items) + 64 * len(items)
        call = SubmitCall(
            namespace, request_id, all_or_none, ids, list(kinds), items, here, waiting_server
        )
        ((now_ms, first, results),) = await self._lanes.batch(
            "submit",
            partition_of(ids[0]),
            [call],
            size=size,
            weight=len(items),
            send=self._hand_off.send,
        )
        made = ids if first == ids[0] else ids_from(first, len(ids))
        return [
            Submitted(task_id, False, _STATES[result], now_ms)
            if isinstance(result, int)
            else self._apart(namespace, draft, task_id, result, now_ms)
            for draft, task_id, result in zip(drafts, made, results, strict=True)
        ]

    def _apart(
        self, namespace: str, draft: TaskDraft, task_id: str, result: list[Any], now_ms: int
    ) -> Submitted | PenstockError:
        word, known_id = result[0], result[1].decode() or task_id
        if word == b"taken":
            return Submitted(known_id, False, TaskState(result[2]), now_ms)
        if word == b"existing":
            return Submitted(known_id, True, TaskState(result[2] or TaskState.READY), now_ms)
        if word == b"exists":
            return TaskAlreadyExists(task_id=known_id)
        if word == b"reused":
            return IdempotencyKeyReused(task_id=known_id)
        if word == b"full":
            return BacklogFull(namespace=namespace, limit=self._limits.backlog_count)
        if word == b"too_many_queues":
            return LimitReached(
                what=f"queues in namespace {namespace}", limit=self._limits.queues_per_namespace
            )
        if word == b"aborted":
            return BatchAborted()
        raise ValueError(f"submit answered {word!r} for queue {draft.queue}")

    async def read(
        self,
        namespace: str,
        task_ids: Sequence[str],
        *,
        waiting_server: str = "",
        full: bool = True,
    ) -> list[TaskRecord | None]:
        """Reads tasks in order, None for each that is not there.

        With `waiting_server`, that server is told when one of them ends or logs, from this very
        read on.
        """
        found: dict[str, TaskRecord | None] = {}
        by_partition: dict[int, list[str]] = {}
        for task_id in task_ids:
            by_partition.setdefault(partition_of(task_id) % self._lanes.partitions, []).append(
                task_id
            )
        for partition, ids in by_partition.items():
            for start in range(0, len(ids), _READ_CHUNK):
                chunk = ids[start : start + _READ_CHUNK]
                found.update(
                    zip(
                        chunk,
                        await self._read(partition, namespace, chunk, waiting_server, full),
                        strict=True,
                    )
                )
        return [found[task_id] for task_id in task_ids]

    async def _read(
        self, partition: int, namespace: str, ids: list[str], server: str, full: bool
    ) -> list[TaskRecord | None]:
        value = [server, full, [namespace] * len(ids), ids]
        now_ms, answers = await self._lanes.run("read", partition, value)
        return [
            decode.task(namespace, task_id, answer, now_ms)
            for task_id, answer in zip(ids, answers, strict=True)
        ]

    async def get(self, namespace: str, task_id: str, *, waiting_server: str = "") -> TaskRecord:
        """Reads one task. Raises `TaskNotFound`."""
        (task,) = await self.read(namespace, [task_id], waiting_server=waiting_server)
        if task is None:
            raise TaskNotFound(namespace=namespace, task_id=task_id)
        return task

    async def executions(self, task: TaskRecord) -> list[ExecutionRecord]:
        """The ended executions of a task that are kept, oldest first."""
        name = keys.key(
            self._partition(task.task_id), "executions", namespace=task.namespace, id=task.task_id
        )
        packed = await self._lanes.connection.read("LRANGE", name, 0, -1)
        executions = [decode.execution(each) for each in packed]
        last = task.last_execution
        if last is not None and (not executions or executions[-1].number < last.number):
            executions.append(last)
        return executions

    async def cancel(self, namespace: str, task_id: str, *, grace_ms: int = -1) -> None:
        """Cancels a waiting task, or asks a running one to end.

        Raises `TaskNotFound`, `TaskStateConflict`.
        """
        (answer,) = await self._lanes.batch(
            "cancel", self._partition(task_id), [[namespace, task_id, grace_ms]]
        )
        _raise_for(answer, namespace, task_id, "cancelled")

    async def finish(self, namespace: str, task_id: str, state: TaskState, report: bytes) -> None:
        """Ends a task without a lease. Raises `TaskNotFound`, `TaskStateConflict`."""
        value = [namespace, task_id, int(state), report]
        _raise_for(
            await self._lanes.run("finish", self._partition(task_id), value),
            namespace,
            task_id,
            "ended",
        )

    async def retry(
        self, namespace: str, task_id: str, *, request_id: str, draft: TaskDraft | None
    ) -> None:
        """Runs an ended task again, or a waiting one at once; with a draft under that spec, at its
        time.

        Raises `TaskNotFound`, `TaskStateConflict`.
        """
        value: list[Any] = [namespace, task_id, request_id, 0, 0, b"", 5, "", _NO_TIMERS]
        if draft is not None:
            spec = with_policy(draft.policy, draft.spec)
            value[3:] = [
                draft.due_ms,
                draft.delay_ms,
                spec,
                draft.priority,
                draft.group,
                draft.timers or _NO_TIMERS,
            ]
        _raise_for(
            await self._lanes.run("retry", self._partition(task_id), value),
            namespace,
            task_id,
            "retried",
        )

    async def update(self, task: TaskRecord, draft: TaskDraft, *, due_ms: int) -> None:
        """Replaces spec and priority of a waiting task that is as it was read, and its time unless
        `due_ms` is -1.

        Raises `TaskNotFound`, `TaskStateConflict`, `EtagMismatch`.
        """
        spec = with_policy(draft.policy, draft.spec)
        value = [task.namespace, task.task_id, task.sequence, spec, draft.priority, due_ms]
        answer = await self._lanes.run("update", self._partition(task.task_id), value)
        if answer[0] == b"changed":
            raise EtagMismatch(etag=str(task.sequence))
        _raise_for(answer, task.namespace, task.task_id, "updated")

    async def delete(self, namespace: str, task_id: str) -> None:
        """Deletes the record of an ended task. Raises `TaskNotFound`, `TaskStateConflict`."""
        (answer,) = await self._lanes.batch(
            "delete", self._partition(task_id), [[namespace, task_id]]
        )
        _raise_for(answer, namespace, task_id, "deleted")

    def _partition(self, task_id: str) -> int:
        # An id from elsewhere may name a partition that does not exist here; it is then simply not
        # found.
        return partition_of(task_id) % self._lanes.partitions


def _item(draft: TaskDraft, kinds: dict[Kind, int]) -> list[Any]:
    """The item of a draft; what it shares with others is numbered in `kinds`, from 1."""
    kind = (
        draft.queue,
        draft.task_type,
        draft.priority,
        draft.group,
        draft.due_ms,
        draft.delay_ms,
    )
    item: list[Any] = [
        kinds.setdefault(kind, len(kinds) + 1),
        with_policy(draft.policy, draft.spec),
    ]
    if draft.timers or draft.idempotency:
        item.append(draft.timers or _NO_TIMERS)
        if draft.idempotency:
            item.append(draft.idempotency)
    return item


def _raise_for(answer: list[Any], namespace: str, task_id: str, wanted: str) -> None:
    word = answer[0]
    if word == b"not_found":
        raise TaskNotFound(namespace=namespace, task_id=task_id)
    if word == b"conflict":
        raise TaskStateConflict(task_id=task_id, state=TaskState(answer[1]).name, wanted=wanted)
