"""Store programs for tests: one process for each kind and pytest worker, and a bench to try its
verbs on by hand, under a clock that the test turns.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis

from penstock_server.embedded.binary import find_binary
from penstock_server.model.errors import PenstockError
from penstock_server.model.ids import TaskIds, ids_from
from penstock_server.model.lease_token import LeaseToken
from penstock_server.model.lifecycle import Outcome
from penstock_server.model.records import (
    EventRecord,
    ExecutionRecord,
    IdempotencyKey,
    LeaseRecord,
    Policy,
    StoreLimits,
    Submitted,
    TaskDraft,
    TaskRecord,
)
from penstock_server.store import decode
from penstock_server.store.leases import FailureReport, PollAnswer, PollOffer
from penstock_server.store.store import Store, open_store
from support.tools import require_tool

NAMESPACE: Final = "default"
QUEUE: Final = "q"
TYPE: Final = "work"
SERVER: Final = "server-1"

# Ends with the test process, however that ends.
_LAUNCHER: Final = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
os.execv(sys.argv[1], sys.argv[1:])
"""


@dataclass(frozen=True)
class StoreKind:
    """Which program keeps the data, how it is run, and over how many partitions."""

    name: str
    partitions: int
    cluster: bool = False
    redis: bool = False

    def __str__(self) -> str:
        return self.name


KINDS: Final = (
    StoreKind("valkey-plain-P1", 1),
    StoreKind("redis7-plain-P1", 1, redis=True),
    StoreKind("valkey-cluster-P4", 4, cluster=True),
)


@dataclass(frozen=True)
class StoreProgram:
    """A store program that runs."""

    kind: StoreKind
    url: str


@contextmanager
def store_program(kind: StoreKind) -> Iterator[StoreProgram]:
    """Runs a store program that keeps nothing on disk; it is gone when the block is left."""
    binary = require_tool("redis-server") if kind.redis else find_binary()
    with tempfile.TemporaryDirectory(prefix="penstock-store-") as folder:
        path = Path(folder, "s")
        process = start_store(binary, path, cluster=kind.cluster)
        try:
            yield StoreProgram(kind, f"unix://{path}")
        finally:
            process.kill()
            process.wait()


def start_store(
    binary: Path, path: Path, *, cluster: bool = False, keep: bool = False
) -> subprocess.Popen[bytes]:
    """Starts a store program that listens on a unix socket, and waits until it answers.

    With `keep` everything that it answered is on disk, beside the socket.
    """
    options = {"port": "0", "unixsocket": str(path), "dir": str(path.parent)}
    options |= {"save": "", "appendonly": "yes" if keep else "no", "daemonize": "no"}
    if keep:
        options["appendfsync"] = "always"
    if cluster:
        options |= {"cluster-enabled": "yes", "cluster-config-file": str(path.parent / "nodes")}
        # A node of a cluster must have a port; nobody talks to it there.
        options["port"] = str(_free_port())
        options["cluster-port"] = str(_free_port())
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(binary), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    _until_it_says(process, path, "PING", "+PONG")
    if cluster:
        _until_it_says(process, path, "CLUSTER ADDSLOTSRANGE 0 16383", "+OK")
        _until_it_says(process, path, "CLUSTER INFO", "cluster_state:ok")
    return process


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _until_it_says(process: subprocess.Popen[bytes], path: Path, say: str, hear: str) -> None:
    give_up = time.monotonic() + 20
    while hear not in (heard := _ask(path, say)):
        if process.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError(f"the store program answered {heard!r} to {say}")
        time.sleep(0.01)


