"""The composition root: builds every room of one server process, starts it, and ends it in order.

Order of the end, and why: health turns NOT_SERVING, so that balancers send nothing new; the server
stops taking connections and calls; then waiting polls and streams are ended, and their callers go
elsewhere (in the other order they would come straight back); calls under way get the rest of the
grace; then the duties end, the connections to the store close, the last spans leave, and an
embedded store shuts down when nobody needs it any more.
"""

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from penstock.v1 import (
    namespace_service_pb2,
    namespace_service_pb2_grpc,
    queue_service_pb2,
    queue_service_pb2_grpc,
    task_service_pb2,
    task_service_pb2_grpc,
    task_type_service_pb2,
    task_type_service_pb2_grpc,
    worker_service_pb2,
    worker_service_pb2_grpc,
)
from penstock.v1.queue_pb2 import QueueConfig
from penstock.v1.task_type_pb2 import TaskTypeConfig
from penstock_server import options
from penstock_server.config import Address, Config, StoreUrl
from penstock_server.duties.auditor import Auditor
from penstock_server.duties.duty import Duties
from penstock_server.duties.gauger import Gauger
from penstock_server.duties.promoter import Promoter
from penstock_server.duties.pruner import Pruner, Sweeper
from penstock_server.duties.reaper import Reaper
from penstock_server.embedded import EmbeddedStore
from penstock_server.engine.access import KeyRing
from penstock_server.engine.engine import Engine
from penstock_server.engine.queues import QueueConfigs
from penstock_server.engine.task_types import TaskTypeConfigs
from penstock_server.model.errors import StoreUnavailable
from penstock_server.service.authorizer import RoleAuthorizer
from penstock_server.service.companions import Health, add_companions
from penstock_server.service.interceptors import Admission, CallTimes, Edge, EdgeParts, Registry
from penstock_server.service.listening import drain, listen
from penstock_server.service.namespace_service import NamespaceService
from penstock_server.service.observe import LeaseObserver, LossObserver
from penstock_server.service.queue_service import QueueService
from penstock_server.service.task_service import TaskService
from penstock_server.service.task_type_service import TaskTypeService
from penstock_server.service.worker_service import WorkerService
from penstock_server.store.access_keys import RedisAccessKeys
from penstock_server.store.store import Store, open_store
from penstock_server.telemetry import events
from penstock_server.telemetry.engine_observer import EngineObserver
from penstock_server.telemetry.logging import get_logger
from penstock_server.telemetry.metrics import Metrics, MetricsPage
from penstock_server.telemetry.tracing import Tracing

_log = get_logger(__name__)

_LAST_WORD: Final = timedelta(milliseconds=100)
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
        store_url = await _store_url(config, stack, metrics)
        store = await _opened(config, store_url, stack, metrics)
        rooms = await stack.enter_async_context(_rooms(config, store, metrics, tracing))
        server, port = await listen(
            options.listen_options(config, share_port=share_port), rooms.registry
        )
        stack.push_async_callback(server.stop, 0)  # if a part of the background fails
        async with asyncio.TaskGroup() as background:
            tasks = [background.create_task(work()) for work in rooms.background]
            address = str(Address(config.listen.host, port))
            ready = Ready(address, page, os.getpid(), str(store_url))
            _log.info(events.SERVER_READY, address=ready.address, metrics=page, store=ready.store)
            on_ready(ready)
            with _relaxed_collector():
                await stop.wait()
                await _end(config, rooms, server, stop)
            for task in tasks:
                task.cancel()
    _log.info(events.SERVER_STOPPED)


