"""The composition root: builds every room of one server process, starts it, and ends it in order.

Order of the end, and why: health turns NOT_SERVING, so that balancers send nothing new; the server
stops taking connections and calls; then waiting polls and streams are ended, and their callers go
elsewhere (in the other order they would come straight back); calls under way get the rest of the
grace; then the duties end, the connections to the store close, the last spans leave, and an
embedded store shuts down when nobody needs it any more.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from penstock_server.config import Config, StoreUrl
from penstock_server.embedded import EmbeddedOptions, EmbeddedStore
from penstock_server.engine.access import KeyRing
from penstock_server.model.access import Role
from penstock_server.model.errors import StoreUnavailable
from penstock_server.model.records import StoreLimits
from penstock_server.service.authorizer import RoleAuthorizer
from penstock_server.service.companions import Health, add_companions
from penstock_server.service.interceptors import (
    Admission,
    AdmissionLimits,
    Authenticator,
    CallTimes,
    CertificateRule,
    Edge,
    EdgeParts,
    Registry,
)
from penstock_server.service.tls import TlsOptions, server_credentials
from penstock_server.store.access_keys import RedisAccessKeys
from penstock_server.store.store import Store, open_store
from penstock_server.telemetry import events
from penstock_server.telemetry.logging import LogOptions, configure_logging, get_logger
from penstock_server.telemetry.metrics import Metrics, MetricsPage
from penstock_server.telemetry.tracing import Tracing, TracingOptions

_log = get_logger(__name__)

_STORE_PATIENCE: Final = timedelta(seconds=30)


class StartFailed(Exception):
    """The server cannot start; the text is one line and says what to do."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What a server that serves says of itself. Holds no secret."""

    address: str
    """host:port of gRPC."""
    metrics: str | None
    """host:port of the metrics page; None if it is off."""
    pid: int
    store: str
    """URL of the store, without password."""


class Stop:
    """Asks a server to end: once to drain, a second time to hurry."""

    def __init__(self) -> None:
        self._drain = asyncio.Event()
        self._hurry = asyncio.Event()

    def ask(self) -> None:
        """Asks, from a signal handler for example."""
        (self._hurry if self._drain.is_set() else self._drain).set()

    async def wait(self) -> None:
        """Waits until somebody has asked."""
        await self._drain.wait()

    async def wait_for_hurry(self) -> None:
        """Waits until somebody has asked a second time."""
        await self._hurry.wait()


async def serve(
    config: Config,
    *,
    stop: Stop,
    on_ready: Callable[[Ready], None] = lambda _: None,
    share_port: bool = False,
) -> None:
    """Runs one server process until `stop` asks it to end, then drains it.

    `share_port` lets other processes listen on the same port. Raises StartFailed, WrongStore, and
    the errors of `penstock_server.embedded`.
    """
    async with AsyncExitStack() as stack:
        metrics = Metrics()
        page = _metrics_page(config, metrics, stack)
        tracing = _tracing(config, stack)
        store_url = await _store_url(config, stack)
        store = await _opened(config, store_url, stack)
        rooms = await stack.enter_async_context(_rooms(config, store, metrics, tracing))
        server, port = await _listening(config, rooms.registry, share_port=share_port)
        stack.push_async_callback(server.stop, 0)  # if a part of the background fails
        async with asyncio.TaskGroup() as background:
            tasks = [background.create_task(work()) for work in rooms.background]
            ready = Ready(f"{_host(config)}:{port}", page, os.getpid(), str(store_url))
            _log.info(events.SERVER_READY, address=ready.address, metrics=page, store=ready.store)
            on_ready(ready)
            await stop.wait()
            await _drain(config, rooms, server, stop)
            for task in tasks:
                task.cancel()
    _log.info(events.SERVER_STOPPED)


# ---- the rooms ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Service:
    descriptor: ServiceDescriptor
    servicer: Any
    add: Callable[[Any, Any], None]
    """The generated `add_…Servicer_to_server`."""


@dataclass(frozen=True, slots=True)
class _Rooms:
    registry: Registry
    health: Health
    background: Sequence[Callable[[], Any]]
    """Coroutine functions that run until they are cancelled."""
    drain: Callable[[], Any]
    """Ends waiting polls and streams."""


