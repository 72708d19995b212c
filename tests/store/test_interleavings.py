"""Every order of up to eight steps of two sessions and one task: the scripts agree with the model.

Orders that lead to the same state of the model and of the store go on as one, so that all of them
are covered without each being walked.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

import pytest

from penstock_server.model.errors import TaskStateConflict
from penstock_server.model.lifecycle import Outcome, ReleaseReason
from penstock_server.model.lifecycle import TaskState as S
from penstock_server.model.records import LeaseRecord
from penstock_server.store import decode
from support.invariants import check_invariants
from support.lease_model import Task
from support.stores import KINDS, NAMESPACE, TYPE, Bench, StoreProgram, open_bench, store_program

DEPTH: Final = 8
SESSIONS: Final = ("a", "b")
REPORTS: Final = {
    "complete": Outcome.SUCCEEDED,
    "fail": Outcome.FAILED,
    "release": Outcome.RELEASED,
}

Step = tuple[str, str]
"""What is done, and by which session if by one."""

STEPS: Final[tuple[Step, ...]] = (
    *((verb, session) for session in SESSIONS for verb in ("lease", "accept", *REPORTS)),
    ("cancel", ""),
    ("wait", ""),
)

Kept = dict[bytes, tuple[bytes, int]]


@dataclass
class Place:
    """Where some order of steps has led."""

    task: Task
    leases: dict[str, LeaseRecord]
    """The latest lease of each session, valid or stale."""
    polled: dict[str, int]
    now: int
    kept: Kept
    steps: tuple[Step, ...] = ()


class Walk:
    """Takes steps in a store and in the model."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.taken = 0

    async def begin(self) -> Place:
        await self.bench.reap()
        now = self.bench.clock.ms
        task_id = await self.bench.add(policy={})
        task = Task(task_id, TYPE, 5, now, S.READY)
        return Place(task, {}, {}, now, await self.look())

    async def look(self) -> Kept:
        """Everything that the store keeps."""
        names = await self.bench.redis.keys("*")
        pipe = self.bench.redis.pipeline(transaction=False)
        for name in names:
            pipe.dump(name).pexpiretime(name)
        found = await pipe.execute()
        return dict(zip(names, zip(found[::2], found[1::2], strict=True), strict=True))

    async def step(self, before: Place, step: Step) -> Place:
        """Takes a step from a place, and holds that store and model agree on it."""
        pipe = self.bench.redis.pipeline(transaction=False)
        pipe.flushall()
        for name, (value, until) in before.kept.items():
            pipe.restore(name, max(until, 0), value, absttl=True)
        await pipe.execute()
        self.bench.clock.ms = before.now + 1
        task, leases, polled = deepcopy((before.task, before.leases, before.polled))
        after = Place(task, leases, polled, before.now + 1, {}, (*before.steps, step))
        verb, session = step
        if verb in REPORTS:
            changes = await self._report(after, verb, session)
        else:
            changes = await getattr(self, f"_{verb}")(after, session)
        after.now = self.bench.clock.ms
        after.kept = await self.look()
        if not changes:
            assert _without_polls(after.kept) == _without_polls(before.kept), after.steps
        await self._agree(after)
        self.taken += 1
        return after

    async def _lease(self, at: Place, session: str) -> bool:
        expected = at.task.state is S.READY
        found = await self.bench.lease_all(session=session)
        at.polled[session] = at.now
        assert len(found) == expected, at.steps
        for lease in found:
            at.task.leased_by(session, lease.random, lease.kind.fence, at.now)
            at.leases[session] = lease
        return expected

    async def _accept(self, at: Place, session: str) -> bool:
        lease = at.leases[session]
        valid = at.task.state is S.RUNNING and at.task.token == lease.random
        answer = await self.bench.accept(lease, session=session)
        at.polled[session] = at.now
        assert (answer is not None) == valid, at.steps
        if valid:
            at.task.renewed(at.now)
            assert answer.cancel_requested == (at.task.cancel_by is not None), at.steps
        return valid

    async def _report(self, at: Place, verb: str, session: str) -> bool:
        task, lease, outcome = at.task, at.leases[session], REPORTS[verb]
        own = task.token == lease.random
        valid = own and task.state is S.RUNNING
        if verb == "complete":
            taken = await self.bench.complete(lease)
        elif verb == "fail":
            taken = await self.bench.fail(lease)
        else:
            taken = await self.bench.release(lease, ReleaseReason.SHUTDOWN)
        assert taken == (valid or (own and task.ended_as is outcome)), at.steps
        if valid and verb == "complete":
            task.over(outcome)
            task.end(S.SUCCEEDED)
        elif valid and verb == "fail":
            task.did_not_succeed(outcome, at.now)
        elif valid:
            task.given_back(at.now)
        return valid

    async def _cancel(self, at: Place, _: str) -> bool:
        work = self.bench.store.tasks.cancel(NAMESPACE, at.task.task_id)
        if at.task.state in (S.SUCCEEDED, S.FAILED):
            with pytest.raises(TaskStateConflict):
                await work
            return False
        await work
        at.task.cancel_asked(at.now)
        return True

    async def _wait(self, at: Place, _: str) -> bool:
        """Until the lease runs out, or the task is due."""
        task, clock = at.task, self.bench.clock
        goal = {S.RUNNING: task.timer, S.SCHEDULED: task.due}.get(task.state, at.now)
        ended: list[Any] = await self.bench.reap_after(milliseconds=goal - at.now)
        ended += await self.bench.reap() or []
        await self.bench.promote()
        expected = []
        if task.state is S.RUNNING:
            lives = at.polled[task.session] > task.leased
            task.ran_out(clock.ms, session_lives=lives)
            expected = [task.ended_as]
        elif task.state is S.SCHEDULED:
            task.state = S.READY
        assert ended == expected, at.steps
        return True

    async def _agree(self, at: Place) -> None:
        record = await self.bench.task(at.task.task_id)
        found = (record.state, record.attempt, record.crashes, record.releases, record.executions)
        assert found == at.task.facts, at.steps
        name = f"{{p{self.bench.home}}}:leases:{NAMESPACE}:q"
        running = await self.bench.redis.zrange(name, 0, -1, withscores=True)
        timers = [at.task.timer] if at.task.state is S.RUNNING else []
        assert [int(timer) for _, timer in running] == timers, at.steps

    async def print_of(self, at: Place) -> Any:
        """Equal for places from which everything goes on alike, but for the time of day."""
        task = at.task
        name = f"{{p{self.bench.home}}}:task:{NAMESPACE}:{task.task_id}"
        record = decode.fields_of(await self.bench.redis.get(name))
        fields = {
            # Tokens and fences are told by whose they are; event numbers only rise.
            key: "time" if isinstance(value, int) and value >= 10**12 else value
            for key, value in record.items()
            if key not in (b"t", b"f", b"sq")
        }
        timer = {S.RUNNING: task.timer, S.SCHEDULED: task.due}.get(task.state, at.now)
        return (
            task.facts,
            task.ended_as,
            task.session,
            task.accepted,
            # To the second: each step takes a millisecond.
            round((timer - at.now) / 1000),
            task.cancel_by is not None,
            tuple(
                (
                    session in at.leases,
                    session in at.leases and at.leases[session].random == task.token,
                    at.polled.get(session, 0) > task.leased,
                )
                for session in SESSIONS
            ),
            frozenset(fields.items()),
            frozenset(_without_polls(at.kept)),
        )


