"""A gRPC server in front of another one: every second answer is lost after its call took effect."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc


@asynccontextmanager
async def every_second_answer_lost(address: str) -> AsyncIterator[str]:
    """Passes unary calls on to `address`; gives the address to call instead."""
    async with grpc.aio.insecure_channel(address) as channel:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers([_PassOn(channel)])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            await server.stop(None)


class _PassOn(grpc.GenericRpcHandler):  # type: ignore[type-arg] # the class takes none when it runs
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._calls = 0

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        call = self._channel.unary_unary(details.method, _as_it_is, _as_it_is)

        async def pass_on(request: bytes, context: Any) -> bytes:
            answer: bytes = await call(request)
            self._calls += 1
            if self._calls % 2:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the answer was lost")
            return answer

        return grpc.unary_unary_rpc_method_handler(pass_on)


def _as_it_is(message: bytes) -> bytes:
    return message