@asynccontextmanager
async def _rooms(
    config: Config, store: Store, metrics: Metrics, tracing: Tracing
) -> AsyncIterator[_Rooms]:
    keys = KeyRing(RedisAccessKeys(store.connection), config.security.keys)
    await keys.refresh()
    admission = Admission(_admission_limits(config))
    metrics.watch_gauge("penstock_calls_under_way", "Calls under way.", "lane", admission.under_way)
    edge = Edge(
        EdgeParts(
            authenticator=_authenticator(config, keys),
            authorizer=RoleAuthorizer(),
            admission=admission,
            metrics=metrics,
            tracing=tracing,
            request_bytes=config.limits.request_bytes,
        )
    )
    registry = Registry(edge, CallTimes(short=config.limits.call_timeout))
    health = Health(
        lambda: store.connection.read("PING"), on_change=lambda up: metrics.store_up.set(int(up))
    )
    for service in _services():
        registry.add(service.descriptor, service.servicer, service.add)
    await add_companions(registry, health)
    await health.probe_once()
    _warn_if_open(config, keys)
    yield _Rooms(registry, health, [keys.run, health.watch_store], _nothing)


def _services() -> list[_Service]:
    return []


async def _nothing() -> None:
    return None


def _authenticator(config: Config, keys: KeyRing) -> Authenticator:
    rules = [
        CertificateRule(
            rule.name,
            Role(rule.role),
            None if "*" in rule.namespaces else frozenset(rule.namespaces),
        )
        for rule in config.security.certificates
    ]
    return Authenticator(
        keys,
        certificates=rules,
        certificate_required=config.security.require_client_cert,
    )


def _admission_limits(config: Config) -> AdmissionLimits:
    limits = config.limits
    return AdmissionLimits(
        calls=limits.concurrent_calls,
        polls=limits.concurrent_polls,
        streams=limits.concurrent_streams,
        streams_per_principal=limits.streams_per_principal,
    )


def _warn_if_open(config: Config, keys: KeyRing) -> None:
    if keys.is_open and not config.security.require_client_cert and not config.listen.is_loopback:
        _log.warning(events.SERVER_OPEN, address=str(config.listen), principal="anonymous")


# ---- what the rooms stand on -------------------------------------------------------------------


def _metrics_page(config: Config, metrics: Metrics, stack: AsyncExitStack) -> str | None:
    if config.metrics is None:
        return None
    page = MetricsPage(metrics.registry, host=config.metrics.host, port=config.metrics.port)
    try:
        stack.enter_context(page)
    except OSError as error:
        raise StartFailed(
            f"metrics address {config.metrics} cannot be used ({error.strerror}): stop what "
            "listens there, or choose another with --metrics (`--metrics off` does without)"
        ) from error
    return f"{config.metrics.host}:{page.port}"


def _tracing(config: Config, stack: AsyncExitStack) -> Tracing:
    tracing = Tracing(
        TracingOptions(
            endpoint=config.telemetry.otlp_endpoint,
            sample_ratio=config.telemetry.sample_ratio,
            service_name=config.telemetry.service_name,
            instance=f"{socket.gethostname()}:{os.getpid()}",
        )
    )
    # Sending the last spans blocks for as long as the receiver takes.
    stack.push_async_callback(asyncio.to_thread, tracing.shutdown)
    return tracing


async def _store_url(config: Config, stack: AsyncExitStack) -> StoreUrl:
    if not config.store.url.is_embedded:
        return config.store.url
    options = EmbeddedOptions(folder=config.data, appendfsync=config.store.appendfsync)
    embedded = await stack.enter_async_context(EmbeddedStore(options))
    return StoreUrl(embedded.url)


