"""WorkerService: translate, call the engine, translate back."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from penstock.v1 import worker_service_pb2 as pb
from penstock.v1 import worker_service_pb2_grpc
from penstock_server.engine.dispatch import Delivery, Poll
from penstock_server.engine.engine import Engine
from penstock_server.engine.reports import Report, ReportAnswer
from penstock_server.model.errors import FieldInvalid, PenstockError, Violation
from penstock_server.model.lease_token import LeaseToken, decode_lease_tokens
from penstock_server.service import validate
from penstock_server.service.convert import worker as convert
from penstock_server.service.convert.times import wait_of
from penstock_server.service.observe import LeaseObserver
from penstock_server.service.tokens import decode_page_token, encode_page_token
from penstock_server.service.validate import Limits
from penstock_server.store.leases import PollOffer

_WAIT: Final = timedelta(seconds=20)
_MOST_BYTES: Final = 3_500_000
"""Stock clients refuse answers above 4 MiB."""


class WorkerService(worker_service_pb2_grpc.WorkerServiceServicer):
    """For workers, and about them."""

    def __init__(self, engine: Engine, limits: Limits, observer: LeaseObserver) -> None:
        self._engine = engine
        self._limits = limits
        self._observer = observer
        accept_within = engine.store.limits.accept_within
        self._accept_within_ms = round(accept_within / timedelta(milliseconds=1))

    async def LeaseTasks(
        self, request: pb.LeaseTasksRequest, context: Any
    ) -> pb.LeaseTasksResponse:
        validate.lease_tasks(request, self._limits)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        session = request.session
        await self._engine.polls.note(
            convert.session_record(namespace, session, request.queues, request.task_types)
        )
        poll = Poll(
            namespace,
            session.session_id,
            request.poll_seq,
            queues=tuple(dict.fromkeys(request.queues)),
            task_types=tuple(request.task_types),
            slots=request.max_tasks,
            most_bytes=request.max_bytes or _MOST_BYTES,
        )
        delivery = await self._engine.polls.lease(
            poll,
            wait_of(request, context, default=_WAIT),
            acknowledged=request.acknowledged_directive_ids,
        )
        response = pb.LeaseTasksResponse(superseded=delivery.superseded)
        await self._fill(response, namespace, delivery, session.session_id)
        return response

    async def ReportExecutions(
        self, request: pb.ReportExecutionsRequest, context: Any
    ) -> pb.ReportExecutionsResponse:
        read = self._read(request)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        if request.acknowledged_directive_ids:
            await self._acknowledge(namespace, request)
        self._engine.polls.note_report(namespace, request.session_id)
        reports = [one for one in read if isinstance(one, Report)]
        answers, delivery = await self._carry_out(namespace, request, reports)
        found = iter(answers)
        response = pb.ReportExecutionsResponse()
        convert.add_results(
            response,
            [next(found) if isinstance(one, Report) else ReportAnswer(error=one) for one in read],
        )
        await self._fill(response, namespace, delivery, request.session_id)
        return response

    async def _carry_out(
        self, namespace: str, request: pb.ReportExecutionsRequest, reports: Sequence[Report]
    ) -> tuple[Sequence[ReportAnswer], Delivery]:
        session_id = request.session_id
        if not request.max_tasks:
            return await self._engine.reports.carry_out(namespace, session_id, reports), Delivery()
        offer = PollOffer(
            session_id,
            -1,  # a report neither ends a poll nor is ended by one
            request.max_tasks,
            request.max_bytes or _MOST_BYTES,
            tuple(request.task_types),
        )
        return await self._engine.refills.carry_out(
            namespace, session_id, reports, request.queues, offer
        )

    def _read(self, request: pb.ReportExecutionsRequest) -> list[Report | PenstockError]:
        """What each item reports, or what is wrong with it. Raises if the request itself is out of
        bounds.
        """
        # A request of more items will be refused.
        items = request.items[: self._limits.batch_items]
        texts = [item.lease_token for item in items]
        tokens, most_bytes = decode_lease_tokens(texts), self._limits.result_bytes
        plain = [
            token and convert.plain_report(item, token, most_bytes)
            for item, token in zip(items, tokens, strict=True)
        ]
        errors = validate.report_executions(request, self._limits, plain, texts)
        looks = enumerate(zip(items, tokens, plain, errors, strict=True))
        return [
            error or known or _report(item, token, place)
            for place, (item, token, known, error) in looks
        ]

    async def _acknowledge(self, namespace: str, request: pb.ReportExecutionsRequest) -> None:
        partitions = [self._engine.store.home(namespace, queue) for queue in request.queues]
        await self._engine.store.sessions.acknowledge(
            namespace,
            request.session_id,
            request.acknowledged_directive_ids,
            partitions or range(self._engine.store.meta.partitions),
        )

    async def _fill(
        self,
        response: pb.LeaseTasksResponse | pb.ReportExecutionsResponse,
        namespace: str,
        delivery: Delivery,
        session_id: str,
    ) -> None:
        if delivery.leases:
            convert.add_leases(response.leases, delivery, self._accept_within_ms)
            self._observer.leased(namespace, delivery, response.leases, session_id)
        if delivery.directives:
            now_ms = delivery.now_ms or await self._engine.store.now_ms()
            response.directives.extend(
                convert.directive(directive, now_ms) for directive in delivery.directives
            )
        if delivery.reconnect:
            response.directives.append(convert.reconnect())

    async def ListWorkers(
        self, request: pb.ListWorkersRequest, context: Any
    ) -> pb.ListWorkersResponse:
        validate.list_workers(request, self._limits)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        arguments = ("ListWorkers", namespace, request.queue)
        workers = self._engine.workers
        sessions = [
            session
            for session in await workers.list(namespace)
            if not request.queue or request.queue in session.queues
        ]
        if request.page_token:
            created, last = decode_page_token(request.page_token, arguments, int, str)
            sessions = [s for s in sessions if (-s.create_ms, s.session_id) > (created, last)]
        size = validate.page_size(request.page_size, 50, 1000)
        now_ms = await workers.now_ms()
        response = pb.ListWorkersResponse(
            workers=[convert.worker(session, now_ms) for session in sessions[:size]]
        )
        if len(sessions) > size:
            last_one = sessions[size - 1]
            response.next_page_token = encode_page_token(
                [-last_one.create_ms, last_one.session_id], arguments
            )
        return response

    async def DrainWorker(
        self, request: pb.DrainWorkerRequest, context: Any
    ) -> pb.DrainWorkerResponse:
        validate.drain_worker(request, self._limits)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        workers = self._engine.workers
        session = await workers.drain(namespace, request.session_id, request.reason)
        return pb.DrainWorkerResponse(worker=convert.worker(session, await workers.now_ms()))


def _report(item: pb.ReportItem, token: LeaseToken | None, place: int) -> Report | PenstockError:
    return _not_a_token(place) if token is None else convert.report(item, token)


def _not_a_token(place: int) -> PenstockError:
    field = f"items[{place}].lease_token"
    return FieldInvalid([Violation(field, "is not a lease token; send the one of the lease")])
