"""The blocking client: the asyncio client behind plain calls.

    with BlockingClient(ClientOptions(address="127.0.0.1:7700")) as client:
        print(client.run("images.resize", {"path": "a.png", "width": 200}))

It owns one thread with one event loop and one connection, from construction to `close`. Any number
of threads may share it; their concurrent submits leave together. Every method does what its twin of
`penstock.client` does, with the same parameters, and raises the same errors. Iterators (`watch`,
`tail_logs`, lists) end their stream when they are closed, exhausted or dropped.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, Unpack

from penstock.client import Client
from penstock.event import WatchUpdate
from penstock.execution import Execution, LogLine
from penstock.loop_thread import LoopThread
from penstock.options import ClientOptions
from penstock.services import Namespaces, Queues, Workers
from penstock.spec import RetryPolicy, TaskFields, TaskRequest, Timeouts
from penstock.submit import SubmitResult
from penstock.task import Task
from penstock.task_types import TaskTypes
from penstock.v1 import namespace_pb2, queue_pb2, task_pb2, task_type_pb2, worker_pb2
from penstock.v1.queue_service_pb2 import PeekQueueResponse


class BlockingClient:
    """A connection to a Penstock server, for threads. Use it with `with`, or `close` it."""

    def __init__(self, options: ClientOptions | None = None) -> None:
        self._client = Client(options)
        self.options = self._client.options
        self._thread = LoopThread()
        self.queues = BlockingQueues(self._client.queues, self._thread)
        self.workers = BlockingWorkers(self._client.workers, self._thread)
        self.task_types = BlockingTaskTypes(self._client.task_types, self._thread)
        self.namespaces = BlockingNamespaces(self._client.namespaces, self._thread)

    @classmethod
    def from_env(cls, **changes: Any) -> Self:
        """A client with ClientOptions.from_env: PENSTOCK_ADDRESS and so on."""
        return cls(ClientOptions.from_env(**changes))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection and ends the thread. Calls under way raise ClientClosed."""
        self._thread.close(self._client.close())

    def submit(
        self,
        task_type: str,
        payload: object = None,
        *,
        timeout: timedelta | None = None,
        **fields: Unpack[TaskFields],
    ) -> SubmitResult:
        """Submits one task; returning means that it is stored."""
        call = self._client.submit(task_type, payload, timeout=timeout, **fields)
        return self._thread.call(call)

    def submit_many(
        self,
        requests: Iterable[TaskRequest],
        *,
        all_or_none: bool = False,
        timeout: timedelta | None = None,
    ) -> list[SubmitResult]:
        """Submits any number of tasks; `requests` is read in the client's thread."""
        call = self._client.submit_many(requests, all_or_none=all_or_none, timeout=timeout)
        return self._thread.call(call)

    def run(
        self,
        task_type: str,
        payload: object = None,
        *,
        timeout: timedelta | None = None,
        **fields: Unpack[TaskFields],
    ) -> Any:
        """Submits a task, waits until it has ended, and returns what its handler answered."""
        return self._thread.call(self._client.run(task_type, payload, timeout=timeout, **fields))

    def run_task(
        self,
        task_type: str,
        payload: object = None,
        *,
        timeout: timedelta | None = None,
        **fields: Unpack[TaskFields],
    ) -> Task:
        """As `run`, but returns the ended task, however it ended."""
        call = self._client.run_task(task_type, payload, timeout=timeout, **fields)
        return self._thread.call(call)

    def await_result(self, task_id: str, *, timeout: timedelta | None = None) -> Any:
        """Waits until a task has ended and returns what its handler answered."""
        return self._thread.call(self._client.await_result(task_id, timeout=timeout))

    def await_task(self, task_id: str, *, timeout: timedelta | None = None) -> Task:
        """Waits until a task has ended and returns it, however it ended."""
        return self._thread.call(self._client.await_task(task_id, timeout=timeout))

    def get(self, task_id: str, *, timeout: timedelta | None = None) -> Task:
        """One task, whole."""
        return self._thread.call(self._client.get(task_id, timeout=timeout))

    def executions(self, task_id: str) -> Generator[Execution, None, None]:
        """The executions of a task that are kept, newest first."""
        return self._thread.iterate(self._client.executions(task_id))

    def execution(
        self, task_id: str, number: int = 0, *, timeout: timedelta | None = None
    ) -> Execution:
        """One execution by its number from 1; 0 is the latest."""
        return self._thread.call(self._client.execution(task_id, number, timeout=timeout))

    def watch(
        self,
        *,
        queues: Sequence[str] = (),
        task_types: Sequence[str] = (),
        task_ids: Sequence[str] = (),
        cursor: str = "",
    ) -> Generator[WatchUpdate, None, None]:
        """What happens to tasks, from now or after `cursor`, without gap or repeat."""
        updates = self._client.watch(
            queues=queues, task_types=task_types, task_ids=task_ids, cursor=cursor
        )
        return self._thread.iterate(updates)

    def tail_logs(
        self, task_id: str, *, execution: int = 0, follow: bool = False, cursor: str = ""
    ) -> Generator[LogLine, None, None]:
        """The log lines of a task, without gap or repeat; `follow`: until the task has ended."""
        lines = self._client.tail_logs(task_id, execution=execution, follow=follow, cursor=cursor)
        return self._thread.iterate(lines)

    def cancel(
        self,
        task_id: str,
        *,
        grace: timedelta | None = None,
        reason: str = "",
        timeout: timedelta | None = None,
    ) -> Task:
        """Cancels a task: at once if it waits, within `grace` if it runs."""
        call = self._client.cancel(task_id, grace=grace, reason=reason, timeout=timeout)
        return self._thread.call(call)

    def retry(
        self,
        task_id: str,
        spec: TaskRequest | task_pb2.TaskSpec | None = None,
        *,
        timeout: timedelta | None = None,
    ) -> Task:
        """Runs an ended task again under the same id, with `spec` in place of its own if given."""
        return self._thread.call(self._client.retry(task_id, spec, timeout=timeout))

    def update(
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
        """Changes what is given on a task that waits."""
        call = self._client.update(
            task_id,
            labels=labels,
            owner=owner,
            display_name=display_name,
            description=description,
            priority=priority,
            run_at=run_at,
            etag=etag,
            timeout=timeout,
        )
        return self._thread.call(call)

    def end(
        self,
        task_id: str,
        *,
        result: object = None,
        failure: task_pb2.Failure | str | None = None,
        timeout: timedelta | None = None,
    ) -> Task:
        """Ends a task as an operator: as failed with `failure` if given, else as succeeded."""
        call = self._client.end(task_id, result=result, failure=failure, timeout=timeout)
        return self._thread.call(call)

    def delete(self, task_id: str, *, timeout: timedelta | None = None) -> None:
        """Deletes the record of an ended task."""
        self._thread.call(self._client.delete(task_id, timeout=timeout))


class BlockingQueues:
    """The queues of the client's namespace."""

    def __init__(self, queues: Queues, thread: LoopThread) -> None:
        self._queues = queues
        self._thread = thread

    def get(self, queue: str) -> queue_pb2.Queue:
        """One queue with what is in it."""
        return self._thread.call(self._queues.get(queue))

    def list(self) -> Generator[queue_pb2.Queue, None, None]:
        """Every queue, by name; pages are fetched as they are needed."""
        return self._thread.iterate(self._queues.list())

    def update(
        self,
        queue: str,
        *,
        description: str | None = None,
        lease_duration: timedelta | None = None,
        retry: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        retention: timedelta | None = None,
        reset: Sequence[str] = (),
        etag: str = "",
    ) -> queue_pb2.Queue:
        """Sets what is given, and makes the queue if need be."""
        call = self._queues.update(
            queue,
            description=description,
            lease_duration=lease_duration,
            retry=retry,
            timeouts=timeouts,
            retention=retention,
            reset=reset,
            etag=etag,
        )
        return self._thread.call(call)

    def pause(self, queue: str, *, reason: str = "") -> queue_pb2.Queue:
        """Stops leasing from the queue; what runs goes on and submits are taken."""
        return self._thread.call(self._queues.pause(queue, reason=reason))

    def resume(self, queue: str) -> queue_pb2.Queue:
        """Starts leasing from the queue again."""
        return self._thread.call(self._queues.resume(queue))

    def purge(self, queue: str) -> int:
        """Cancels every task that waits now, and answers how many."""
        return self._thread.call(self._queues.purge(queue))

    def peek(self, queue: str, *, limit: int = 10) -> PeekQueueResponse:
        """The first tasks that wait, run or are dead: `limit` (1 to 100) of each, no payloads."""
        return self._thread.call(self._queues.peek(queue, limit=limit))


class BlockingWorkers:
    """The worker sessions of the client's namespace."""

    def __init__(self, workers: Workers, thread: LoopThread) -> None:
        self._workers = workers
        self._thread = thread

    def list(self, *, queue: str = "") -> Generator[worker_pb2.Worker, None, None]:
        """Sessions heard of in the last minutes, newest first; `queue`: those that poll it."""
        return self._thread.iterate(self._workers.list(queue=queue))

    def drain(self, session_id: str, *, reason: str = "") -> worker_pb2.Worker:
        """Tells a session to lease nothing more."""
        return self._thread.call(self._workers.drain(session_id, reason=reason))


class BlockingTaskTypes:
    """The task types of the client's namespace that have a record."""

    def __init__(self, task_types: TaskTypes, thread: LoopThread) -> None:
        self._task_types = task_types
        self._thread = thread

    def create(
        self,
        task_type: str,
        *,
        description: str = "",
        lease_duration: timedelta | None = None,
        retry: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        retention: timedelta | None = None,
        priority: int | None = None,
    ) -> task_type_pb2.TaskType:
        """Makes a record. Never repeated by itself."""
        call = self._task_types.create(
            task_type,
            description=description,
            lease_duration=lease_duration,
            retry=retry,
            timeouts=timeouts,
            retention=retention,
            priority=priority,
        )
        return self._thread.call(call)

    def get(self, task_type: str) -> task_type_pb2.TaskType:
        """One record."""
        return self._thread.call(self._task_types.get(task_type))

    def list(self) -> Generator[task_type_pb2.TaskType, None, None]:
        """Every record, by name."""
        return self._thread.iterate(self._task_types.list())

    def update(
        self,
        task_type: str,
        *,
        description: str | None = None,
        lease_duration: timedelta | None = None,
        retry: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        retention: timedelta | None = None,
        priority: int | None = None,
        reset: Sequence[str] = (),
        etag: str = "",
    ) -> task_type_pb2.TaskType:
        """Sets what is given; what `reset` names is taken back."""
        call = self._task_types.update(
            task_type,
            description=description,
            lease_duration=lease_duration,
            retry=retry,
            timeouts=timeouts,
            retention=retention,
            priority=priority,
            reset=reset,
            etag=etag,
        )
        return self._thread.call(call)

    def delete(self, task_type: str) -> None:
        """Removes a record; tasks of the type go on and later ones do without it."""
        self._thread.call(self._task_types.delete(task_type))


class BlockingNamespaces:
    """The namespaces of the server."""

    def __init__(self, namespaces: Namespaces, thread: LoopThread) -> None:
        self._namespaces = namespaces
        self._thread = thread

    def create(
        self, namespace: str, *, description: str = "", labels: Mapping[str, str] | None = None
    ) -> namespace_pb2.Namespace:
        """Makes a namespace. Never repeated by itself."""
        call = self._namespaces.create(namespace, description=description, labels=labels)
        return self._thread.call(call)

    def get(self, namespace: str) -> namespace_pb2.Namespace:
        """One namespace."""
        return self._thread.call(self._namespaces.get(namespace))

    def list(self) -> Generator[namespace_pb2.Namespace, None, None]:
        """The namespaces that the caller may see, by name."""
        return self._thread.iterate(self._namespaces.list())

    def update(
        self,
        namespace: str,
        *,
        description: str | None = None,
        labels: Mapping[str, str] | None = None,
        etag: str = "",
    ) -> namespace_pb2.Namespace:
        """Sets what is given."""
        call = self._namespaces.update(namespace, description=description, labels=labels, etag=etag)
        return self._thread.call(call)

    def delete(self, namespace: str) -> None:
        """Removes a namespace without tasks."""
        self._thread.call(self._namespaces.delete(namespace))
