"""The verdict on tasks that went through kills: each kind of violation is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from robustness.kills.verdict import Verdict, verdict

from penstock_server.model.lifecycle import EventKind, Outcome, TaskState
from penstock_server.model.records import EventRecord, ExecutionRecord, TaskRecord


def event(kind: EventKind, number: int, outcome: Outcome | None = None) -> EventRecord:
    names = ("default", "alpha", "t", 0, "a")
    return EventRecord(*names, kind, 1, TaskState.RUNNING, number, outcome)


@dataclass
class Scene:
    """One task that was lost by its first worker and done by its second."""

    ids: dict[int, list[str]] = field(default_factory=lambda: {0: ["a"]})
    state: TaskState = TaskState.SUCCEEDED
    attempt: int = 0
    by: int = 2
    fence: int = 20
    there: bool = True
    events: list[EventRecord] = field(
        default_factory=lambda: [
            event(EventKind.SUBMITTED, 0),
            event(EventKind.LEASED, 1),
            event(EventKind.RETRY_SCHEDULED, 1, Outcome.LOST),
            event(EventKind.LEASED, 2),
            event(EventKind.SUCCEEDED, 2, Outcome.SUCCEEDED),
        ]
    )
    marks: dict[int, set[int]] = field(default_factory=lambda: {1: {10}, 2: {20}})

    def judge(self) -> Verdict:
        last = ExecutionRecord(self.by, Outcome.SUCCEEDED, 0, 0, "s", 1, self.fence)
        record = TaskRecord(
            *("default", "a", self.state, "alpha", "t", 5, 0, 0, 0),
            attempt=self.attempt,
            executions=2,
            last_execution=last,
        )
        records = {"a": record} if self.there else {}
        return verdict(1, self.ids, records, {"a": self.events}, {"a": self.marks})


def test_a_task_that_was_lost_once_and_done_holds():
    found = Scene().judge()

    assert found.holds
    assert (found.tasks, found.executions, found.ran_twice) == (1, 2, 1)


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lambda scene: setattr(scene, "there", False), "lost"),
        (lambda scene: setattr(scene, "by", 1), "stale_accepted"),
        (lambda scene: setattr(scene, "fence", 10), "stale_accepted"),
        (lambda scene: scene.events.pop(3), "stale_accepted"),
        (lambda scene: scene.events.pop(2), "other"),
        (lambda scene: setattr(scene, "state", TaskState.FAILED), "other"),
        (lambda scene: setattr(scene, "attempt", 1), "other"),
        (lambda scene: scene.ids.update({1: ["a"]}), "other"),
        (lambda scene: scene.ids.clear(), "other"),
    ],
    ids=[
        *("gone", "an earlier execution", "an earlier fence", "ended without a lease"),
        *("two leases at once", "dead", "kills counted", "one id twice", "never acknowledged"),
    ],
)
def test_each_violation_is_found(spoil: Callable[[Scene], object], kind: str):
    scene = Scene()
    spoil(scene)

    found = scene.judge()

    assert not found.holds
    assert getattr(found, kind)
