"""A small history in which every promise was kept, and ways to spoil it."""

from __future__ import annotations

from dataclasses import replace

from robustness.checker import check
from robustness.history import (
    OK,
    REFUSED,
    Call,
    Event,
    Fault,
    History,
    Leased,
    Line,
    Mark,
    Opened,
    Report,
    Standing,
)

from penstock_server.model.lifecycle import EventKind, Outcome, TaskState

WATCH = "watch-0#1"
WORKER, RUNNER = 100, 101
RAW = "session-raw"


def clean() -> History:
    """Task `a`: lost by a killed worker, then done by another. `b`: cancelled while it waited.
    `c`: done by the hand-made worker, which then reports again with its old token.
    """
    history = History(notes={"slots": 2, "peace": 100.0, "all ended": 101.0})
    for subject, task, key in (("m.a", "a", "k"), ("m.b", "b", ""), ("m.c", "c", "")):
        history.add(submit(subject, task, key=key))
    history.add(call("cancel", "b", 2.0, state=int(TaskState.CANCELLED)))
    for event in events():
        history.add(event)
        history.add(replace(event, watch=WATCH))
    history.add(Opened(watch=WATCH, at=0.5))
    for mark in marks():
        history.add(mark)
    history.add(Leased(session=RAW, task="c", execution=1, fence=7, at=3.0))
    history.add(report("accept", 3.1))
    history.add(report("complete", 3.2))
    history.add(report("heartbeat", 5.0, outcome=REFUSED, stale=True))
    history.add(
        Fault(
            name="kill-worker",
            target="worker-1",
            began=2.5,
            ended=3.0,
            workers=[WORKER],
            runners=[RUNNER],
        )
    )
    for number in (1, 2):
        history.add(Line(tail="t", task="a", execution=2, number=number))
    history.add(Line(tail="t", task="a", execution=0, number=2, end=True))
    for standing in standings():
        history.add(standing)
    return history


def events() -> list[Event]:
    """What the store has of it, in its order."""
    kind, outcome, state = EventKind, Outcome, TaskState
    return [
        event("a", kind.SUBMITTED, 1, state.READY, 1.0),
        event("b", kind.SUBMITTED, 1, state.READY, 1.1),
        event("c", kind.SUBMITTED, 1, state.READY, 1.2, queue="raw"),
        event("a", kind.LEASED, 2, state.RUNNING, 2.0, 1, session="s1"),
        event("b", kind.CANCELLED, 2, state.CANCELLED, 2.05),
        event("c", kind.LEASED, 2, state.RUNNING, 3.0, 1, session=RAW, queue="raw"),
        event("c", kind.SUCCEEDED, 3, state.SUCCEEDED, 3.21, 1, outcome.SUCCEEDED, session=RAW),
        event("a", kind.RETRY_SCHEDULED, 3, state.READY, 8.0, 1, outcome.LOST, session="s1"),
        event("a", kind.LEASED, 4, state.RUNNING, 8.1, 2, session="s2"),
        event("a", kind.SUCCEEDED, 5, state.SUCCEEDED, 9.0, 2, outcome.SUCCEEDED, session="s2"),
    ]


def event(
    task: str,
    kind: EventKind,
    sequence: int,
    state: TaskState,
    at: float,
    execution: int = 0,
    outcome: int = 0,
    *,
    session: str = "",
    queue: str = "alpha",
    attempt: int = 0,
) -> Event:
    """One change."""
    return Event(
        task=task,
        kind=int(kind),
        sequence=sequence,
        state=int(state),
        execution=execution,
        outcome=int(outcome),
        attempt=attempt,
        at=at,
        queue=queue,
        session=session,
    )


def marks() -> list[Mark]:
    """What the handlers of task `a` wrote."""
    return [
        mark("start", 1, 5, 2.1, WORKER, RUNNER),
        mark("start", 2, 6, 8.2, 200, 201),
        mark("end", 2, 6, 8.9, 200, 201, lines=2),
    ]


def mark(
    phase: str, execution: int, fence: int, at: float, worker: int, pid: int, *, lines: int = 0
) -> Mark:
    """One line of a handler."""
    return Mark(
        phase=phase,
        task="a",
        execution=execution,
        fence=fence,
        attempt=1,
        worker=worker,
        pid=pid,
        at=at,
        lines=lines,
    )


def standings() -> list[Standing]:
    """What the service told in the end."""
    return [
        Standing(
            task="a",
            state=5,
            marker="m.a",
            executions=2,
            result_execution=2,
            result_fence=6,
            kept=[[1, 6, 5], [2, 1, 6]],
            lines=[[2, 2]],
        ),
        Standing(task="b", state=7, marker="m.b"),
        Standing(task="c", state=5, marker="m.c", executions=1, kept=[[1, 1, 7]]),
    ]


def call(op: str, subject: str, at: float, **facts: object) -> Call:
    """One call that took 50 ms and was answered."""
    given: dict[str, object] = {"client": "c1", "outcome": OK} | facts
    return Call(op=op, subject=subject, invoked=at, returned=at + 0.05, **given)  # type: ignore[arg-type]


def submit(subject: str, task: str, at: float = 1.0, **facts: object) -> Call:
    """A submit that was acknowledged."""
    return call("submit", subject, at, task=task, **facts)


def report(what: str, at: float, *, outcome: str = OK, stale: bool = False) -> Report:
    """A report of the hand-made worker on task `c`."""
    return Report(
        session=RAW,
        task="c",
        execution=1,
        what=what,
        invoked=at,
        returned=at + 0.01,
        outcome=outcome,
        stale=stale,
    )


def broken(history: History) -> set[str]:
    """The rules that are broken and not forgiven."""
    return {violation.rule for violation in check(history).violations}


def forgiven(history: History) -> set[str]:
    """The rules that were broken by what P1 allows."""
    return {violation.rule for violation in check(history).forgiven}
