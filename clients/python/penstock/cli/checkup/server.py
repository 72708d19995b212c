"""Checks that ask the server: does it serve, are queues served, do workers live."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final, cast

import grpc

from penstock.cli import pages, queue_view, show, text
from penstock.cli.checkup.findings import Finding, fail, ok, warn
from penstock.cli.exits import CommandFailed
from penstock.cli.failures import from_error
from penstock.cli.rpc import Server, connected
from penstock.cli.session import Session
from penstock.errors import PenstockError
from penstock.v1.queue_pb2 import Queue
from penstock.v1.worker_pb2 import Worker, WorkerHealth

_HEALTH: Final = "/grpc.health.v1.Health/Check"
_HEALTH_WORDS: Final = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_SLOW: Final = timedelta(milliseconds=250)
_SKEW: Final = timedelta(seconds=5)


def check(session: Session) -> Iterator[Finding]:
    """All checks of the server; without an answer, only that."""
    try:
        with connected(session) as server:
            yield _health(session, server)
            queues = pages.all_queues(server, session.namespace)
            workers = pages.all_workers(server, session.namespace)
    except PenstockError as error:
        problem = from_error(error)
        yield fail("server", f"{problem.what} ({problem.reason})", problem.remedy)
        return
    except CommandFailed as error:
        yield fail("server", error.what, error.remedy)
        return
    yield from _queues(session, queues)
    yield _dead_letters(queues)
    yield from _workers(session, workers)
    skew = _skew(session, workers)
    if skew is not None:
        yield skew


def _health(session: Session, server: Server) -> Finding:
    """The standard health check, spelled by hand: two bytes are not worth a dependency."""
    call = server.channel.unary_unary(_HEALTH, _as_is, _as_is)
    began = time.monotonic()
    try:
        answer = cast(bytes, call(b""))
    except grpc.RpcError as error:
        if cast(Any, error).code() is not grpc.StatusCode.UNIMPLEMENTED:
            raise
        return warn(
            "server",
            f"{session.address} answers, but has no health service",
            "is it a Penstock server?",
        )
    took = timedelta(seconds=time.monotonic() - began)
    status = _HEALTH_WORDS.get(answer[1] if len(answer) == 2 else 0, "UNKNOWN")
    if status != "SERVING":
        return fail(
            "server",
            f"{session.address} is {status}",
            "it drains, or its store is away: read its log",
        )
    if took > _SLOW:
        return warn(
            "server",
            f"{session.address} serves, but took {text.span(took)} to say so",
            "look at its load, and at the network",
        )
    return ok("server", f"{session.address} serves, answered in {text.span(took)}")


def _as_is(data: bytes) -> bytes:
    return data


def _queues(session: Session, queues: list[Queue]) -> Iterator[Finding]:
    sick = [queue for queue in queues if queue_view.health(queue) != "HEALTHY"]
    for queue in sick:
        verdict = queue_view.health(queue)
        found = f"{queue.queue} is {verdict}: {queue.health_reason.removeprefix('paused: ')}"
        if verdict == "PAUSED":
            yield warn("queue", found, f"`penstock queues resume {queue.queue}` opens it again")
        else:
            yield fail("queue", found, "start a worker for it: `penstock worker module:worker`")
    if not sick:
        known = text.count(len(queues), "queue")
        yield ok("queues", f"{known} in namespace {session.namespace}, all served or empty")


def _dead_letters(queues: list[Queue]) -> Finding:
    dead = {queue.queue: queue.stats.dead_count for queue in queues if queue.stats.dead_count}
    if not dead:
        return ok("dead letters", "none")
    worst = max(dead, key=lambda name: dead[name])
    total = text.count(sum(dead.values()), "dead letter")
    where = f"in {text.count(len(dead), 'queue')}, most in {worst}"
    return warn("dead letters", f"{total} {where}", f"`penstock queues show {worst}` shows why")


def _workers(session: Session, workers: list[Worker]) -> Iterator[Finding]:
    if not workers:
        yield warn("workers", "none is connected", "`penstock worker module:worker` starts one")
        return
    sick = [worker for worker in workers if worker.health != WorkerHealth.WORKER_HEALTH_HEALTHY]
    for worker in sick:
        seen = text.age(show.moment(worker, "last_seen_time"), now=session.now())
        name = worker.session.display_name or worker.session.session_id
        health = show.word(WorkerHealth, worker.health)
        found = f"{name} is {health}, last heard of {seen}: {worker.health_reason}"
        remedy = "look at its process and at the network between; its leases run out by themselves"
        yield warn("worker", found, remedy)
    well = len(workers) - len(sick)
    if well:
        slots = sum(worker.session.slots for worker in workers if worker not in sick)
        yield ok("workers", f"{text.count(well, 'worker')} healthy, {slots:,} slots")


def _skew(session: Session, workers: list[Worker]) -> Finding | None:
    """A worker heard of in our future shows that the clocks differ.

    The store's own clock tells more.
    """
    seen = [moment for worker in workers if (moment := show.moment(worker, "last_seen_time"))]
    ahead = max(seen) - session.now() if seen else timedelta()
    if ahead <= _SKEW:
        return None
    found = f"the store's clock is at least {text.span(ahead)} ahead of this machine's"
    return warn(
        "clock", found, "synchronise both, e.g. with NTP; times shown here are wrong by that much"
    )