async def _opened(config: Config, url: StoreUrl, stack: AsyncExitStack) -> Store:
    """The store; one that is just being started is waited for."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + _STORE_PATIENCE.total_seconds()
    while True:
        try:
            store = await open_store(
                url.secret_text,
                partitions=config.store.partitions,
                limits=_store_limits(config),
            )
        except StoreUnavailable as error:
            if loop.time() > give_up:
                raise StartFailed(
                    f"the store {url} has not answered for {_STORE_PATIENCE.total_seconds():g} s: "
                    "start it, or name another with --store (`--store embedded` needs none)"
                ) from error
            _log.warning(events.STORE_LOST, store=str(url))
            await asyncio.sleep(1)
        else:
            stack.push_async_callback(store.close)
            return store


def _store_limits(config: Config) -> StoreLimits:
    lease, kept, limits = config.lease, config.retention, config.limits
    return StoreLimits(
        accept_within=lease.accept_within,
        lease_term=lease.term,
        request_window=kept.request_id_window,
        ended_age=kept.ended_age,
        ended_count=kept.ended_count,
        stub_age=kept.stub_age,
        dead_age=kept.dead_age,
        dead_count=kept.dead_count,
        event_entries=kept.events_count,
        event_window=kept.events_age,
        log_lines=kept.log_lines,
        log_bytes=kept.log_bytes,
        queues_per_namespace=limits.queues_per_namespace,
        backlog_count=limits.backlog_tasks,
        backlog_bytes=limits.backlog_bytes,
        releases_in_a_row=lease.releases_in_a_row,
    )


# ---- gRPC --------------------------------------------------------------------------------------


def _channel_options(config: Config, *, share_port: bool) -> list[tuple[str, int]]:
    return [
        # Off, or a second server on the same port would start and take half the calls in silence.
        ("grpc.so_reuseport", int(share_port)),
        # Clients may ping every 10 s, also without calls; beyond that they are sent away.
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        # Twice the bound, so that the edge can refuse what is too large in a typed way.
        ("grpc.max_receive_message_length", 2 * config.limits.request_bytes),
        # Answers are bounded where they are made: by page sizes and the worker's max_bytes.
        ("grpc.max_send_message_length", -1),
        ("grpc.enable_channelz", 1),
    ]


def _most_calls(config: Config) -> int:
    limits = config.limits
    # A last resort above the lanes of the edge: calls, reports, polls, streams, companions.
    return 2 * limits.concurrent_calls + limits.concurrent_polls + 2 * limits.concurrent_streams


async def _listening(
    config: Config, registry: Registry, *, share_port: bool
) -> tuple[grpc.aio.Server, int]:
    server = grpc.aio.server(
        handlers=(registry,),
        options=_channel_options(config, share_port=share_port),
        maximum_concurrent_rpcs=_most_calls(config),
    )
    port = _bound(config, server)
    await server.start()
    return server, port


def _bound(config: Config, server: grpc.aio.Server) -> int:
    address = str(config.listen)
    try:
        tls = _tls_options(config)
        if tls is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, server_credentials(tls))
    except RuntimeError as error:
        raise StartFailed(
            f"address {address} cannot be used: stop what listens there, or choose another with "
            "--listen"
        ) from error


def _tls_options(config: Config) -> TlsOptions | None:
    security = config.security
    if security.tls_cert is None or security.tls_key is None:
        return None
    return TlsOptions(
        certificate=security.tls_cert,
        key=security.tls_key,
        client_authority=security.tls_ca,
        client_certificate_required=security.require_client_cert,
    )


def _host(config: Config) -> str:
    return f"[{config.listen.host}]" if ":" in config.listen.host else config.listen.host


async def _drain(config: Config, rooms: _Rooms, server: grpc.aio.Server, stop: Stop) -> None:
    grace = config.drain.grace.total_seconds()
    _log.info(events.SERVER_DRAINING, grace_seconds=grace)
    await rooms.health.drain()
    stopping = asyncio.create_task(server.stop(grace))
    hurrying = asyncio.create_task(_hurry(server, stop))
    try:
        await asyncio.sleep(0)  # lets the server stop listening before its polls end
        await rooms.drain()
        await stopping
    finally:
        hurrying.cancel()


async def _hurry(server: grpc.aio.Server, stop: Stop) -> None:
    await stop.wait_for_hurry()
    await server.stop(0)


def logging_from(config: Config) -> None:
    """Sets up the log lines of this process."""
    configure_logging(LogOptions(level=config.log.level, format=config.log.format))
