"""What callers submit as drafts for the engine, with what it leaves open filled in from type and
queue.
"""

import time
from collections.abc import Mapping, Sequence

from penstock.v1 import task_service_pb2 as pb
from penstock.v1.queue_pb2 import QueueConfig
from penstock.v1.task_pb2 import TaskSpec
from penstock.v1.task_type_pb2 import TaskTypeConfig
from penstock_server.engine.queues import QueueConfigs
from penstock_server.engine.task_types import TaskTypeConfigs
from penstock_server.model.records import TaskDraft
from penstock_server.service.convert.draft import DEFAULT_QUEUE, Defaults, draft, plain_draft
from penstock_server.service.principal import current_principal
from penstock_server.service.validate import Limits

Item = tuple[pb.SubmitTasksItem, TaskDraft | None]
"""An item of a batch, with its draft where it is plain."""


class Drafts:
    """Makes the drafts of a call's tasks."""

    def __init__(
        self,
        configs: QueueConfigs[QueueConfig],
        types: TaskTypeConfigs[TaskTypeConfig],
        limits: Limits,
    ) -> None:
        self._configs = configs
        self._types = types
        self._limits = limits

    async def one(
        self,
        namespace: str,
        spec: TaskSpec,
        idempotency: pb.Idempotency | None = None,
        *,
        creator: str = "",
    ) -> TaskDraft:
        """The draft of a validated spec. It is the caller's unless `creator` says otherwise."""
        of_type = (await self._of_types(namespace)).get(spec.task_type)
        return draft(
            spec,
            defaults=_given(of_type, await self._of_queue(namespace, spec.queue)),
            creator=creator or current_principal().name,
            now_ms=int(time.time() * 1000),
            idempotency=idempotency,
        )

    def plain(self, request: pb.SubmitTasksRequest) -> list[TaskDraft | None]:
        """Drafts of those items of a batch that one look is enough for, before it is validated."""
        creator, limits = current_principal().name, self._limits
        # A batch of more items will be refused.
        most = limits.atomic_items if request.all_or_none else limits.batch_items
        items = request.items[:most]
        return [plain_draft(item, creator, limits.payload_bytes) for item in items]

    async def batch(self, namespace: str, items: Sequence[Item]) -> list[TaskDraft]:
        """Drafts of validated items. Whatever they share is looked up once."""
        names = [_names_of(item.spec if plain is None else plain) for item, plain in items]
        queues = {queue for queue, _ in names}
        of_queue = {queue: await self._of_queue(namespace, queue) for queue in queues}
        of_type = await self._of_types(namespace)
        given = {name: _given(of_type.get(name[1]), of_queue[name[0]]) for name in set(names)}
        creator, now_ms = current_principal().name, int(time.time() * 1000)
        return [
            plain
            if plain is not None and not given[name]
            else draft(
                item.spec,
                defaults=given[name],
                creator=creator,
                now_ms=now_ms,
                idempotency=item.idempotency,
            )
            for (item, plain), name in zip(items, names, strict=True)
        ]

    async def _of_types(self, namespace: str) -> Mapping[str, TaskTypeConfig]:
        """What types fill in, by type."""
        configs = self._types.at_hand(namespace)
        return await self._types.get(namespace) if configs is None else configs

    async def _of_queue(self, namespace: str, given: str) -> QueueConfig | None:
        """What the queue of a spec fills in; None if that is nothing."""
        queue = given or DEFAULT_QUEUE
        config = self._configs.at_hand(namespace, queue)
        if config is None:
            config = await self._configs.get(namespace, queue)
        return config if config.ByteSize() else None


def _names_of(task: TaskSpec | TaskDraft) -> tuple[str, str]:
    return task.queue, task.task_type


def _given(of_type: TaskTypeConfig | None, of_queue: QueueConfig | None) -> Defaults:
    """What fills in a spec, the type's before the queue's."""
    if of_type is None:
        return () if of_queue is None else (of_queue,)
    return (of_type,) if of_queue is None else (of_type, of_queue)
