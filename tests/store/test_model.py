"""The lease protocol against a small model of it: whatever is done in whatever order, both say the
same, and no set disagrees with a task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from penstock_server.model.errors import TaskNotFound, TaskStateConflict
from penstock_server.model.lifecycle import Outcome, ReleaseReason
from penstock_server.model.lifecycle import TaskState as S
from penstock_server.model.records import LeaseRecord
from support.invariants import check_invariants
from support.lease_model import Task
from support.stores import KINDS, NAMESPACE, QUEUE, Bench, StoreProgram, open_bench, store_program

BY_OPERATOR = "operator"
WAITING = (S.READY, S.SCHEDULED)
TYPES, SESSIONS = ("work", "other"), ("s1", "s2")


class LeaseProtocol(RuleBasedStateMachine):
    """Does the same to a store and to the model."""

    program: StoreProgram
    tasks_ = Bundle("tasks")
    leases_ = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.bench: Bench = self.do(self.stack.enter_async_context(open_bench(self.program)))
        self.tasks: dict[str, Task] = {}
        self.polled: dict[str, int] = {}
        self.do(self.bench.reap())

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    @property
    def now(self) -> int:
        return self.bench.clock.ms

    def teardown(self) -> None:
        try:
            self.do(check_invariants(self.bench.store))
        finally:
            self.do(self.stack.aclose())
            self.runner.close()

    # ---- producers and workers ------------------------------------------------------------------

    @rule(
        target=tasks_,
        task_type=st.sampled_from(TYPES),
        priority=st.sampled_from([3, 5, 9]),
        delay=st.sampled_from([0, 0, 0, 5_000]),
    )
    def submit(self, task_type: str, priority: int, delay: int) -> str:
        task_id: str = self.do(
            self.bench.add(task_type=task_type, priority=priority, delay_ms=delay, policy={})
        )
        state = S.SCHEDULED if delay else S.READY
        self.tasks[task_id] = Task(task_id, task_type, priority, self.now + delay, state)
        return task_id

    @rule(
        target=leases_,
        slots=st.integers(1, 4),
        session=st.sampled_from(SESSIONS),
        types=st.sampled_from([TYPES[:1], TYPES[1:], TYPES]),
    )
    def lease(self, slots: int, session: str, types: tuple[str, ...]) -> Any:
        ready = [
            task
            for task in self.tasks.values()
            if task.state is S.READY and not task.purged and task.task_type in types
        ]
        expected = sorted(ready, key=lambda t: (-t.priority, t.due, t.task_id))[:slots]

        leases: list[LeaseRecord] = self.do(
            self.bench.lease_all(slots, session=session, types=types)
        )

        assert [lease.task_id for lease in leases] == [task.task_id for task in expected]
        self.polled[session] = self.now
        for task, lease in zip(expected, leases, strict=True):
            task.leased_by(session, lease.random, lease.kind.fence, self.now)
            assert (lease.kind.execution, lease.kind.attempt) == (task.executions, task.attempt + 1)
        return multiple(*leases)

    def _proof(self, lease: LeaseRecord, outcome: Outcome | None) -> tuple[Task | None, bool]:
        """The task if the lease lasts; else whether the report repeats how it ended."""
        task = self.tasks.get(lease.task_id)
        if task is None or task.token != lease.random:
            return None, False
        if task.state is S.RUNNING:
            return task, True
        return None, outcome is not None and task.ended_as is outcome

    @rule(lease=leases_)
    def accept(self, lease: LeaseRecord) -> None:
        task, _ = self._proof(lease, None)

        answer = self.do(self.bench.accept(lease, session="s1"))

        self.polled["s1"] = self.now
        assert (answer is not None) == (task is not None)
        if task is not None:
            task.renewed(self.now)
            assert answer.cancel_requested == (task.cancel_by is not None)

    @rule(lease=leases_)
    def complete(self, lease: LeaseRecord) -> None:
        task, expected = self._proof(lease, Outcome.SUCCEEDED)
        assert self.do(self.bench.complete(lease)) == expected
        if task is not None:
            task.over(Outcome.SUCCEEDED)
            task.end(S.SUCCEEDED)

    @rule(lease=leases_, outcome=st.sampled_from([Outcome.FAILED, Outcome.CRASHED]))
    def fail(self, lease: LeaseRecord, outcome: Outcome) -> None:
        task, expected = self._proof(lease, outcome)
        assert self.do(self.bench.fail(lease, outcome)) == expected
        if task is not None:
            task.did_not_succeed(outcome, self.now)

    @rule(lease=leases_)
    def release(self, lease: LeaseRecord) -> None:
        task, expected = self._proof(lease, Outcome.RELEASED)
        assert self.do(self.bench.release(lease, ReleaseReason.SHUTDOWN)) == expected
        if task is not None:
            task.given_back(self.now)

    # ---- operators ------------------------------------------------------------------------------

    def _act(self, task_id: str, allowed: Any, work: Coroutine[Any, Any, Any]) -> Task | None:
        """Does something that only some states allow; the task if it was done."""
        task = self.tasks.get(task_id)
        if task is None:
            with pytest.raises(TaskNotFound):
                self.do(work)
        elif not allowed(task):
            with pytest.raises(TaskStateConflict):
                self.do(work)
        else:
            self.do(work)
            return task
        return None

    @rule(task_id=tasks_)
    def cancel(self, task_id: str) -> None:
        work = self.bench.store.tasks.cancel(NAMESPACE, task_id)
        allowed = (S.RUNNING, S.CANCELLED, *WAITING)
        task = self._act(task_id, lambda task: task.state in allowed, work)
        if task is not None:
            task.cancel_asked(self.now)

    @rule(task_id=tasks_, state=st.sampled_from([S.SUCCEEDED, S.FAILED]))
    def finish(self, task_id: str, state: S) -> None:
        def allowed(task: Task) -> bool:
            again = task.state is state and task.ended_as == BY_OPERATOR
            return again or not task.state.ended

        work = self.bench.store.tasks.finish(NAMESPACE, task_id, state, b"")
        task = self._act(task_id, allowed, work)
        if task is not None and not task.state.ended:
            task.over(BY_OPERATOR)
            task.executions += 1
            task.token = None
            task.end(state)

    @rule(task_id=tasks_)
    def retry(self, task_id: str) -> None:
        work = self.bench.store.tasks.retry(NAMESPACE, task_id, request_id="", draft=None)
        task = self._act(
            task_id,
            lambda t: t.state.ended or (t.state is S.SCHEDULED and not t.purged),
            work,
        )
        if task is not None:
            if task.state.ended:
                task.token = task.ended_as = None
            task.state, task.due, task.releases = S.READY, self.now, 0
            task.forgiven = (task.attempt, task.crashes)

    @rule(task_id=tasks_)
    def delete(self, task_id: str) -> None:
        work = self.bench.store.tasks.delete(NAMESPACE, task_id)
        if self._act(task_id, lambda task: task.state.ended, work) is not None:
            del self.tasks[task_id]

    @rule()
    def purge(self) -> None:
        waiting = [t for t in self.tasks.values() if t.state in WAITING and not t.purged]
        if self.tasks:
            assert self.do(self.bench.store.queues.purge(NAMESPACE, QUEUE)) == len(waiting)
        for task in waiting:
            task.purged = True

    # ---- time -----------------------------------------------------------------------------------

    @rule()
    def sweep(self) -> None:
        self.do(self.bench.sweep())
        for task in self.tasks.values():
            if task.purged:
                task.end(S.CANCELLED)

    @rule(seconds=st.sampled_from([1, 2, 9, 61]))
    def advance(self, seconds: int) -> None:
        for _ in range(0, seconds, 2):
            self.bench.clock.advance(seconds=min(2, seconds))
            self._reap()
            self.do(self.bench.promote())
            for task in self.tasks.values():
                if task.state is S.SCHEDULED and task.due <= self.now and not task.purged:
                    task.state = S.READY

    def _reap(self) -> None:
        late = [t for t in self.tasks.values() if t.state is S.RUNNING and t.timer <= self.now]
        expected = []
        for task in late:
            lives = self.polled.get(task.session, 0) > task.leased
            task.ran_out(self.now, session_lives=lives)
            expected.append(task.ended_as)
        found = self.do(self.bench.reap())
        assert sorted(found) == sorted(expected)

    @invariant()
    def both_say_the_same(self) -> None:
        records = self.do(self.bench.store.tasks.read(NAMESPACE, list(self.tasks)))
        for task, record in zip(self.tasks.values(), records, strict=True):
            assert record is not None
            found = (record.state, record.attempt, record.crashes, record.releases)
            assert (*found, record.executions) == task.facts


@pytest.fixture(scope="module", params=[KINDS[0], KINDS[2]], ids=str)
def program(request: pytest.FixtureRequest) -> Iterator[StoreProgram]:
    with store_program(request.param) as program:
        yield program


def test_the_store_does_what_the_model_does(program: StoreProgram):
    LeaseProtocol.program = program
    run_state_machine_as_test(
        LeaseProtocol,
        settings=settings(
            max_examples=25,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
