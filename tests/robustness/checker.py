"""Proves from a history that the promises were kept, or says which were not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from penstock_server.model.lifecycle import EventKind, Outcome
from robustness import rules_leases as leases
from robustness import rules_streams as streams
from robustness import rules_tasks as tasks
from robustness.facts import Facts, Findings, Held, Violation
from robustness.history import OK, REFUSED, History

RULES: Final[tuple[Callable[[Facts], Findings], ...]] = (
    tasks.nothing_lost,
    tasks.nothing_made_twice,
    tasks.whole_batches,
    tasks.everything_ends,
    tasks.lives_in_order,
    tasks.attempts_are_counted_right,
    tasks.answers_hold,
    tasks.cancels_hold,
    tasks.refusals_are_expected,
    tasks.store_agrees_with_itself,
    leases.no_stale_report,
    leases.fences_rise,
    leases.executions_begin_once,
    leases.results_fit,
    leases.duplicates_are_explained,
    leases.losses_have_a_cause,
    leases.slots_are_never_exceeded,
    leases.backlog_is_bounded,
    leases.paused_queues_hand_out_nothing,
    streams.watches_tell_everything_once,
    streams.watches_reach_the_end,
    streams.cursors_expire_for_a_reason,
    streams.tails_tell_every_line_once,
    streams.lines_are_all_kept,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a round."""

    violations: list[Violation]
    """Promises that were not kept. None of them is forgiven."""
    forgiven: list[Violation]
    """What a crash of the store may do with `everysec`, and did."""
    table: dict[str, int | float]
    """Figures by name."""
    operations: dict[str, int]
    faults: dict[str, int]
    outcomes: dict[str, int]
    """Executions by outcome."""


def check(history: History) -> Verdict:
    """Applies every rule."""
    facts = Facts(history)
    found = [violation for rule in RULES for violation in rule(facts)]
    forgiven = [violation for violation in found if violation.forgiven]
    return Verdict(
        violations=[violation for violation in found if not violation.forgiven],
        forgiven=forgiven,
        table=_table(facts, found),
        operations=dict(Counter(call.op for call in history.calls)),
        faults=dict(Counter(fault.name for fault in history.faults)),
        outcomes=_outcomes(facts),
    )


def _outcomes(facts: Facts) -> dict[str, int]:
    ends = [held.ended for held in facts.executions.values()]
    counts = Counter(event.outcome for event in ends if event is not None)
    return {Outcome(o).name if o else "ended by an operator": n for o, n in counts.items()}


def _was_lost(held: Held) -> bool:
    return held.ended is not None and held.ended.outcome == Outcome.LOST


def _table(facts: Facts, found: list[Violation]) -> dict[str, int | float]:
    history = facts.history
    stale = [report for report in history.reports if report.stale]
    lost = [violation for violation in found if violation.rule == "lost"]
    return {
        "operations": len(history.calls),
        "operations answered": sum(call.outcome == OK for call in history.calls),
        "tasks": len(history.finals),
        "executions": len(facts.executions),
        "faults": len(history.faults),
        "lost": sum(not violation.forgiven for violation in lost),
        "lost within P1's window": sum(violation.forgiven for violation in lost),
        "ran to the end twice": len(leases.ran_to_the_end(facts)),
        "of these unexplained": sum(v.rule == "duplicate" and not v.forgiven for v in found),
        "leases lost": sum(_was_lost(held) for held in facts.executions.values()),
        "of these in an outage longer than they last": sum(
            _was_lost(held) and leases.lost_to_an_outage(facts, held)
            for held in facts.executions.values()
        ),
        "stale reports tried": len(stale),
        "stale reports refused": sum(report.outcome == REFUSED for report in stale),
        "stale reports accepted": sum(v.rule == "stale" and not v.forgiven for v in found),
        "events watched": len(history.watched),
        "log lines tailed": len(history.lines),
        "longest recovery s": round(longest_recovery(facts), 2),
        "longest time to the end of all s": round(_to_the_end(history), 2),
    }


def longest_recovery(facts: Facts) -> float:
    """The longest time from the end of a fault until a task that was submitted after it succeeded.

    Seconds. Faults after which nothing was submitted any more are left out.
    """
    submitted = {e.task: e.at for e in facts.history.events if e.kind == EventKind.SUBMITTED}
    succeeded = sorted(
        (e.at, submitted.get(e.task, 0.0))
        for e in facts.history.events
        if e.kind == EventKind.SUCCEEDED
    )
    longest = 0.0
    for fault in facts.history.faults:
        later = (at for at, since in succeeded if since >= fault.ended)
        longest = max(longest, next(later, fault.ended) - fault.ended)
    return longest


def _to_the_end(history: History) -> float:
    notes = history.notes
    return float(notes.get("all ended", 0.0)) - float(notes.get("peace", 0.0))
