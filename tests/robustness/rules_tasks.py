"""Rules about tasks: none lost, none made twice, each ended, each life in order."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from penstock_server.model.lifecycle import EventKind, Outcome
from robustness.facts import ENDINGS, TOLERANCE, Facts, Findings, Violation, ended
from robustness.history import OK, REFUSED, Event

EXPECTED: Final = {
    "submit": {"BACKLOG_FULL", "STORE_FULL", "BATCH_ABORTED"},
    "run": {"BACKLOG_FULL", "STORE_FULL"},
    "cancel": {"TASK_STATE_CONFLICT"},
    "retry": {"TASK_STATE_CONFLICT", "BACKLOG_FULL", "STORE_FULL"},
    "update": {"TASK_STATE_CONFLICT"},
    "end": {"TASK_STATE_CONFLICT"},
    "pause": set[str](),
    "resume": {"QUEUE_NOT_FOUND"},
}
"""Operation → reasons for which it may be refused."""


def nothing_lost(facts: Facts) -> Findings:
    """P1: what was acknowledged is there, but for what the store may lose when it crashes."""
    for task, returned in facts.submits:
        final = facts.finals.get(task)
        if final is None or final.state == 0:
            yield Violation(
                rule="lost",
                subject=task,
                text=f"acknowledged at {returned:.3f} and not there in the end",
                forgiven=facts.may_be_lost(returned),
            )


def nothing_made_twice(facts: Facts) -> Findings:
    """P4: one submit makes one task, also when it was repeated; one key gives one task."""
    by_marker: dict[str, set[str]] = defaultdict(set)
    for final in facts.history.finals:
        if final.marker:
            by_marker[final.marker].add(final.task)
    for marker, tasks in by_marker.items():
        if len(tasks) > 1:
            yield Violation(
                rule="made twice",
                subject=marker,
                text=f"one submit made {sorted(tasks)}",
                forgiven=bool(tasks & facts.shaken) or marker in facts.shaken,
            )
    by_key: dict[str, set[str]] = defaultdict(set)
    for call in facts.history.calls:
        if call.key and call.outcome == OK:
            by_key[call.key].add(call.task)
    for key, tasks in by_key.items():
        if len(tasks) > 1:
            yield Violation(
                rule="key",
                subject=key,
                text=f"one key was answered with {sorted(tasks)}",
                forgiven=bool(tasks & facts.shaken),
            )


def whole_batches(facts: Facts) -> Findings:
    """P10: of an all-or-none batch all is there, or nothing."""
    present = {final.marker for final in facts.history.finals if final.state}
    batches: dict[str, list[str]] = defaultdict(list)
    for call in facts.history.calls:
        if call.batch:
            batches[call.batch].append(call.subject)
    for batch, markers in batches.items():
        there = [marker for marker in markers if marker in present]
        if there and len(there) < len(markers):
            yield Violation(
                rule="batch",
                subject=batch,
                text=f"{len(there)} of {len(markers)} are there",
                forgiven=any(marker in facts.shaken for marker in markers),
            )


def everything_ends(facts: Facts) -> Findings:
    """Once the faults have stopped, every task ends."""
    for final in facts.history.finals:
        if final.state and not ended(final.state):
            yield Violation(rule="never ended", subject=final.task, text=f"state {final.state}")


def lives_in_order(facts: Facts) -> Findings:
    """P2: no two leases of a task overlap; its changes are numbered without a gap."""
    for task, events in facts.by_task.items():
        for text in _life(events):
            yield facts.found("life", task, text)


def _life(events: list[Event]) -> list[str]:
    wrong: list[str] = []
    holder, last, sequence = 0, 0, 0
    for event in events:
        if event.kind != EventKind.DELETED and event.sequence != sequence + 1:
            wrong.append(f"change {event.sequence} follows on {sequence}")
        sequence = event.sequence
        if event.kind == EventKind.LEASED:
            if holder:
                wrong.append(f"execution {event.execution} was leased while {holder} was")
            if event.execution <= last:
                wrong.append(f"execution {event.execution} was leased after {last}")
            holder = last = event.execution
        elif event.kind in ENDINGS:
            if event.execution and event.execution != holder:
                wrong.append(f"execution {event.execution} ended while {holder} had the lease")
            holder = 0
        elif event.kind == EventKind.PROGRESSED and event.execution != holder:
            wrong.append(f"execution {event.execution} progressed while {holder} had the lease")
    return wrong


def attempts_are_counted_right(facts: Facts) -> Findings:
    """P6: only what the handler did wrong counts as an attempt."""
    for task, events in facts.by_task.items():
        before = 0
        for event in events:
            failed = event.outcome in (Outcome.FAILED, Outcome.TIMED_OUT)
            judged = event.kind in (EventKind.RETRY_SCHEDULED, EventKind.FAILED)
            expected = before + (failed and judged)
            if event.kind in ENDINGS and event.attempt != expected:
                name = Outcome(event.outcome).name if event.outcome else "no outcome"
                yield facts.found(
                    "attempt", task, f"{name} took the attempt from {before} to {event.attempt}"
                )
            before = event.attempt


def answers_hold(facts: Facts) -> Findings:
    """A state that a call was answered is one that the task was in."""
    for call in facts.history.calls:
        task = call.task if call.op == "run" else call.subject
        if call.outcome == OK and call.op in ("run", "end") and ended(call.state):
            states = {event.state for event in facts.by_task.get(task, ())}
            if call.state not in states:
                yield facts.found(
                    "answer", task, f"{call.op} answered state {call.state}, never reached"
                )


def cancels_hold(facts: Facts) -> Findings:
    """A cancel that was taken ends the task as cancelled, unless it succeeds first."""
    retried: dict[str, float] = {}
    for event in facts.history.events:
        if event.kind == EventKind.RETRIED:
            retried[event.task] = event.at
    for call in facts.history.calls:
        if call.op != "cancel" or call.outcome != OK:
            continue
        final = facts.finals.get(call.subject)
        if final is None or retried.get(call.subject, 0.0) >= call.invoked - TOLERANCE:
            continue
        if final.state not in (5, 7) and not _ended_by_operator(facts, call.subject):
            yield facts.found("cancel", call.subject, f"was cancelled and has state {final.state}")


def _ended_by_operator(facts: Facts, task: str) -> bool:
    return any(c.op == "end" and c.subject == task for c in facts.history.calls)


def refusals_are_expected(facts: Facts) -> Findings:
    """P10: a refusal has a reason that fits, and nothing inside ever shows."""
    for call in facts.history.calls:
        if call.outcome == OK:
            continue
        known = EXPECTED[call.op]
        missing = call.reason == "TASK_NOT_FOUND" and (
            call.subject in facts.shaken or facts.lost_writes_during(call.invoked, call.returned)
        )
        strange = call.outcome == REFUSED and call.reason not in known
        if (strange or call.reason in ("INTERNAL", "UNKNOWN")) and not missing:
            yield Violation(
                rule="refusal",
                subject=call.subject,
                text=f"{call.op} was answered {call.reason} at {call.returned:.3f}",
                forgiven=missing,
            )


def store_agrees_with_itself(facts: Facts) -> Findings:
    """Every set in the store agrees with every task."""
    said = facts.history.notes.get("invariants", "")
    if said:
        yield Violation(rule="store", subject="invariants", text=said)
