"""Rules about leases: stale ones change nothing, fences rise, losses have a cause, bounds hold."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from penstock_server.model.lifecycle import EventKind, Outcome
from robustness.facts import TOLERANCE, Facts, Findings, Held, Violation, ended
from robustness.history import OK, Call, Fault, Report
from robustness.world import BACKLOG

_OUTCOME: Final = {
    "complete": Outcome.SUCCEEDED,
    "fail": Outcome.FAILED,
    "crash": Outcome.CRASHED,
    "release": Outcome.RELEASED,
}
OUTAGES: Final = {
    "kill-store",
    "power-cut",
    "stop-store",
    "cut-store",
    "delay-store",
    "drop-answers-of-store",
    "disk-full",
    "kill-server",
}
"""Faults that keep every worker from renewing, while they last."""
NOTICED_WITHIN: Final = 0.5
"""Seconds in which a supervisor that has work to do learns of the death of a runner."""


def no_stale_report(facts: Facts) -> Findings:
    """P2: a report that was taken was made under the lease that was valid then."""
    for report in facts.history.reports:
        if report.outcome != OK:
            continue
        held = facts.executions.get((report.task, report.execution))
        text = _stale(report, held)
        if text:
            yield facts.found("stale", report.task, text)


def _stale(report: Report, held: Held | None) -> str:
    name = f"{report.what} of execution {report.execution} at {report.invoked:.3f}"
    if held is None:
        return f"{name} was taken, and the store knows no such lease"
    if report.what in _OUTCOME:
        if held.ended is None:
            return f"{name} was taken and had no effect"
        cancelled = held.ended.kind == EventKind.CANCELLED
        if held.ended.outcome != _OUTCOME[report.what] and not cancelled:
            return f"{name} was taken after the execution had ended as {held.ended.outcome}"
    elif held.ended is not None and report.invoked > held.ended.at + TOLERANCE:
        return f"{name} was taken after the execution had ended at {held.ended.at:.3f}"
    return ""


def fences_rise(facts: Facts) -> Findings:
    """P3: a later execution has a higher fence, and one execution has one fence."""
    fences: dict[str, dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    for mark in facts.history.marks:
        fences[mark.task][mark.execution].add(mark.fence)
    for lease in facts.history.leases:
        fences[lease.task][lease.execution].add(lease.fence)
    for final in facts.history.finals:
        for number, _, fence in final.kept:
            if fence and (final.task, number) in facts.executions:
                fences[final.task][number].add(fence)
    for task, by_number in fences.items():
        highest = 0
        for number, found in sorted(by_number.items()):
            if len(found) > 1:
                yield facts.found("fence", task, f"execution {number} had fences {sorted(found)}")
            if min(found) <= highest:
                yield facts.found("fence", task, f"execution {number}: {min(found)} ≤ {highest}")
            highest = max(found)


def executions_begin_once(facts: Facts) -> Findings:
    """One lease starts one handler."""
    seen: dict[tuple[str, int, int], int] = defaultdict(int)
    for mark in facts.history.marks:
        if mark.phase == "start":
            seen[mark.task, mark.execution, mark.fence] += 1
    for (task, execution, _), count in seen.items():
        if count > 1:
            yield facts.found("begun twice", task, f"execution {execution} began {count} times")


def results_fit(facts: Facts) -> Findings:
    """A result is that of the execution whose success the store recorded."""
    marks = {(m.task, m.execution, m.fence) for m in facts.history.marks if m.phase == "end"}
    for final in facts.history.finals:
        number = final.result_execution
        if not number:
            continue
        held = facts.executions.get((final.task, number))
        if held is None or held.ended is None or held.ended.outcome != Outcome.SUCCEEDED:
            yield facts.found("result", final.task, f"execution {number} did not succeed")
        if (final.task, number, final.result_fence) not in marks:
            yield facts.found("result", final.task, f"execution {number} never came to its end")


def duplicates_are_explained(facts: Facts) -> Findings:
    """A handler that came to its end twice did so because its first lease was over."""
    for task, numbers in ran_to_the_end(facts).items():
        for number in sorted(numbers)[:-1]:
            held = facts.executions.get((task, number))
            if held is None or held.ended is None:
                yield facts.found("duplicate", task, f"execution {number} ended unrecorded")
            elif held.ended.outcome == Outcome.SUCCEEDED and not _retried_after(facts, held):
                yield facts.found("duplicate", task, f"ran again after execution {number}")


def ran_to_the_end(facts: Facts) -> dict[str, set[int]]:
    """Executions of each task whose handler came to its end."""
    found: dict[str, set[int]] = defaultdict(set)
    for mark in facts.history.marks:
        if mark.phase == "end":
            found[mark.task].add(mark.execution)
    return {task: numbers for task, numbers in found.items() if len(numbers) > 1}


def _retried_after(facts: Facts, held: Held) -> bool:
    assert held.ended is not None
    events = facts.by_task[held.leased.task]
    return any(e.kind == EventKind.RETRIED and e.sequence > held.ended.sequence for e in events)


def losses_have_a_cause(facts: Facts) -> Findings:
    """P6: a lease is lost only if its worker was kept from renewing it; a crash needs a death."""
    for (task, number), held in facts.executions.items():
        if held.ended is None or held.leased.session in facts.raw_sessions:
            continue
        if held.ended.outcome == Outcome.LOST and not _harmed(facts, held):
            yield facts.found("loss", task, f"execution {number} was lost without a cause")
        if held.ended.outcome == Outcome.CRASHED and not _runner_died(facts, held):
            yield facts.found("crash", task, f"execution {number} crashed without a cause")


def _harmed(facts: Facts, held: Held) -> bool:
    return _worker_was_harmed(facts, held) or lost_to_an_outage(facts, held)


def lost_to_an_outage(facts: Facts, held: Held) -> bool:
    """Whether nobody could renew for so long that the worker itself gave the lease up.

    It stops the handler when the term has run out by its own count, as the protocol demands, and
    what it waits between two tries is up to 2 s: so half a term without servers or store may do.
    """
    assert held.ended is not None
    term = float(facts.history.notes.get("term", 5.0))
    if held.ended.at - held.leased.at < term:  # it was never accepted
        term = float(facts.history.notes.get("accept within", term))
    since, until = held.ended.at - 3 * term, held.ended.at
    away = sum(
        max(0.0, min(fault.ended, until) - max(fault.began, since))
        for fault in facts.history.faults
        if fault.name in OUTAGES
    )
    return away >= term / 2


def _worker_was_harmed(facts: Facts, held: Held) -> bool:
    worker = facts.worker_of.get(held.leased.session)
    # A session that never ran a handler cannot be told apart: any harm may have been to it.
    return any(
        (worker in fault.workers or (worker is None and bool(fault.workers)))
        and _during(held, fault)
        for fault in facts.history.faults
    )


def _runner_died(facts: Facts, held: Held) -> bool:
    if held.leased.type == "r.deadly":
        return True
    worker = facts.worker_of.get(held.leased.session)
    runners = facts.runners_of.get(worker, set()) if worker is not None else set()
    for fault in facts.history.faults:
        known = worker is None or bool(runners.intersection(fault.runners))
        # A stopped runner is silent: its supervisor gives it up.
        if fault.runners and known and _during(held, fault, noticed=NOTICED_WITHIN):
            return True
    return False


def _during(held: Held, fault: Fault, *, noticed: float = 0.0) -> bool:
    assert held.ended is not None
    return held.leased.at <= fault.ended + noticed and fault.began <= held.ended.at


def slots_are_never_exceeded(facts: Facts) -> Findings:
    """P7: a worker runs no more than it has slots."""
    slots = facts.history.notes.get("slots", 1 << 30)
    ends = {(m.task, m.execution, m.fence): m.at for m in facts.history.marks if m.phase == "end"}
    turns: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for mark in facts.history.marks:
        over = ends.get((mark.task, mark.execution, mark.fence))
        if mark.phase == "start" and over is not None:
            turns[mark.worker] += [(mark.at, 1), (over, -1)]
    for worker, changes in turns.items():
        running = most = 0
        for _, change in sorted(changes):
            running += change
            most = max(most, running)
        if most > slots:
            yield Violation(rule="slots", subject=str(worker), text=f"{most} ran in {slots} slots")


def backlog_is_bounded(facts: Facts) -> Findings:
    """P9: no submit goes past the bound of the backlog. Held for one partition."""
    events = facts.history.events
    if any(event.partition for event in events):
        return
    alive: set[str] = set()
    for event in events:
        if event.kind == EventKind.SUBMITTED and event.task not in alive:
            alive.add(event.task)
            if len(alive) > BACKLOG:
                yield facts.found("backlog", event.task, f"{len(alive)} of at most {BACKLOG} wait")
        elif ended(event.state):
            alive.discard(event.task)
        else:
            alive.add(event.task)


def paused_queues_hand_out_nothing(facts: Facts) -> Findings:
    """From the answer to a pause to the next wish to resume, nothing is leased."""
    by_queue: dict[str, list[Call]] = defaultdict(list)
    for call in facts.history.calls:
        if call.op in ("pause", "resume"):
            by_queue[call.subject].append(call)
    leased: dict[str, list[float]] = defaultdict(list)
    for event in facts.history.events:
        if event.kind == EventKind.LEASED:
            leased[event.queue].append(event.at)
    peace = facts.history.notes.get("peace", float("inf"))
    for queue, calls in by_queue.items():
        for pause in calls:
            if pause.op != "pause" or pause.outcome != OK or facts.done_may_be_lost(pause):
                continue
            until = min((r.invoked for r in calls if _may_undo(r, pause)), default=peace)
            since = pause.returned + TOLERANCE
            wrong = [at for at in leased[queue] if since < at < until - TOLERANCE]
            if wrong:
                yield Violation(
                    rule="pause",
                    subject=queue,
                    text=f"{len(wrong)} leased between {pause.returned:.3f} and {until:.3f}",
                )


def _may_undo(resume: Call, pause: Call) -> bool:
    # A call that was given up may take effect a little later.
    return resume.op == "resume" and (
        resume.returned > pause.invoked
        or (resume.outcome != OK and resume.returned > pause.invoked - 30)
    )
