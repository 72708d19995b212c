"""The standard services beside the contract: health, reflection, channelz."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Final

from grpc_channelz.v1 import channelz, channelz_pb2_grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from penstock_server.model.errors import PenstockError
from penstock_server.service.interceptors.registry import Registry
from penstock_server.telemetry import events
from penstock_server.telemetry.logging import get_logger

# The stubs of these packages leave their asyncio halves out.

OVERALL: Final = ""
_PROBE_EVERY: Final = timedelta(seconds=1)
_PROBE_WITHIN: Final = timedelta(seconds=2)
_LOST_AFTER: Final = timedelta(seconds=3)

_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING

_log = get_logger(__name__)


class Health:
    """What `grpc.health.v1.Health` answers: for the server as a whole, and for each service.

    NOT_SERVING before the first probe of the store, while the store has been out of reach for 3 s,
    and from the beginning of a drain on.
    """

    def __init__(
        self,
        probe: Callable[[], Awaitable[object]],
        *,
        on_change: Callable[[bool], None] = lambda _: None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.servicer: Any = health.aio.HealthServicer()  # type: ignore[attr-defined]
        self._probe = probe
        self._on_change = on_change
        self._clock = clock
        self._names: list[str] = [OVERALL]
        self._serving: bool | None = None
        self._draining = False
        self._last_answer: float | None = None

    @property
    def is_serving(self) -> bool:
        """What it answers now."""
        return bool(self._serving) and not self._draining

    async def begin(self, services: Sequence[str]) -> None:
        """Answers for these services from now on, NOT_SERVING at first."""
        self._names = [OVERALL, *services]
        await self._tell(_NOT_SERVING)

    async def watch_store(self) -> None:
        """Probes the store again and again, until it is cancelled."""
        while True:
            await self.probe_once()
            await asyncio.sleep(_PROBE_EVERY.total_seconds())

    async def probe_once(self) -> None:
        """Probes the store once, and says what has changed."""
        now = self._clock or asyncio.get_running_loop().time
        if await self._answers():
            self._last_answer = now()
            await self._change(serving=True)
        elif self._last_answer is None or now() - self._last_answer >= _LOST_AFTER.total_seconds():
            await self._change(serving=False)

    async def drain(self) -> None:
        """Answers NOT_SERVING from now on, whatever the store does."""
        self._draining = True
        await self._tell(_NOT_SERVING)

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(_PROBE_WITHIN.total_seconds()):
                await self._probe()
        except (PenstockError, TimeoutError):
            return False
        return True

    async def _change(self, *, serving: bool) -> None:
        if serving is self._serving:
            return
        came_back, self._serving = self._serving is False, serving
        self._on_change(serving)
        if came_back:
            _log.info(events.STORE_FOUND)
        elif not serving:
            _log.error(events.STORE_LOST)
        if not self._draining:
            await self._tell(_SERVING if serving else _NOT_SERVING)

    async def _tell(self, status: Any) -> None:
        for name in self._names:
            await self.servicer.set(name, status)


async def add_companions(registry: Registry, state: Health) -> None:
    """Adds health, reflection and channelz for every service that the registry has so far."""
    contract = list(registry.services)
    registry.add_companion(
        "grpc.health.v1.Health", state.servicer, health_pb2_grpc.add_HealthServicer_to_server
    )
    registry.add_companion(
        "grpc.channelz.v1.Channelz",
        channelz.aio.ChannelzServicer(),  # type: ignore[attr-defined]
        channelz_pb2_grpc.add_ChannelzServicer_to_server,
    )
    named = [*registry.services, reflection.SERVICE_NAME]
    registry.add_companion(
        reflection.SERVICE_NAME,
        reflection.aio.ReflectionServicer(named),  # type: ignore[attr-defined]
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server,
    )
    await state.begin(contract)
