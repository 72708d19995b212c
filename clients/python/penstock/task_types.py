"""Task types: the defaults and descriptions that operators give them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import timedelta

from penstock.errors import PenstockError, TaskTypeNotFound
from penstock.pages import Pages
from penstock.services import mask
from penstock.spec import RetryPolicy, Timeouts
from penstock.transport import Transport
from penstock.v1 import task_type_pb2
from penstock.v1 import task_type_service_pb2 as pb


class TaskTypes:
    """The task types of the client's namespace that have a record."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._namespace = transport.options.namespace

    async def create(
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
        """Makes a record. Never repeated by itself. Raises TaskTypeAlreadyExists."""
        values = _values(description, lease_duration, retry, timeouts, retention, priority)
        request = pb.CreateTaskTypeRequest(
            namespace=self._namespace,
            task_type=task_type,
            config=task_type_pb2.TaskTypeConfig(**values),  # type: ignore[arg-type] # fits by name
        )
        method = self._transport.task_types.CreateTaskType
        return (await self._transport.call(method, request, repeatable=False)).task_type

    async def get(self, task_type: str) -> task_type_pb2.TaskType:
        """One record. Raises TaskTypeNotFound."""
        request = pb.GetTaskTypeRequest(namespace=self._namespace, task_type=task_type)
        method = self._transport.task_types.GetTaskType
        return (await self._transport.call(method, request)).task_type

    async def list(self) -> AsyncGenerator[task_type_pb2.TaskType, None]:
        """Every record, by name; pages are fetched as they are needed."""
        request = pb.ListTaskTypesRequest(namespace=self._namespace)
        async for page in Pages(self._transport, self._transport.task_types.ListTaskTypes, request):
            for task_type in page.task_types:
                yield task_type

    async def update(
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
        """Sets what is given; the fields named in `reset` (as in TaskTypeConfig) are taken back.

        Raises TaskTypeNotFound, and EtagMismatch if `etag` is given and old.
        """
        values = _values(description, lease_duration, retry, timeouts, retention, priority)
        request = pb.UpdateTaskTypeRequest(
            namespace=self._namespace,
            task_type=task_type,
            config=task_type_pb2.TaskTypeConfig(**values),  # type: ignore[arg-type] # fits by name
            update_mask=mask(values, reset),
            etag=etag,
        )
        method = self._transport.task_types.UpdateTaskType
        return (await self._transport.call(method, request)).task_type

    async def delete(self, task_type: str) -> None:
        """Removes a record; tasks of the type go on and later ones do without it.

        Raises TaskTypeNotFound.
        """
        await self._transport.call(
            self._transport.task_types.DeleteTaskType,
            pb.DeleteTaskTypeRequest(namespace=self._namespace, task_type=task_type),
            on_repeat=_already_deleted,
        )


def _values(
    description: str | None,
    lease_duration: timedelta | None,
    retry: RetryPolicy | None,
    timeouts: Timeouts | None,
    retention: timedelta | None,
    priority: int | None,
) -> Mapping[str, object]:
    return {
        "description": description,
        "lease_duration": lease_duration,
        "retry_policy": retry.pb if retry else None,
        "timeouts": timeouts.pb if timeouts else None,
        "retention": retention,
        "priority": priority,
    }


def _already_deleted(error: PenstockError) -> pb.DeleteTaskTypeResponse | None:
    """A repeat that finds nothing: the first call took effect and its reply was lost."""
    return pb.DeleteTaskTypeResponse() if isinstance(error, TaskTypeNotFound) else None
