"""What producers and operators do with tasks."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from penstock_server.model.errors import (
    CrossPartition,
    EtagMismatch,
    ExecutionNotFound,
    PenstockError,
)
from penstock_server.model.ids import TaskIds, ids_from
from penstock_server.model.lifecycle import TaskState
from penstock_server.model.records import ExecutionRecord, Submitted, TaskDraft, TaskRecord
from penstock_server.store import decode
from penstock_server.store.store import Store

from .endings import Endings
from .observer import Observer
from .sessions import Polls

_MOST_ITEMS: Final = 256
_MOST_BYTES: Final = 1 << 20


class Tasks:
    """Submit, wait, read, cancel, end, retry, update, delete."""

    def __init__(
        self,
        store: Store,
        server_id: str,
        endings: Endings,
        polls: Polls,
        observer: Observer,
        ids: TaskIds,
    ) -> None:
        self._store = store
        self._server_id = server_id
        self._endings = endings
        self._polls = polls
        self._observer = observer
        self._ids = ids

    async def submit(
        self,
        namespace: str,
        drafts: Sequence[TaskDraft],
        *,
        request_id: str = "",
        all_or_none: bool = False,
        await_end: bool = False,
    ) -> list[Submitted | PenstockError]:
        """Takes in tasks; answers in order. Acknowledged means stored.

        With `await_end` the store is asked to tell this server of their ends. Raises
        `CrossPartition` for an all-or-none batch over several partitions, and what keeps the store
        from answering at all.
        """
        queues = {draft.queue for draft in drafts}
        home_of = {queue: self._store.home(namespace, queue) for queue in queues}
        homes = sorted(set(home_of.values()))
        if len(homes) == 1:
            return await self._submit_home(
                namespace,
                homes[0],
                drafts,
                request_id,
                all_or_none=all_or_none,
                await_end=await_end,
            )
        if all_or_none:
            raise CrossPartition(partitions=len(homes))
        results: list[Submitted | PenstockError | None] = [None] * len(drafts)
        for home in homes:
            places = [place for place, draft in enumerate(drafts) if home_of[draft.queue] == home]
            part = await self._submit_home(
                namespace, home, [drafts[place] for place in places], request_id
            )
            for place, result in zip(places, part, strict=True):
                results[place] = result
        return [result for result in results if result is not None]

    async def _submit_home(
        self,
        namespace: str,
        home: int,
        drafts: Sequence[TaskDraft],
        request_id: str,
        *,
        all_or_none: bool = False,
        await_end: bool = False,
    ) -> list[Submitted | PenstockError]:
        results: list[Submitted | PenstockError] = []
        # An all-or-none batch is one call of the script: the service has bounded it.
        chunks = [drafts] if all_or_none else _chunks(drafts)
        for number, chunk in enumerate(chunks):
            # Chunks of a repeated call are cut alike, so each one can be known again by its number.
            part = f"{request_id}:{number}" if request_id and number else request_id
            ids = ids_from(self._ids.first(home), len(chunk))
            results += await self._store.tasks.submit(
                namespace,
                chunk,
                ids,
                request_id=part,
                all_or_none=all_or_none,
                here=self._served_here(namespace, chunk),
                waiting_server=self._server_id if await_end else "",
            )
        self._observer.submitted(namespace, drafts, results)
        return results

    def _served_here(self, namespace: str, drafts: Sequence[TaskDraft]) -> list[str]:
        """Queues of which polls wait here for all types that the drafts bring."""
        wanted: dict[str, set[str]] = {}
        for queue, task_type in dict.fromkeys((draft.queue, draft.task_type) for draft in drafts):
            wanted.setdefault(queue, set()).add(task_type)
        waits_for = self._polls.waits_for
        return [queue for queue, types in wanted.items() if waits_for(namespace, queue, types)]

    async def run(
        self, namespace: str, draft: TaskDraft, *, request_id: str, wait: timedelta
    ) -> TaskRecord | PenstockError:
        """Submits a task and waits for its end, at most `wait`."""
        (result,) = await self.submit(namespace, [draft], request_id=request_id, await_end=True)
        if isinstance(result, PenstockError):
            return result
        return await self._endings.wait(
            namespace, result.task_id, wait, registered=not result.existing
        )

    async def wait(self, namespace: str, task_id: str, wait: timedelta) -> TaskRecord:
        """The task once it has ended, or as it is when `wait` is over. Raises `TaskNotFound`."""
        return await self._endings.wait(namespace, task_id, wait)

    async def get(self, namespace: str, task_id: str) -> TaskRecord:
        """The task. Raises `TaskNotFound`."""
        return await self._store.tasks.get(namespace, task_id)

    async def read(self, namespace: str, task_ids: Sequence[str]) -> list[TaskRecord]:
        """Those of the tasks that are there, in order."""
        return [
            task for task in await self._store.tasks.read(namespace, task_ids) if task is not None
        ]

    async def cancel(self, namespace: str, task_id: str, grace: timedelta | None) -> TaskRecord:
        """Cancels a task, or asks for its end if it runs.

        Raises `TaskNotFound`, `TaskStateConflict`.
        """
        grace_ms = -1 if grace is None else round(grace / timedelta(milliseconds=1))
        await self._store.tasks.cancel(namespace, task_id, grace_ms=grace_ms)
        return await self._store.tasks.get(namespace, task_id)

    async def end(
        self, namespace: str, task_id: str, state: TaskState, report: bytes
    ) -> TaskRecord:
        """Ends a task without a lease. Raises `TaskNotFound`, `TaskStateConflict`."""
        await self._store.tasks.finish(namespace, task_id, state, report)
        return await self._store.tasks.get(namespace, task_id)

    async def retry(
        self, namespace: str, task_id: str, *, request_id: str, draft: TaskDraft | None
    ) -> TaskRecord:
        """Runs an ended task again, or a waiting one at once.

        Raises `TaskNotFound`, `TaskStateConflict`.
        """
        await self._store.tasks.retry(namespace, task_id, request_id=request_id, draft=draft)
        task = await self._store.tasks.get(namespace, task_id)
        self._polls.on_queue(namespace, task.queue)
        return task

    async def update(
        self, task: TaskRecord, draft: TaskDraft, *, due_ms: int, etag: str
    ) -> TaskRecord:
        """Changes a waiting task. Raises `TaskNotFound`, `TaskStateConflict`, `EtagMismatch`."""
        if etag and etag != etag_of(task):
            raise EtagMismatch(etag=etag)
        await self._store.tasks.update(task, draft, due_ms=due_ms)
        return await self._store.tasks.get(task.namespace, task.task_id)

    async def delete(self, namespace: str, task_id: str) -> None:
        """Deletes the record of an ended task. Raises `TaskNotFound`, `TaskStateConflict`."""
        await self._store.tasks.delete(namespace, task_id)

    async def executions(self, namespace: str, task_id: str) -> list[ExecutionRecord]:
        """The executions that are kept, newest first, a running one included.

        Raises `TaskNotFound`.
        """
        task = await self._store.tasks.get(namespace, task_id)
        executions = await self._store.tasks.executions(task)
        if task.state is TaskState.RUNNING:
            executions.append(decode.running_execution(task))
        return executions[::-1]

    async def workers_of(
        self, namespace: str, executions: Sequence[ExecutionRecord]
    ) -> dict[str, bytes]:
        """What the sessions of executions said of themselves, as far as it is still known."""
        sessions = [execution.session_id for execution in executions if execution.session_id]
        return await self._store.sessions.descriptions(namespace, sessions)

    async def execution(self, namespace: str, task_id: str, number: int) -> ExecutionRecord:
        """One execution, the latest if `number` is 0.

        Raises `TaskNotFound`, `ExecutionNotFound`.
        """
        for execution in await self.executions(namespace, task_id):
            if number in (0, execution.number):
                return execution
        raise ExecutionNotFound(task_id=task_id, number=number)


def etag_of(task: TaskRecord) -> str:
    """The version of a task for updates."""
    return f"{task.sequence:x}"


def _chunks(drafts: Sequence[TaskDraft]) -> list[Sequence[TaskDraft]]:
    """What one call of a script may carry: 256 items and 1 MiB, or one larger item alone."""
    chunks: list[Sequence[TaskDraft]] = []
    start = size = 0
    for place, draft in enumerate(drafts):
        weight = len(draft.spec) + 64
        if place > start and (place - start >= _MOST_ITEMS or size + weight > _MOST_BYTES):
            chunks.append(drafts[start:place])
            start, size = place, 0
        size += weight
    chunks.append(drafts[start:])
    return chunks
