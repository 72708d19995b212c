from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from penstock import Client, ClientOptions
from penstock.pytest_plugin import (  # noqa: F401 # pytest finds fixtures by their names here
    penstock_client,
    penstock_namespace,
    penstock_options,
    penstock_server,
)
from penstock.v1 import worker_pb2
from penstock.v1 import worker_service_pb2 as pb


class Hand:
    """A worker by hand: leases one task at a time and reports what it is told to."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._session = worker_pb2.WorkerSession(session_id=uuid.uuid4().hex, slots=1)
        self._polls = 0

    async def lease(self, task_type: str, queue: str = "default") -> worker_pb2.Lease:
        """Leases one task and accepts it; waits until there is one."""
        leases: list[worker_pb2.Lease] = []
        while not leases:
            self._polls += 1
            request = pb.LeaseTasksRequest(
                namespace=self._client.options.namespace,
                session=self._session,
                poll_seq=self._polls,
                queues=[queue],
                task_types=[task_type],
                max_tasks=1,
            )
            request.wait.FromSeconds(5)
            transport = self._client._transport
            leases = [*(await transport.call(transport.workers.LeaseTasks, request)).leases]
        await self.report(leases[0], accept=pb.AcceptReport())
        return leases[0]

    async def report(self, lease: worker_pb2.Lease, **report) -> pb.ReportResult:
        """Reports on a lease; the keyword is a field of ReportItem."""
        request = pb.ReportExecutionsRequest(
            namespace=self._client.options.namespace,
            session_id=self._session.session_id,
            items=[pb.ReportItem(lease_token=lease.lease_token, **report)],
        )
        transport = self._client._transport
        answer = await transport.call(transport.workers.ReportExecutions, request)
        assert not answer.results[0].HasField("error"), answer.results[0].error.message
        return answer.results[0]


@pytest.fixture
async def client(penstock_options: ClientOptions) -> AsyncIterator[Client]:  # noqa: F811
    async with Client(penstock_options) as client:
        yield client


@pytest.fixture
def hand(client: Client) -> Hand:
    return Hand(client)
