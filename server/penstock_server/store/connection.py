"""Connections to Redis or Valkey: which clients there are, how scripts are called, and what their
errors mean here.

Three clients, because they must fail differently: mutations are never repeated blindly, reads may
be, and blocking reads wait longer than any socket timeout.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

import msgpack
from redis import exceptions
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff

from penstock_server.model.errors import PenstockError, StoreFull, StoreUnavailable

from . import keys
from .script_library import Script

_UNREACHABLE: Final = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.BusyLoadingError,
    exceptions.ReadOnlyError,
    exceptions.MasterDownError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
    OSError,
)
_REFUSALS: Final = ("MISCONF", "NOREPLICAS", "UNBLOCKED", "MASTERDOWN")
"""First words of answers with which a store says that it cannot write now."""
_CLOSED: Final = "the handler is closed"
"""How uvloop spells that a connection was cut between taking it and writing to it. A plain
RuntimeError, which redis-py lets through.
"""

_COMMAND_TIMEOUT: Final = 10.0
_CONNECT_TIMEOUT: Final = 3.0

AnyRedis = Redis | RedisCluster


def translate(error: Exception) -> PenstockError | None:
    """What an error of the client means for a caller; None if it is a fault of ours."""
    if isinstance(error, exceptions.OutOfMemoryError):
        return StoreFull()
    if isinstance(error, _UNREACHABLE) or str(error).split(" ", 1)[0] in _REFUSALS:
        return StoreUnavailable()
    if isinstance(error, RuntimeError) and _CLOSED in str(error):
        return StoreUnavailable()
    return None


class Connection:
    """The clients of one process, and calls of scripts through them."""

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], str] | None = None,
        on_call: Callable[[str, float], None] = lambda _verb, _seconds: None,
    ) -> None:
        self._url = url
        self._clock = clock
        self._on_call = on_call
        self.mutations: AnyRedis
        self.reads: AnyRedis
        self.blocking: AnyRedis

    async def open(self) -> None:
        """Connects. Raises `StoreUnavailable` when the store does not answer."""
        make = RedisCluster.from_url if await self._is_spread() else Redis.from_url
        once = Retry(NoBackoff(), 0)
        patient = Retry(ExponentialBackoff(cap=0.5, base=0.02), 3)
        self.reads = make(self._url, retry=patient, **_timeouts(_COMMAND_TIMEOUT))
        self.mutations = make(self._url, retry=once, **_timeouts(_COMMAND_TIMEOUT))
        self.blocking = make(self._url, retry=once, **_timeouts(None))

    async def _is_spread(self) -> bool:
        """Whether the store is a cluster of several nodes."""
        first = Redis.from_url(
            self._url, retry=Retry(NoBackoff(), 0), **_timeouts(_COMMAND_TIMEOUT)
        )
        try:
            info = await first.info("cluster")
            if not info.get("cluster_enabled"):
                return False
            nodes = await first.execute_command(  # type: ignore[no-untyped-call]
                "CLUSTER", "NODES"
            )
            return len(nodes.splitlines()) > 1
        except Exception as error:
            raise translate(error) or error from error
        finally:
            await first.aclose()

    async def close(self) -> None:
        """Closes every connection."""
        for client in (self.blocking, self.mutations, self.reads):
            await client.aclose()

    async def run(self, script: Script, partition: int, value: object) -> Any:
        """Calls a script on a partition and gives its answer, strings as bytes. One that gives
        several answers gives a list of them.

        Raises `StoreUnavailable` or `StoreFull`; then the call may or may not have taken effect.
        """
        client = self.reads if script.reads_only else self.mutations
        now = self._clock() if self._clock else ""
        started = perf_counter()
        arguments = (1, keys.tag(partition), now, msgpack.packb(value, use_bin_type=False))
        task = asyncio.current_task()
        cancels = _cancels(task)
        try:
            try:
                answer = await client.execute_command("EVALSHA", script.sha, *arguments)
            except exceptions.NoScriptError:
                # After a restart or a SCRIPT FLUSH. EVAL stores the script again, on the node that
                # needs it.
                answer = await client.execute_command("EVAL", script.source, *arguments)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            raise translate(error) or error from error
        _raise_if_cancelled_since(task, cancels)
        self._on_call(script.name, perf_counter() - started)
        return [_unpacked(part) for part in answer] if type(answer) is list else _unpacked(answer)

    async def read(self, *command: Any) -> Any:
        """Runs a reading command; repeated by the client when the connection breaks."""
        return await self._command(self.reads, *command)

    async def scan(
        self, partition: int, cursor: int, pattern: str, count: int
    ) -> tuple[int, list[str]]:
        """Walks over the keys of the node that has the partition; 0 begins, and 0 is the end."""
        client = self.reads
        node: dict[str, Any] = {}
        if isinstance(client, RedisCluster):
            node = {"target_nodes": client.get_node_from_key(keys.tag(partition))}
        command = ("SCAN", cursor, "MATCH", pattern, "COUNT", count)
        answer = await self._command(client, *command, **node)
        # A cluster client answers with what each node said, by name.
        after, names = next(iter(answer.values())) if isinstance(answer, dict) else answer
        return int(after), [name.decode() for name in names]

    async def write(self, *command: Any) -> Any:
        """Runs a writing command, once."""
        return await self._command(self.mutations, *command)

    async def block(self, *command: Any) -> Any:
        """Runs a command that may wait for long."""
        return await self._command(self.blocking, *command)

    async def memory(self) -> tuple[int, int]:
        """Bytes that the fullest node uses, and its `maxmemory`; the latter 0 if it has none."""
        everywhere: dict[str, Any] = {}
        if isinstance(self.reads, RedisCluster):
            everywhere = {"target_nodes": RedisCluster.ALL_NODES}
        told = await self._command(self.reads, "INFO", "memory", **everywhere)
        nodes = told.values() if everywhere else [told]
        pairs = [(int(node["used_memory"]), int(node.get("maxmemory", 0))) for node in nodes]
        return max(pairs, key=lambda pair: pair[0] / pair[1] if pair[1] else 0.0)

    async def _command(self, client: AnyRedis, *command: Any, **options: Any) -> Any:
        task = asyncio.current_task()
        cancels = _cancels(task)
        try:
            answer = await client.execute_command(*command, **options)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            raise translate(error) or error from error
        _raise_if_cancelled_since(task, cancels)
        return answer


def _unpacked(answer: bytes) -> Any:
    return msgpack.unpackb(answer, raw=True, strict_map_key=False)


def _cancels(task: asyncio.Task[Any] | None) -> int:
    """How often the task was cancelled so far."""
    return 0 if task is None else task.cancelling()


def _raise_if_cancelled_since(task: asyncio.Task[Any] | None, cancels: int) -> None:
    # redis-py 8 swallows a cancel that comes while it takes a connection from its pool, and then
    # answers as if nothing had been: a loop would never end, and a call would outlive its caller.
    if _cancels(task) > cancels:
        raise asyncio.CancelledError


def _timeouts(command: float | None) -> dict[str, Any]:
    return {"socket_timeout": command, "socket_connect_timeout": _CONNECT_TIMEOUT, "protocol": 2}