@contextmanager
def _relaxed_collector() -> Iterator[None]:
    """Lets the garbage collector look less often while its `with` block runs.

    Calls make many short-lived objects and hardly any cycles: by default looking for those takes
    a tenth of the server's time. What lives since the start is not looked at again.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


async def _end(config: Config, rooms: "_Rooms", server: grpc.aio.Server, stop: Stop) -> None:
    _log.info(events.SERVER_DRAINING, grace_seconds=config.drain.grace.total_seconds())
    await rooms.health.drain()
    await drain(
        server,
        grace=config.drain.grace,
        end_waiting=rooms.end_waiting,
        hurry=stop.wait_for_hurry,
    )


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
    end_waiting: Callable[[], None]
    """Ends waiting polls and streams."""


@asynccontextmanager
async def _rooms(
    config: Config, store: Store, metrics: Metrics, tracing: Tracing
) -> AsyncIterator[_Rooms]:
    keys = KeyRing(RedisAccessKeys(store.connection), config.security.keys)
    await keys.refresh()
    admission = Admission(options.admission_limits(config))
    metrics.watch_gauge("penstock_calls_under_way", "Calls under way.", "lane", admission.under_way)
    edge = Edge(
        EdgeParts(
            authenticator=options.authenticator(config, keys),
            authorizer=RoleAuthorizer(),
            admission=admission,
            metrics=metrics,
            tracing=tracing,
            request_bytes=config.limits.request_bytes,
        )
    )
    registry = Registry(edge, CallTimes(short=config.limits.call_timeout))
    observer = EngineObserver(metrics)
    percent = config.limits.leasing_memory_percent
    engine = Engine(store, observer, leasing_memory_percent=percent)
    await engine.start()
    losses = LossObserver(store.tasks, tracing, engine.background)
    _duties(engine, observer, losses, metrics).start(engine.background)
    health = Health(
        lambda: store.connection.read("PING"), on_change=lambda up: metrics.store_up.set(int(up))
    )
    for service in _services(config, engine, LeaseObserver(metrics, tracing)):
        registry.add(service.descriptor, service.servicer, service.add)
    await add_companions(registry, health)
    await health.probe_once()
    _warn_if_open(config, keys)
    try:
        yield _Rooms(
            registry, health, [keys.run, health.watch_store], lambda: _end_waiting(engine, edge)
        )
    finally:
        await engine.stop()


def _end_waiting(engine: Engine, edge: Edge) -> None:
    engine.drain()
    # Those who watch health have a moment to read NOT_SERVING first.
    asyncio.get_running_loop().call_later(_LAST_WORD.total_seconds(), edge.end_companions)


def _services(config: Config, engine: Engine, observer: LeaseObserver) -> list[_Service]:
    limits = options.request_limits(config)
    configs = QueueConfigs(engine.store, QueueConfig.FromString)
    types = TaskTypeConfigs(engine.store, TaskTypeConfig.FromString)
    return [
        _Service(
            task_service_pb2.DESCRIPTOR.services_by_name["TaskService"],
            TaskService(engine, configs, types, limits),
            task_service_pb2_grpc.add_TaskServiceServicer_to_server,
        ),
        _Service(
            worker_service_pb2.DESCRIPTOR.services_by_name["WorkerService"],
            WorkerService(engine, limits, observer),
            worker_service_pb2_grpc.add_WorkerServiceServicer_to_server,
        ),
        _Service(
            queue_service_pb2.DESCRIPTOR.services_by_name["QueueService"],
            QueueService(engine, configs, limits),
            queue_service_pb2_grpc.add_QueueServiceServicer_to_server,
        ),
        _Service(
            task_type_service_pb2.DESCRIPTOR.services_by_name["TaskTypeService"],
            TaskTypeService(engine, types, limits),
            task_type_service_pb2_grpc.add_TaskTypeServiceServicer_to_server,
        ),
        _Service(
            namespace_service_pb2.DESCRIPTOR.services_by_name["NamespaceService"],
            NamespaceService(engine.namespaces, limits),
            namespace_service_pb2_grpc.add_NamespaceServiceServicer_to_server,
        ),
    ]


def _duties(
    engine: Engine, observer: EngineObserver, losses: LossObserver, metrics: Metrics
) -> Duties:
    store = engine.store
    return Duties(
        store,
        engine.server_id,
        [
            Promoter(store.queues),
            Reaper(store.leases, observer, on_reaped=losses.reaped),
            Pruner(store.queues),
            Sweeper(store.queues),
            Auditor(store.audit),
            Gauger(engine, observer),
        ],
        on_run=lambda name, seconds: metrics.duty_duration.labels(name).observe(seconds),
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
    tracing = Tracing(options.tracing_options(config))
    # Sending the last spans blocks for as long as the receiver takes.
    stack.push_async_callback(asyncio.to_thread, tracing.shutdown)
    return tracing


async def _store_url(config: Config, stack: AsyncExitStack, metrics: Metrics) -> StoreUrl:
    if not config.store.url.is_embedded:
        return config.store.url
    embedded = EmbeddedStore(
        options.embedded_options(config), on_restart=metrics.store_restarts.inc
    )
    await stack.enter_async_context(embedded)
    return StoreUrl(embedded.url)


async def _opened(config: Config, url: StoreUrl, stack: AsyncExitStack, metrics: Metrics) -> Store:
    """The store; one that is just being started is waited for."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + _STORE_PATIENCE.total_seconds()
    while True:
        try:
            store = await open_store(
                url.secret_text,
                partitions=config.store.partitions,
                limits=options.store_limits(config),
                on_call=lambda verb, seconds: metrics.store_duration.labels(verb).observe(seconds),
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
