"""A WorkerService in memory, for the mechanics of leases and reports.

It leases what was put into it, keeps what is reported, and can refuse, delay and direct. It ends
no lease before a test says so, but notes those that were renewed too late. The real server holds
the whole contract; tests of promises use that one.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Self

import grpc
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from penstock.v1 import error_pb2, execution_pb2, task_pb2, worker_pb2
from penstock.v1 import worker_service_pb2 as pb
from penstock.v1.worker_service_pb2_grpc import (
    WorkerServiceServicer,
    add_WorkerServiceServicer_to_server,
)

Outcome = execution_pb2.ExecutionOutcome


@dataclass
class FakeTask:
    """A task and everything that was reported about it."""

    task_id: str
    spec: task_pb2.TaskSpec
    token: str = ""
    items: list[pb.ReportItem] = field(default_factory=list)
    lines: list[execution_pb2.LogLine] = field(default_factory=list)
    ending: pb.ReportItem | None = None
    expire_time: float = 0.0
    leased: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def kind(self) -> str:
        """Answers `complete`, `fail` or `release`; "" while it runs."""
        return str(self.ending.WhichOneof("report")) if self.ending is not None else ""

    @property
    def outcome(self) -> str:
        """Answers the outcome's name without its prefix."""
        if self.kind == "fail":
            assert self.ending is not None
            return Outcome.Name(self.ending.fail.outcome).removeprefix("EXECUTION_OUTCOME_")
        return {"complete": "SUCCEEDED", "release": "RELEASED", "": ""}[self.kind]

    @property
    def result(self) -> Any:
        """Answers the decoded JSON result."""
        assert self.ending is not None
        data = self.ending.complete.result.data
        return json.loads(data) if data else None

    @property
    def failure(self) -> task_pb2.Failure:
        """Answers the reported failure."""
        assert self.ending is not None
        return self.ending.fail.failure

    @property
    def texts(self) -> list[str]:
        """Answers the log's texts."""
        return [line.text for line in self.lines]

    def kinds(self) -> list[str]:
        """Answers the kinds of everything that was reported, in order."""
        return [str(item.WhichOneof("report")) for item in self.items]

    async def until(self, condition: Any) -> None:
        """Waits until `condition(self)` holds after a report."""
        async with self.changed:
            await self.changed.wait_for(lambda: condition(self))