def _without_polls(kept: Kept) -> Kept:
    """All but what tells that a worker polls: its last poll, and the servers where it waits."""
    return {name: kept[name] for name in kept if name.split(b":")[1] not in (b"poll", b"waiters")}


def _steps(at: Place) -> list[Step]:
    """Those that can be tried: nobody reports without ever having had a lease, and the session that
    has the first one is called a, as the two are alike.
    """
    return [
        (verb, session)
        for verb, session in STEPS
        if session in ("", *at.leases) or (verb == "lease" and (session == "a" or at.leases))
    ]


@pytest.fixture(scope="module", params=[KINDS[0], KINDS[2]], ids=str)
def program(request: pytest.FixtureRequest) -> Iterator[StoreProgram]:
    with store_program(request.param) as program:
        yield program


@pytest.mark.timeout(300)  # half a minute on a machine that has nothing else to do
@pytest.mark.parametrize(
    "first", [("lease", "a"), ("cancel", ""), ("wait", "")], ids=lambda step: step[0]
)
async def test_every_order_of_steps_ends_as_the_model_says(program: StoreProgram, first: Step):
    async with open_bench(program) as bench:
        walk = Walk(bench)
        places = [await walk.step(await walk.begin(), first)]
        seen = {await walk.print_of(places[0])}
        for _ in range(DEPTH - 1):
            found: list[Place] = []
            for place in places:
                for step in _steps(place):
                    after = await walk.step(place, step)
                    mark = await walk.print_of(after)
                    if mark not in seen:
                        seen.add(mark)
                        found.append(after)
                        await check_invariants(bench.store)
            places = found
        print(f"{first}: {len(seen)} states, {walk.taken} steps")
        assert walk.taken > len(seen)
        assert not places or len(places[0].steps) == DEPTH
