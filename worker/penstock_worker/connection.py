"""The worker's connection to its server: calls, credentials, and a new channel when asked to."""

from __future__ import annotations

import asyncio
from typing import Final

import grpc
import structlog

from penstock.channel import call_metadata, open_channel
from penstock.error_mapping import from_rpc_error
from penstock.options import ClientOptions
from penstock.v1 import worker_service_pb2 as pb
from penstock.v1.worker_service_pb2_grpc import WorkerServiceStub
from penstock_worker import events

log = structlog.stdlib.get_logger("penstock_worker")

# Calls that the old channel still carries after a new one has taken its place.
CLOSE_GRACE: Final = 30.0


class Connection:
    """Calls WorkerService. Refusals come as `penstock.errors.PenstockError`."""

    def __init__(self, options: ClientOptions) -> None:
        self.address = options.address
        self._options = options
        self._metadata = call_metadata(options)
        self._old: set[asyncio.Task[None]] = set()
        self._open()

    def _open(self) -> None:
        self._channel = open_channel(self._options)
        self._stub = WorkerServiceStub(self._channel)

    def renew(self) -> None:
        """Makes a new channel; calls under way end on the old one."""
        log.info(events.RECONNECT, address=self.address)
        task = asyncio.get_running_loop().create_task(self._channel.close(CLOSE_GRACE))
        self._old.add(task)
        task.add_done_callback(self._old.discard)
        self._open()

    async def lease(self, request: pb.LeaseTasksRequest, timeout: float) -> pb.LeaseTasksResponse:
        """Polls."""
        try:
            return await self._stub.LeaseTasks(request, timeout=timeout, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, self.address) from None

    async def report(
        self, request: pb.ReportExecutionsRequest, timeout: float
    ) -> pb.ReportExecutionsResponse:
        """Reports."""
        try:
            return await self._stub.ReportExecutions(
                request, timeout=timeout, metadata=self._metadata
            )
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, self.address) from None

    async def close(self) -> None:
        """Closes the channel and those before it."""
        for task in self._old:
            task.cancel()
        await asyncio.gather(*self._old, return_exceptions=True)
        await self._channel.close(None)