class FakeWorkerService(WorkerServiceServicer):
    """Serves the worker protocol from memory; an async context manager that listens."""

    def __init__(self, *, term: float = 60.0, accept_within: float = 10.0) -> None:
        self.term, self.accept_within = term, accept_within
        self.address = ""
        self.tasks: dict[str, FakeTask] = {}
        self.polls: list[pb.LeaseTasksRequest] = []
        self.reports: list[pb.ReportExecutionsRequest] = []
        self.metadata: list[dict[str, Any]] = []
        self.directives: dict[str, worker_pb2.Directive] = {}
        self.lost: set[str] = set()
        self.unavailable = False
        self.refuse_reason = 0
        self.refuse_items: dict[str, int] = {}
        """Kind of report to the reason that its items are refused with."""
        self.cancel_in_reports: set[str] = set()
        self.hold_reports = asyncio.Event()
        self.hold_reports.set()
        self.most_leased = 0
        self.late: set[str] = set()
        """Tasks whose lease a real server would have taken for lost."""
        self._by_token: dict[str, FakeTask] = {}
        self._ready: deque[FakeTask] = deque()
        self._latest: dict[str, int] = {}
        self._wake = asyncio.Condition()
        self._server: grpc.aio.Server | None = None
        self._count = 0

    async def __aenter__(self) -> Self:
        await self.listen("127.0.0.1:0")
        return self

    async def listen(self, address: str) -> None:
        """Begins to listen; again after `close`, on the address from before."""
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        add_WorkerServiceServicer_to_server(self, self._server)
        port = self._server.add_insecure_port(address)
        self.address = f"127.0.0.1:{port}"
        await self._server.start()

    async def close(self) -> None:
        """Stops listening; calls under way end as UNAVAILABLE."""
        assert self._server is not None
        await self._server.stop(None)

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # ---- for tests ----

    async def submit(self, task_type: str, payload: Any = None, **spec: Any) -> FakeTask:
        """Adds a task; `spec` are fields of TaskSpec."""
        message = task_pb2.TaskSpec(task_type=task_type, queue="default", **spec)
        if isinstance(payload, task_pb2.Payload):
            message.payload.CopyFrom(payload)
        elif payload is not None:
            message.payload.content_type = "application/json"
            message.payload.data = json.dumps(payload).encode()
        self._count += 1
        task = FakeTask(f"task-{self._count}", message)
        self.tasks[task.task_id] = task
        self._ready.append(task)
        await self._notify()
        return task

    async def direct(self, **directive: Any) -> str:
        """Tells every session something until it is acknowledged; answers the directive's id."""
        directive_id = f"directive-{len(self.directives) + 1}"
        self.directives[directive_id] = worker_pb2.Directive(directive_id=directive_id, **directive)
        await self._notify()
        return directive_id

    async def cancel(self, task: FakeTask, grace: float = 10.0) -> str:
        """Directs the session that holds the task to cancel it."""
        directive = worker_pb2.CancelDirective(lease_token=task.token)
        directive.grace.FromNanoseconds(int(grace * 1e9))
        return await self.direct(cancel=directive)

    async def until(self, condition: Any) -> None:
        """Waits until `condition()` holds; looked at after every call."""
        async with self._wake:
            await self._wake.wait_for(condition)

    async def _notify(self) -> None:
        async with self._wake:
            self._wake.notify_all()

    @property
    def held(self) -> int:
        """Leases that are out."""
        return sum(1 for task in self._by_token.values() if task.ending is None)

    # ---- the service ----

    async def LeaseTasks(
        self, request: pb.LeaseTasksRequest, context: Any
    ) -> pb.LeaseTasksResponse:
        self.polls.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        await self._refuse(context)
        session = request.session.session_id
        self._latest[session] = max(self._latest.get(session, 0), request.poll_seq)
        for directive_id in request.acknowledged_directive_ids:
            self.directives.pop(directive_id, None)
        await self._notify()

        def is_over() -> bool:
            superseded = self._latest[session] > request.poll_seq
            return superseded or bool(self.directives) or self._has_work(request)

        try:
            async with asyncio.timeout(request.wait.ToNanoseconds() / 1e9):
                await self.until(is_over)
        except TimeoutError:
            return pb.LeaseTasksResponse()
        if self._latest[session] > request.poll_seq:
            return pb.LeaseTasksResponse(superseded=True)
        return pb.LeaseTasksResponse(
            leases=self._lease(request.max_tasks, request.task_types),
            directives=self.directives.values(),
        )

    async def ReportExecutions(
        self, request: pb.ReportExecutionsRequest, context: Any
    ) -> pb.ReportExecutionsResponse:
        self.reports.append(request)
        await self.hold_reports.wait()
        await self._refuse(context)
        response = pb.ReportExecutionsResponse()
        for item in request.items:
            response.results.append(await self._take(item))
        response.leases.extend(self._lease(request.max_tasks, request.task_types))
        await self._notify()
        return response

    async def ListWorkers(
        self, request: pb.ListWorkersRequest, context: Any
    ) -> pb.ListWorkersResponse:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not for workers")
        raise AssertionError("abort raises")

    async def DrainWorker(
        self, request: pb.DrainWorkerRequest, context: Any
    ) -> pb.DrainWorkerResponse:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not for workers")
        raise AssertionError("abort raises")

    async def _take(self, item: pb.ReportItem) -> pb.ReportResult:
        task = self._by_token.get(item.lease_token)
        if task is None or item.lease_token in self.lost:
            return _refusal(error_pb2.ERROR_REASON_LEASE_LOST)
        kind = item.WhichOneof("report")
        self._look_at_time(task, renews=kind in ("accept", "heartbeat"))
        if kind in self.refuse_items:
            return _refusal(self.refuse_items[kind])
        async with task.changed:
            task.items.append(item)
            known = len(task.lines)
            task.lines.extend(line for line in item.log_lines if line.number > known)
            if kind in ("complete", "fail", "release"):
                task.ending = item
                task.ended.set()
            task.changed.notify_all()
        result = pb.ReportResult(last_log_line=len(task.lines))
        result.cancel_requested = item.lease_token in self.cancel_in_reports
        if kind in ("accept", "heartbeat"):
            result.term.CopyFrom(_duration(self.term))
        return result

    def _look_at_time(self, task: FakeTask, *, renews: bool) -> None:
        now = time.monotonic()
        if now > task.expire_time:
            self.late.add(task.task_id)
        if renews:
            task.expire_time = now + self.term

    def _has_work(self, request: pb.LeaseTasksRequest) -> bool:
        if request.max_tasks == 0:
            return False
        return any(task.spec.task_type in request.task_types for task in self._ready)

    def _lease(self, count: int, types: Any) -> list[worker_pb2.Lease]:
        leases: list[worker_pb2.Lease] = []
        for task in list(self._ready):
            if len(leases) < count and task.spec.task_type in types:
                self._ready.remove(task)
                leases.append(self._make(task))
        self.most_leased = max(self.most_leased, self.held)
        return leases

    def _make(self, task: FakeTask) -> worker_pb2.Lease:
        task.token = f"token-of-{task.task_id}"
        self._by_token[task.token] = task
        task.expire_time = time.monotonic() + self.accept_within
        task.leased.set()
        lease = worker_pb2.Lease(
            lease_token=task.token,
            fence=7,
            term=_duration(self.term),
            accept_within=_duration(self.accept_within),
            task_id=task.task_id,
            execution=1,
            attempt=1,
            spec=task.spec,
        )
        return lease

    async def _refuse(self, context: Any) -> None:
        if self.unavailable:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        if self.refuse_reason:
            await context.abort_with_status(_status(self.refuse_reason))


def _status(reason: int) -> Any:
    name = error_pb2.ErrorReason.Name(reason).removeprefix("ERROR_REASON_")  # type: ignore[arg-type]
    status = status_pb2.Status(code=16, message=f"refused: {name}")
    status.details.add().Pack(error_details_pb2.ErrorInfo(domain="penstock", reason=name))
    return rpc_status.to_status(status)


def _refusal(reason: int) -> pb.ReportResult:
    result = pb.ReportResult()
    result.error.reason = reason  # type: ignore[assignment]
    result.error.code = 9
    result.error.message = "refused"
    return result


def _duration(seconds: float) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration
