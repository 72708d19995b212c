"""TaskService: translate, call the engine, translate back."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any, Final

from penstock.v1 import task_service_pb2 as pb
from penstock.v1 import task_service_pb2_grpc
from penstock.v1.queue_pb2 import QueueConfig
from penstock.v1.task_pb2 import TaskSpec
from penstock.v1.task_type_pb2 import TaskTypeConfig
from penstock_server.engine.engine import Engine
from penstock_server.engine.queues import QueueConfigs
from penstock_server.engine.task_types import TaskTypeConfigs
from penstock_server.engine.watch import Watcher
from penstock_server.model.errors import BatchAborted, EtagMismatch, PenstockError
from penstock_server.model.lifecycle import TaskState
from penstock_server.model.records import EventRecord, TaskDraft, TaskRecord
from penstock_server.service import validate
from penstock_server.service.convert import draft as convert_draft
from penstock_server.service.convert import task as convert
from penstock_server.service.convert.times import set_time, span, time_ms, wait_of
from penstock_server.service.drafts import Drafts
from penstock_server.service.errors import to_item_error
from penstock_server.service.principal import current_principal
from penstock_server.service.tokens import decode_page_token, encode_page_token
from penstock_server.service.validate import Limits

_WAIT: Final = timedelta(seconds=30)
_BEAT: Final = 15.0
"""Seconds after which a stream answers even if there is nothing to tell."""


class TaskService(task_service_pb2_grpc.TaskServiceServicer):
    """For producers and operators."""

    def __init__(
        self,
        engine: Engine,
        configs: QueueConfigs[QueueConfig],
        types: TaskTypeConfigs[TaskTypeConfig],
        limits: Limits,
    ) -> None:
        self._engine = engine
        self._tasks = engine.tasks
        self._drafts = Drafts(configs, types, limits)
        self._limits = limits

    # ---- submit -------------------------------------------------------------------------------

    async def SubmitTask(
        self, request: pb.SubmitTaskRequest, context: Any
    ) -> pb.SubmitTaskResponse:
        validate.submit_task(request, self._limits)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        draft = await self._drafts.one(namespace, request.spec, request.idempotency)
        (result,) = await self._tasks.submit(namespace, [draft], request_id=request.request_id)
        if isinstance(result, PenstockError):
            raise result
        if result.existing:
            record = await self._tasks.get(namespace, result.task_id)
            return pb.SubmitTaskResponse(task=convert.task(record, payload=False), existing=True)
        task = convert.submitted(namespace, request.spec, current_principal().name)
        task.task_id = result.task_id
        task.state = int(result.state)  # type: ignore[assignment]
        set_time(task.create_time, result.now_ms)
        set_time(task.update_time, result.now_ms)
        due_ms = result.now_ms + draft.delay_ms if draft.delay_ms else draft.due_ms
        set_time(task.schedule_time, max(due_ms, result.now_ms))
        return pb.SubmitTaskResponse(task=task)

    async def SubmitTasks(
        self, request: pb.SubmitTasksRequest, context: Any
    ) -> pb.SubmitTasksResponse:
        plain = self._drafts.plain(request)
        errors = validate.submit_tasks(request, self._limits, plain)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        response = pb.SubmitTasksResponse()
        add = response.results.add
        if request.all_or_none and any(error is not None for error in errors):
            for refusal in _with_the_rest_aborted(errors):
                add(error=to_item_error(refusal))
            return response
        items = zip(request.items, plain, errors, strict=True)
        fine = [(item, draft) for item, draft, error in items if error is None]
        drafts = await self._drafts.batch(namespace, fine)
        results = iter(await self._submit_all(namespace, drafts, request))
        for error in errors:
            result = next(results) if error is None else error
            if isinstance(result, PenstockError):
                add(error=to_item_error(result))
            elif result.existing:
                add(task_id=result.task_id, existing=True)
            else:
                add(task_id=result.task_id)
        return response

    async def _submit_all(
        self, namespace: str, drafts: list[TaskDraft], request: pb.SubmitTasksRequest
    ) -> Sequence[Any]:
        if not drafts:
            return ()
        return await self._tasks.submit(
            namespace, drafts, request_id=request.request_id, all_or_none=request.all_or_none
        )

    async def RunTask(self, request: pb.RunTaskRequest, context: Any) -> pb.RunTaskResponse:
        validate.run_task(request, self._limits)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        draft = await self._drafts.one(namespace, request.spec, request.idempotency)
        wait = wait_of(request, context, default=_WAIT)
        result = await self._tasks.run(namespace, draft, request_id=request.request_id, wait=wait)
        if isinstance(result, PenstockError):
            raise result
        return pb.RunTaskResponse(task=convert.task(result))

    async def AwaitTask(self, request: pb.AwaitTaskRequest, context: Any) -> pb.AwaitTaskResponse:
        validate.await_task(request, self._limits)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        record = await self._tasks.wait(
            namespace, request.task_id, wait_of(request, context, default=_WAIT)
        )
        return pb.AwaitTaskResponse(task=convert.task(record))

    # ---- look ---------------------------------------------------------------------------------

    async def GetTask(self, request: pb.GetTaskRequest, context: Any) -> pb.GetTaskResponse:
        validate.get_task(request, self._limits)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        record = await self._tasks.get(namespace, request.task_id)
        return pb.GetTaskResponse(task=convert.task(record))

    async def ListExecutions(
        self, request: pb.ListExecutionsRequest, context: Any
    ) -> pb.ListExecutionsResponse:
        validate.list_executions(request, self._limits)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        arguments = ("ListExecutions", namespace, request.task_id)
        before = 1 << 31
        if request.page_token:
            before = int(decode_page_token(request.page_token, arguments, int)[0])
        size = validate.page_size(request.page_size, 20, 100)
        found = await self._tasks.executions(namespace, request.task_id)
        left = [execution for execution in found if execution.number < before]
        workers = await self._tasks.workers_of(namespace, left[:size])
        response = pb.ListExecutionsResponse(
            executions=[
                convert.execution(execution, namespace, request.task_id, workers)
                for execution in left[:size]
            ]
        )
        if len(left) > size:
            response.next_page_token = encode_page_token([left[size - 1].number], arguments)
        return response

    async def GetExecution(
        self, request: pb.GetExecutionRequest, context: Any
    ) -> pb.GetExecutionResponse:
        validate.get_execution(request, self._limits)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        found = await self._tasks.execution(namespace, request.task_id, request.number)
        workers = await self._tasks.workers_of(namespace, [found])
        return pb.GetExecutionResponse(
            execution=convert.execution(found, namespace, request.task_id, workers)
        )

    # ---- act ----------------------------------------------------------------------------------

    async def UpdateTask(
        self, request: pb.UpdateTaskRequest, context: Any
    ) -> pb.UpdateTaskResponse:
        validate.update_task(request, self._limits)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        while True:
            record = await self._tasks.get(namespace, request.task_id)
            try:
                return pb.UpdateTaskResponse(task=convert.task(await self._update(request, record)))
            except EtagMismatch:
                # It changed after the look. Only who names an etag wants to hear of that.
                if request.etag:
                    raise

    async def _update(self, request: pb.UpdateTaskRequest, record: TaskRecord) -> TaskRecord:
        paths = request.update_mask.paths
        spec = TaskSpec.FromString(record.spec or b"")
        for name in paths:
            _take_field(spec, request.spec, name)
        draft = convert_draft.draft(spec, defaults=(), creator=record.creator, now_ms=0)
        due_ms = time_ms(spec.schedule_time) if "schedule_time" in paths else -1
        return await self._tasks.update(record, draft, due_ms=due_ms, etag=request.etag)

    async def CancelTask(
        self, request: pb.CancelTaskRequest, context: Any
    ) -> pb.CancelTaskResponse:
        validate.cancel_task(request, self._limits)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        grace = span(request.grace) if request.HasField("grace") else None
        record = await self._tasks.cancel(namespace, request.task_id, grace)
        return pb.CancelTaskResponse(task=convert.task(record, payload=False))

    async def EndTask(self, request: pb.EndTaskRequest, context: Any) -> pb.EndTaskResponse:
        validate.end_task(request, self._limits)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        state, report = convert_draft.ending(request)
        record = await self._tasks.end(namespace, request.task_id, TaskState(state), report)
        return pb.EndTaskResponse(task=convert.task(record, payload=False))

    async def RetryTask(self, request: pb.RetryTaskRequest, context: Any) -> pb.RetryTaskResponse:
        validate.retry_task(request, self._limits)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        draft = None
        if request.HasField("spec"):
            record = await self._tasks.get(namespace, request.task_id)
            convert_draft.refuse_another_home(request.spec, record)
            draft = await self._drafts.one(namespace, request.spec, creator=record.creator)
        record = await self._tasks.retry(
            namespace, request.task_id, request_id=request.request_id, draft=draft
        )
        return pb.RetryTaskResponse(task=convert.task(record, payload=False))

    async def DeleteTask(
        self, request: pb.DeleteTaskRequest, context: Any
    ) -> pb.DeleteTaskResponse:
        validate.delete_task(request, self._limits)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        await self._tasks.delete(namespace, request.task_id)
        return pb.DeleteTaskResponse()

    # ---- streams ------------------------------------------------------------------------------

    async def WatchTasks(
        self, request: pb.WatchTasksRequest, context: Any
    ) -> AsyncIterator[pb.WatchTasksResponse]:
        validate.watch_tasks(request, self._limits)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        fits = _filter(request, namespace)
        hub = self._engine.watches
        first = pb.WatchTasksResponse()
        open_ids: dict[str, int] = {}
        if request.task_ids:
            ids = list(dict.fromkeys(request.task_ids))
            watcher, found = await hub.watch_tasks(namespace, ids, fits, cursor=request.cursor)
            records = [record for record in found if fits(record)]
            open_ids = {r.task_id: r.sequence for r in records if not r.state.ended}
            if not request.cursor:
                first.tasks.extend(convert.task(record, payload=False) for record in records)
        else:
            watcher = await hub.watch(fits, cursor=request.cursor)
        try:
            first.cursor = watcher.cursor
            yield first
            if not request.task_ids or open_ids or request.cursor:
                async for response in self._events(watcher, open_ids, by_id=bool(request.task_ids)):
                    yield response
        finally:
            hub.leave()

    async def _events(
        self, watcher: Watcher, open_ids: dict[str, int], *, by_id: bool
    ) -> AsyncIterator[pb.WatchTasksResponse]:
        """`open_ids` are the tasks that had not ended, with their sequence at that time."""
        while True:
            # Once every task has ended, what is left to tell is there already.
            all_ended = by_id and not open_ids
            events = await watcher.next(0 if all_ended else _BEAT)
            if all_ended and not events:
                return
            yield pb.WatchTasksResponse(
                events=[convert.event(event) for event in events], cursor=watcher.cursor
            )
            for event in events:
                # An end from before the look at the tasks was followed by a retry.
                if event.state.ended and event.sequence > open_ids.get(event.task_id, 0):
                    open_ids.pop(event.task_id, None)

    async def TailLogs(
        self, request: pb.TailLogsRequest, context: Any
    ) -> AsyncIterator[pb.TailLogsResponse]:
        validate.tail_logs(request, self._limits)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        chunks = self._engine.logs.tail(
            namespace,
            request.task_id,
            execution=request.execution,
            cursor=request.cursor,
            follow=request.follow,
            beat=_BEAT,
        )
        # Closed with the call, so that nobody goes on following for a caller that has gone.
        async with aclosing(chunks):
            async for lines, cursor in chunks:
                yield pb.TailLogsResponse(
                    lines=[convert.log_line(line) for line in lines], cursor=cursor
                )


def _with_the_rest_aborted(errors: Sequence[PenstockError | None]) -> list[PenstockError]:
    return [BatchAborted() if error is None else error for error in errors]


def _take_field(spec: TaskSpec, given: TaskSpec, name: str) -> None:
    spec.ClearField(name)  # type: ignore[arg-type]  # validated names
    if name == "labels":
        spec.labels.update(given.labels)
    elif name == "schedule_time":
        if given.HasField("schedule_time"):
            spec.schedule_time.CopyFrom(given.schedule_time)
    elif name != "priority" or given.HasField("priority"):
        setattr(spec, name, getattr(given, name))


def _filter(
    request: pb.WatchTasksRequest, namespace: str
) -> Callable[[EventRecord | TaskRecord], bool]:
    queues, types = frozenset(request.queues), frozenset(request.task_types)
    ids = frozenset(request.task_ids)

    def fits(event: EventRecord | TaskRecord) -> bool:
        return (
            event.namespace == namespace
            and (not ids or event.task_id in ids)
            and (not queues or event.queue in queues)
            and (not types or event.task_type in types)
        )

    return fits