def _ask(path: Path, command: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        try:
            connection.connect(str(path))
        except OSError:
            return ""
        connection.sendall(f"{command}\r\n".encode())
        return connection.recv(4096).decode()


class Clock:
    """Milliseconds that pass only when a test says so. Begins at the time of day, because the store
    measures lifetimes of keys by its own clock.
    """

    def __init__(self) -> None:
        self.ms = time.time_ns() // 1_000_000

    def __call__(self) -> str:
        return str(self.ms)

    def advance(self, *, ms: int = 0, **span: float) -> None:
        """Lets time pass; also backwards."""
        self.ms += ms + round(timedelta(**span) / timedelta(milliseconds=1))


class Bench:
    """One store, freshly emptied, and short ways to do with it what servers do."""

    def __init__(self, store: Store, clock: Clock, redis: Any) -> None:
        self.store = store
        self.clock = clock
        self.redis = redis
        self._ids = TaskIds()
        self._polls = 0

    @property
    def home(self) -> int:
        """The partition of the usual queue."""
        return self.store.home(NAMESPACE, QUEUE)

    # ---- producers ------------------------------------------------------------------------------

    async def submit(
        self, *drafts: TaskDraft, namespace: str = NAMESPACE, **options: Any
    ) -> list[Submitted | PenstockError]:
        """Hands in drafts whose queues share a partition, in one call."""
        home = self.store.home(namespace, drafts[0].queue)
        ids = options.pop("ids", None) or ids_from(self._ids.first(home), len(drafts))
        return await self.store.tasks.submit(namespace, drafts, ids, **options)

    async def add(self, **fields: Any) -> str:
        """Submits one task and gives its id."""
        namespace = fields.pop("namespace", NAMESPACE)
        (result,) = await self.submit(draft(**fields), namespace=namespace)
        assert isinstance(result, Submitted), result
        return result.task_id

    async def task(self, task_id: str, namespace: str = NAMESPACE) -> TaskRecord:
        """The task as it is."""
        return await self.store.tasks.get(namespace, task_id)

    async def executions(self, task_id: str) -> list[ExecutionRecord]:
        """Its ended executions that are kept, oldest first."""
        return await self.store.tasks.executions(await self.task(task_id))

    # ---- workers --------------------------------------------------------------------------------

    async def poll(
        self,
        slots: int = 1,
        *,
        namespace: str = NAMESPACE,
        queue: str = QUEUE,
        session: str = "s1",
        types: Sequence[str] = (TYPE,),
        most_bytes: int = 3_500_000,
        seq: int | None = None,
        server: str = SERVER,
    ) -> PollAnswer:
        """Polls once, and gives the whole answer."""
        self._polls += 1
        offer = PollOffer(session, seq or self._polls, slots, most_bytes, tuple(types))
        _, (answer,) = await self.store.leases.lease(namespace, queue, server, [offer])
        return answer

    async def lease_all(self, slots: int = 1, **options: Any) -> list[LeaseRecord]:
        """Leases what there is, up to `slots`."""
        return (await self.poll(slots, **options)).leases

    async def lease(self, **options: Any) -> LeaseRecord:
        """Leases the one task that must be there."""
        (lease,) = await self.lease_all(**options)
        return lease

    async def accept(
        self, lease: LeaseRecord, *, progress: bytes = b"", session: str = "s1"
    ) -> Any:
        """Accepts or renews a lease; None if it is lost."""
        (answer,) = await self.store.leases.renew(session, [(NAMESPACE, token_of(lease), progress)])
        return answer

    async def complete(self, lease: LeaseRecord, report: bytes = b"") -> bool:
        """Reports success."""
        (taken,) = await self.store.leases.complete([(NAMESPACE, token_of(lease), report)])
        return bool(taken)

    async def fail(
        self,
        lease: LeaseRecord,
        outcome: Outcome = Outcome.FAILED,
        *,
        retryable: bool = True,
        kind: str = "Boom",
    ) -> bool:
        """Reports that it did not succeed."""
        told = FailureReport(outcome, retryable, kind, b"", f"{kind}: it went wrong")
        (taken,) = await self.store.leases.fail([(NAMESPACE, token_of(lease), told)])
        return taken

    async def release(self, lease: LeaseRecord, reason: Any) -> bool:
        """Gives a lease back."""
        (taken,) = await self.store.leases.release([(NAMESPACE, token_of(lease), reason, b"")])
        return taken

    async def log(self, lease: LeaseRecord, *lines: tuple[int, bytes]) -> int | None:
        """Writes log lines."""
        (last,) = await self.store.leases.log([(NAMESPACE, token_of(lease), lines)])
        return last

    # ---- duties ---------------------------------------------------------------------------------

    async def reap(self, *, limit: int = 256) -> list[Outcome] | None:
        """Lets the reaper run; what it ended, None if it holds still after a pause."""
        result = await self.store.leases.reap(
            self.home, longest_pause=timedelta(seconds=3), limit=limit
        )
        return None if result is None else [reaped.outcome for reaped in result[0]]

    async def reap_after(self, **span: float) -> list[Outcome]:
        """Lets time pass under a reaper that never pauses; everything that it ended."""
        goal = self.clock.ms + round(timedelta(**span) / timedelta(milliseconds=1))
        ended = await self.reap() or []
        while self.clock.ms < goal:
            self.clock.advance(ms=min(2_000, goal - self.clock.ms))
            ended += await self.reap() or []
        return ended

    async def promote(self, *, limit: int = 256) -> int:
        """Lets the promoter run; how many tasks it moved."""
        return (await self.store.queues.promote(self.home, limit))[0]

    async def sweep(self, *, limit: int = 256) -> int:
        """Lets the sweeper run to its end; how many tasks it cancelled."""
        swept, more = 0, True
        while more:
            count, more = await self.store.queues.sweep(self.home, limit)
            swept += count
        return swept

    async def prune(self, *, limit: int = 256) -> int:
        """Lets the pruner run; how many records it let go."""
        return (await self.store.queues.prune(self.home, limit))[0]

    # ---- what is there --------------------------------------------------------------------------

    async def events(self) -> list[EventRecord]:
        """Every event of the usual queue's partition that is kept."""
        packed = await self.redis.xrange(f"{{p{self.home}}}:events")
        return [event for _, fields in packed for event in decode.events(fields[b"d"])]

    async def dump(self, *, without: Sequence[str] = ()) -> dict[str, Any]:
        """Everything that is kept, key by key, but for kinds that a test leaves out."""
        found: dict[str, Any] = {}
        async for key in self.redis.scan_iter(count=1000):
            name = key.decode()
            if name.split(":")[1] not in without:
                found[name] = (await self.redis.dump(key), await self.redis.pexpiretime(key))
        return found


def draft(
    queue: str = QUEUE,
    task_type: str = TYPE,
    *,
    key: str = "",
    window_ms: int = 60_000,
    conflict: int = 0,
    policy: dict[str, Any] | None = None,
    spec: bytes = b"spec",
    **fields: Any,
) -> TaskDraft:
    """A draft with as much as a test cares for."""
    idempotency = IdempotencyKey(key, window_ms, conflict, spec[:16]) if key else None
    if policy is not None:
        fields["policy"] = Policy(**{"jitter": 0.0, **policy})
    return TaskDraft(queue, task_type, spec, idempotency=idempotency, **fields)


def token_of(lease: LeaseRecord) -> LeaseToken:
    """The token that proves a lease."""
    return LeaseToken(lease.task_id, lease.kind.fence, lease.random)


@asynccontextmanager
async def open_bench(
    program: StoreProgram, *, limits: StoreLimits | None = None
) -> AsyncIterator[Bench]:
    """A bench over a store that was just emptied."""
    clock = Clock()
    redis = Redis.from_url(program.url, protocol=2)
    try:
        await redis.flushall()
        store = await open_store(
            program.url,
            partitions=program.kind.partitions,
            limits=limits,
            clock=clock,
            random_share=lambda: 0.5,
        )
        try:
            yield Bench(store, clock, redis)
        finally:
            await store.close()
    finally:
        await redis.aclose()
