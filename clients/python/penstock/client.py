"""The asyncio client: submit tasks, wait for them, look at them, act on them, watch them.

    async with Client(ClientOptions(address="127.0.0.1:7700")) as client:
        print(await client.run("images.resize", {"path": "a.png", "width": 200}))

One client serves any number of coroutines of one event loop, over one connection. Calls are
repeated where that is safe, within `timeout` (the options' if it is None), and raise
`penstock.errors`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, Unpack

from google.protobuf.field_mask_pb2 import FieldMask

from penstock import payload as payloads
from penstock import streams
from penstock.bulk import BulkSubmit, cut
from penstock.coalesce import Coalescer
from penstock.enums import TaskState
from penstock.errors import PenstockError, TaskCancelled, TaskFailed, TaskNotFound
from penstock.event import WatchUpdate
from penstock.execution import Execution, LogLine
from penstock.options import ClientOptions
from penstock.pages import Pages
from penstock.services import Namespaces, Queues, Workers
from penstock.spec import TaskFields, TaskRequest, item_fields, to_spec
from penstock.submit import SubmitResult, new_request_id
from penstock.task import Task
from penstock.task_types import TaskTypes
from penstock.tracing import SendSpan, start_send
from penstock.transport import Transport
from penstock.v1 import task_pb2
from penstock.v1 import task_service_pb2 as pb
from penstock.waiting import Waiter


class Client:
    """A connection to a Penstock server, for asyncio. Use it with `async with`, or `close` it."""

    def __init__(self, options: ClientOptions | None = None) -> None:
        self.options = options or ClientOptions()
        self._transport = Transport(self.options)
        self._singles = Coalescer(self._transport, self.options.submit_flights)
        self.queues = Queues(self._transport)
        self.workers = Workers(self._transport)
        self.task_types = TaskTypes(self._transport)
        self.namespaces = Namespaces(self._transport)

    @classmethod
    def from_env(cls, **changes: Any) -> Self:
        """A client with ClientOptions.from_env: PENSTOCK_ADDRESS and so on."""
        return cls(ClientOptions.from_env(**changes))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection. Calls under way raise ClientClosed. May be repeated."""
        await self._transport.close()
        await self._singles.close()

    # ---- submit -----------------------------------------------------------------------------

    async def submit(
        self,
        task_type: str,
        payload: object = None,
        *,
        timeout: timedelta | None = None,
        **fields: Unpack[TaskFields],
    ) -> SubmitResult:
        """Submits one task; returning means that it is stored. Concurrent submits share calls.

        The keywords are those of TaskRequest. Raises FieldInvalid, TooLarge, TaskAlreadyExists,
        IdempotencyKeyReused, and BacklogFull or StoreFull once `timeout` is over.
        """
        request = TaskRequest(task_type, payload, **fields)
        span = start_send(request.queue, task_type)
        item = _traced_item(request, span)
        if span is None:
            return await self._singles.submit(item, self._timeout(timeout))
        try:
            result = await self._singles.submit(item, self._timeout(timeout))
        except BaseException as error:
            span.end(error=error)
            raise
        span.end(task_id=result.task_id)
        return result

    async def submit_many(
        self,
        requests: Iterable[TaskRequest],
        *,
        all_or_none: bool = False,
        timeout: timedelta | None = None,
    ) -> list[SubmitResult]:
        """Submits any number of tasks and answers what became of each, in order.

        Tasks leave in calls of at most 1,000, a few at a time, while later ones are still being
        taken from `requests`. A refused task has its error in its result. If a call fails as a
        whole after its repeats, its tasks and those not yet sent get that error. `timeout` bounds
        each call. With `all_or_none` all go in one call (at most 256 tasks and 1 MiB, queues of one
        partition), which stores either all or none.
        """
        bulk = BulkSubmit(self._transport, self._timeout(timeout), self.options.submit_flights)
        return await bulk.run(cut(requests, self.options.namespace, whole=all_or_none))

    async def run(
        self,
        task_type: str,
        payload: object = None,
        *,
        timeout: timedelta | None = None,
        **fields: Unpack[TaskFields],
    ) -> Any:
        """Submits a task, waits until it has ended, and returns what its handler answered.

        Without `timeout` it waits however long that takes. Raises TaskFailed, TaskCancelled;
        TaskNotEnded when `timeout` is over (the task goes on); and what `submit` raises.
        """
        return _result_of(await self.run_task(task_type, payload, timeout=timeout, **fields))

    async def run_task(
        self,
        task_type: str,
        payload: object = None,
        *,
        timeout: timedelta | None = None,
        **fields: Unpack[TaskFields],
    ) -> Task:
        """As `run`, but returns the ended task, however it ended."""
        request = TaskRequest(task_type, payload, **fields)
        span = start_send(request.queue, task_type)
        item = _traced_item(request, span)
        run = pb.RunTaskRequest(
            namespace=self.options.namespace,
            spec=item.spec,
            idempotency=item.idempotency if item.HasField("idempotency") else None,
            request_id=new_request_id(),
        )
        try:
            task = await Waiter(self._transport, timeout).run(run)
        except BaseException as error:
            if span is not None:
                span.end(error=error)
            raise
        if span is not None:
            span.end(task_id=task.task_id)
        return task

    # ---- wait and look ----------------------------------------------------------------------

    async def await_result(self, task_id: str, *, timeout: timedelta | None = None) -> Any:
        """Waits until a task has ended and returns what its handler answered. Raises as `run`."""
        return _result_of(await self.await_task(task_id, timeout=timeout))

    async def await_task(self, task_id: str, *, timeout: timedelta | None = None) -> Task:
        """Waits until a task has ended and returns it, however it ended.

        Without `timeout` it waits however long that takes. Raises TaskNotFound, TaskNotEnded.
        """
        return await Waiter(self._transport, timeout).until_ended(task_id)

    async def get(self, task_id: str, *, timeout: timedelta | None = None) -> Task:
        """One task, whole. Raises TaskNotFound."""
        request = pb.GetTaskRequest(namespace=self.options.namespace, task_id=task_id)
        call = self._transport.call(self._transport.tasks.GetTask, request, timeout=timeout)
        return Task((await call).task)

    async def executions(self, task_id: str) -> AsyncGenerator[Execution, None]:
        """The executions of a task that are kept, newest first. Raises TaskNotFound."""
        request = pb.ListExecutionsRequest(namespace=self.options.namespace, task_id=task_id)
        async for page in Pages(self._transport, self._transport.tasks.ListExecutions, request):
            for execution in page.executions:
                yield Execution(execution)

    async def execution(
        self, task_id: str, number: int = 0, *, timeout: timedelta | None = None
    ) -> Execution:
        """One execution by its number from 1; 0 is the latest. Raises ExecutionNotFound."""
        request = pb.GetExecutionRequest(
            namespace=self.options.namespace, task_id=task_id, number=number
        )
        call = self._transport.call(self._transport.tasks.GetExecution, request, timeout=timeout)
        return Execution((await call).execution)

    async def watch(
        self,
        *,
        queues: Sequence[str] = (),
        task_types: Sequence[str] = (),
        task_ids: Sequence[str] = (),
        cursor: str = "",
    ) -> AsyncGenerator[WatchUpdate, None]:
        """What happens to tasks, from now or after `cursor`, without gap or repeat.

        Filters that are given must all fit. The first update comes at once and says that the watch
        has begun; with `task_ids` (at most 100) it holds those tasks as they are, and the watch
        ends when all have ended. Goes on by itself through restarts of servers. Raises
        CursorExpired, CursorInvalid, TaskNotFound, and TryLater when no server answered for
        `stream_patience`.
        """
        request = pb.WatchTasksRequest(
            namespace=self.options.namespace,
            queues=queues,
            task_types=task_types,
            task_ids=task_ids,
            cursor=cursor,
        )
        updates = streams.watch(self._transport, request)
        try:
            async for update in updates:
                yield update
        finally:
            await updates.aclose()

    async def tail_logs(
        self, task_id: str, *, execution: int = 0, follow: bool = False, cursor: str = ""
    ) -> AsyncGenerator[LogLine, None]:
        """The log lines of a task, without gap or repeat; with `follow` until the task has ended.

        `execution` picks one by its number; 0 is all of them. Goes on by itself through restarts of
        servers. Raises TaskNotFound, CursorExpired.
        """
        request = pb.TailLogsRequest(
            namespace=self.options.namespace,
            task_id=task_id,
            execution=execution,
            follow=follow,
            cursor=cursor,
        )
        lines = streams.tail(self._transport, request)
        try:
            async for line in lines:
                yield line
        finally:
            await lines.aclose()

    # ---- act --------------------------------------------------------------------------------

    async def cancel(
        self,
        task_id: str,
        *,
        grace: timedelta | None = None,
        reason: str = "",
        timeout: timedelta | None = None,
    ) -> Task:
        """Cancels a task: at once if it waits, within `grace` if it runs (`cancel_requested`).

        Raises TaskNotFound, and TaskStateConflict if it has ended otherwise.
        """
        request = pb.CancelTaskRequest(
            namespace=self.options.namespace, task_id=task_id, reason=reason
        )
        if grace is not None:
            request.grace.FromTimedelta(grace)
        call = self._transport.call(self._transport.tasks.CancelTask, request, timeout=timeout)
        return Task((await call).task)

    async def retry(
        self,
        task_id: str,
        spec: TaskRequest | task_pb2.TaskSpec | None = None,
        *,
        timeout: timedelta | None = None,
    ) -> Task:
        """Runs an ended task again under the same id, with `spec` in place of its own if given.

        Queue and type must stay as they are. Raises TaskNotFound, TaskStateConflict, TooLarge.
        """
        request = pb.RetryTaskRequest(
            namespace=self.options.namespace,
            task_id=task_id,
            spec=None if spec is None else to_spec(spec),
            request_id=new_request_id(),
        )
        call = self._transport.call(self._transport.tasks.RetryTask, request, timeout=timeout)
        return Task((await call).task)

    async def update(
        self,
        task_id: str,
        *,
        labels: Mapping[str, str] | None = None,
        owner: str | None = None,
        display_name: str | None = None,
        description: str | None = None,
        priority: int | None = None,
        run_at: datetime | None = None,
        etag: str = "",
        timeout: timedelta | None = None,
    ) -> Task:
        """Changes what is given on a task that waits.

        Raises TaskNotFound, TaskStateConflict, and EtagMismatch if `etag` is given and old.
        """
        values: dict[str, Any] = {
            "labels": labels,
            "owner": owner,
            "display_name": display_name,
            "description": description,
            "priority": priority,
            "schedule_time": run_at,
        }
        given = {name: value for name, value in values.items() if value is not None}
        request = pb.UpdateTaskRequest(
            namespace=self.options.namespace,
            task_id=task_id,
            spec=task_pb2.TaskSpec(**given),
            update_mask=FieldMask(paths=list(given)),
            etag=etag,
        )
        call = self._transport.call(self._transport.tasks.UpdateTask, request, timeout=timeout)
        return Task((await call).task)

    async def end(
        self,
        task_id: str,
        *,
        result: object = None,
        failure: task_pb2.Failure | str | None = None,
        timeout: timedelta | None = None,
    ) -> Task:
        """Ends a task as an operator: as failed with `failure` if given, else as succeeded.

        Revokes a lease that is held. Raises TaskNotFound, TaskStateConflict, TooLarge.
        """
        if isinstance(failure, str):
            failure = task_pb2.Failure(kind="operator", message=failure)
        request = pb.EndTaskRequest(
            namespace=self.options.namespace,
            task_id=task_id,
            failure=failure,
            result=payloads.encode(result) if failure is None else None,
        )
        call = self._transport.call(self._transport.tasks.EndTask, request, timeout=timeout)
        return Task((await call).task)

    async def delete(self, task_id: str, *, timeout: timedelta | None = None) -> None:
        """Deletes the record of an ended task. Raises TaskNotFound, TaskStateConflict."""
        await self._transport.call(
            self._transport.tasks.DeleteTask,
            pb.DeleteTaskRequest(namespace=self.options.namespace, task_id=task_id),
            timeout=timeout,
            on_repeat=_already_deleted,
        )

    def _timeout(self, timeout: timedelta | None) -> timedelta:
        return self.options.timeout if timeout is None else timeout


def _traced_item(request: TaskRequest, span: SendSpan | None) -> pb.SubmitTasksItem:
    """The item to send, with the trace that its task belongs to."""
    if span is not None and request.trace_context is None:
        request.trace_context = span.trace_context
    return pb.SubmitTasksItem(**item_fields(request))


def _result_of(task: Task) -> Any:
    """What the handler answered; raises what became of the task otherwise."""
    if task.state is TaskState.FAILED:
        raise TaskFailed(task)
    if task.state is TaskState.CANCELLED:
        raise TaskCancelled(task)
    return task.result


def _already_deleted(error: PenstockError) -> pb.DeleteTaskResponse | None:
    """A repeat that finds nothing: the first call took effect and its reply was lost."""
    return pb.DeleteTaskResponse() if isinstance(error, TaskNotFound) else None
