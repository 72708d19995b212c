"""The gRPC server itself: where it listens, with which options, and how it drains."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import grpc

from penstock_server.service.interceptors import Registry
from penstock_server.service.tls import TlsOptions, server_credentials


class AddressTaken(Exception):
    """Somebody else listens there; the text says what to do."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"address {address} cannot be used: stop what listens there, or choose another with "
            "--listen"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenOptions:
    """Where and how calls are taken."""

    address: str
    """host:port; port 0 lets the system choose."""
    tls: TlsOptions | None = None
    request_bytes: int = 32 << 20
    """Largest request that is read; one of up to twice the size is refused in a typed way."""
    most_calls: int = 32_768
    """Calls of all kinds under way. A last resort above the lanes of the edge, which are typed."""
    share_port: bool = False
    """Let other processes listen on the same port."""


async def listen(options: ListenOptions, registry: Registry) -> tuple[grpc.aio.Server, int]:
    """Starts a server, and gives it with its port. Raises AddressTaken and BadCertificate."""
    server = grpc.aio.server(
        handlers=(registry,),
        options=_channel_options(options),
        maximum_concurrent_rpcs=options.most_calls,
    )
    credentials = None if options.tls is None else server_credentials(options.tls)
    try:
        if credentials is None:
            port = server.add_insecure_port(options.address)
        else:
            port = server.add_secure_port(options.address, credentials)
    except RuntimeError as error:
        raise AddressTaken(options.address) from error
    await server.start()
    return server, port


def _channel_options(options: ListenOptions) -> list[tuple[str, int]]:
    return [
        # Off, or a second server on the same port would start and take half the calls in silence.
        ("grpc.so_reuseport", int(options.share_port)),
        # Clients may ping every 10 s, also without calls; beyond that they are sent away.
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        # Twice the bound, so that the edge can refuse what is too large in a typed way.
        ("grpc.max_receive_message_length", 2 * options.request_bytes),
        # Beyond the first bound some calls are refused by gRPC itself, beyond the second all.
        ("grpc.max_metadata_size", 16 << 10),
        ("grpc.absolute_max_metadata_size", 32 << 10),
        # Answers are bounded where they are made: by page sizes and the worker's max_bytes.
        ("grpc.max_send_message_length", -1),
        ("grpc.enable_channelz", 1),
    ]


async def drain(
    server: grpc.aio.Server,
    *,
    grace: timedelta,
    end_waiting: Callable[[], None],
    hurry: Callable[[], Awaitable[None]],
) -> None:
    """Stops the server: at once for new calls, after `grace` at the latest for those under way.

    `end_waiting` ends polls and streams; it is called when nobody can come back here any more, as
    otherwise their callers would. When `hurry` returns, the grace is over.
    """
    stopping = asyncio.create_task(server.stop(grace.total_seconds()))
    hurrying = asyncio.create_task(_hurry(server, hurry))
    try:
        await asyncio.sleep(0)  # the task has run up to where the server stopped listening
        end_waiting()
        await stopping
    finally:
        hurrying.cancel()


async def _hurry(server: grpc.aio.Server, hurry: Callable[[], Awaitable[None]]) -> None:
    await hurry()
    await server.stop(0)
