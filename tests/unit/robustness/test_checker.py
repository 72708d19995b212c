"""The checker of the robustness runs catches each kind of broken promise, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
from robustness.checker import RULES, check
from robustness.facts import Facts, Findings
from robustness.history import (
    OK,
    REFUSED,
    Event,
    Fault,
    History,
    Leased,
    Line,
    Note,
    Opened,
    Recorder,
    load,
)
from robustness.world import BACKLOG
from unit.robustness import scenes
from unit.robustness.scenes import WATCH, broken, clean, forgiven

from penstock_server.model.lifecycle import EventKind, Outcome, TaskState

Spoil = Callable[[History], None]


def test_a_history_in_which_every_promise_was_kept_passes():
    verdict = check(clean())

    assert verdict.violations == []
    assert verdict.forgiven == []
    assert verdict.table["stale reports refused"] == 1
    assert verdict.outcomes == {"LOST": 1, "SUCCEEDED": 2}


def _swap(history: History, number: int, **changes: object) -> None:
    """Changes an event in the store and in the watch."""
    for events in (history.events, history.watched):
        events[number] = replace(events[number], **changes)  # type: ignore[arg-type]


def _lose_a_task(history: History) -> None:
    history.finals[1] = replace(history.finals[1], state=0)


def _forget_to_ask_for_a_task(history: History) -> None:
    history.finals.pop(1)


def _leave_a_task_running(history: History) -> None:
    history.finals[2] = replace(history.finals[2], state=4)


def _make_one_submit_two_tasks(history: History) -> None:
    history.finals.append(replace(history.finals[1], task="d"))


def _answer_one_key_with_two_tasks(history: History) -> None:
    history.calls.append(scenes.submit("m.a", "b", key="k"))


def _keep_half_of_a_batch(history: History) -> None:
    history.calls.append(scenes.submit("m.b", "b", batch="whole"))
    history.calls.append(scenes.submit("m.x", "", outcome=REFUSED, reason="X", batch="whole"))


def _lease_twice_at_once(history: History) -> None:
    _swap(history, 7, kind=int(EventKind.PROGRESSED), outcome=0)


def _end_under_an_old_lease(history: History) -> None:
    _swap(history, 9, execution=1)


def _skip_a_change(history: History) -> None:
    _swap(history, 9, sequence=6)


def _count_a_loss_as_an_attempt(history: History) -> None:
    for number in (7, 8, 9):
        _swap(history, number, attempt=1)


def _answer_a_state_that_never_was(history: History) -> None:
    history.calls.append(scenes.call("run", "m.a", 5.0, task="a", state=int(TaskState.FAILED)))


def _run_what_was_cancelled(history: History) -> None:
    history.finals[1] = replace(history.finals[1], state=int(TaskState.FAILED))


def _show_the_inside(history: History) -> None:
    history.calls.append(scenes.call("cancel", "a", 5.0, outcome=REFUSED, reason="INTERNAL"))


def _disagree_in_the_store(history: History) -> None:
    history.add(Note(name="invariants", value="a set and a hash disagree"))


def _take_a_stale_heartbeat(history: History) -> None:
    history.reports[2] = replace(history.reports[2], outcome=OK)


def _take_an_end_of_an_execution_that_was_lost(history: History) -> None:
    _swap(history, 6, outcome=int(Outcome.LOST), kind=int(EventKind.FAILED))


def _take_an_end_of_a_lease_that_never_was(history: History) -> None:
    history.reports.append(replace(history.reports[1], execution=9))


def _lower_a_fence(history: History) -> None:
    history.marks[0] = replace(history.marks[0], fence=6)
    history.finals[0] = replace(history.finals[0], kept=[[1, 6, 6], [2, 1, 6]])


def _change_a_fence(history: History) -> None:
    history.leases.append(Leased(session=scenes.RAW, task="c", execution=1, fence=8, at=3.0))


def _begin_an_execution_twice(history: History) -> None:
    history.marks.append(history.marks[1])


def _give_the_result_of_another_execution(history: History) -> None:
    history.finals[0] = replace(history.finals[0], result_execution=1, result_fence=5)


def _run_again_after_success(history: History) -> None:
    history.marks.append(replace(history.marks[0], phase="end"))
    _swap(history, 7, outcome=int(Outcome.SUCCEEDED))


def _lose_a_lease_for_no_reason(history: History) -> None:
    history.faults.clear()


def _harm_another_worker(history: History) -> None:
    history.faults[0] = replace(history.faults[0], workers=[999])


def _crash_for_no_reason(history: History) -> None:
    _swap(history, 7, outcome=int(Outcome.CRASHED))
    history.faults[0] = replace(history.faults[0], runners=[])


def _run_more_than_slots(history: History) -> None:
    for number in range(3):
        for phase, at in (("start", 20.0 + number), ("end", 30.0)):
            given = replace(history.marks[1], phase=phase, task=f"z{number}", at=at)
            history.marks.append(given)


def _overfill_the_backlog(history: History) -> None:
    for number in range(BACKLOG + 1):
        task = f"more{number}"
        history.add(scenes.event(task, EventKind.SUBMITTED, 1, TaskState.READY, 50.0))


def _lease_from_a_paused_queue(history: History) -> None:
    history.calls.append(scenes.call("pause", "alpha", 8.0))
    history.calls.append(scenes.call("resume", "alpha", 10.0))


def _leave_an_event_out_of_a_watch(history: History) -> None:
    history.watched.pop(4)


def _repeat_an_event_in_a_watch(history: History) -> None:
    history.watched.insert(4, history.watched[3])


def _invent_an_event_in_a_watch(history: History) -> None:
    history.watched.append(replace(history.watched[-1], sequence=99))


def _begin_a_watch_too_late(history: History) -> None:
    del history.watched[:2]


def _end_a_watch_too_early(history: History) -> None:
    history.watched.pop()


def _refuse_a_cursor(history: History) -> None:
    history.add(Opened(watch=WATCH, at=9.5, reason="CURSOR_EXPIRED"))


def _leave_a_line_out(history: History) -> None:
    history.lines.pop(0)


def _repeat_a_line(history: History) -> None:
    history.lines.insert(1, history.lines[0])


def _lose_a_line(history: History) -> None:
    history.finals[0] = replace(history.finals[0], lines=[[2, 1]])


PLANTED: dict[str, list[Spoil]] = {
    "lost": [_lose_a_task, _forget_to_ask_for_a_task],
    "never ended": [_leave_a_task_running],
    "made twice": [_make_one_submit_two_tasks],
    "key": [_answer_one_key_with_two_tasks],
    "batch": [_keep_half_of_a_batch],
    "life": [_lease_twice_at_once, _end_under_an_old_lease, _skip_a_change],
    "attempt": [_count_a_loss_as_an_attempt],
    "answer": [_answer_a_state_that_never_was],
    "cancel": [_run_what_was_cancelled],
    "refusal": [_show_the_inside],
    "store": [_disagree_in_the_store],
    "stale": [
        _take_a_stale_heartbeat,
        _take_an_end_of_an_execution_that_was_lost,
        _take_an_end_of_a_lease_that_never_was,
    ],
    "fence": [_lower_a_fence, _change_a_fence],
    "begun twice": [_begin_an_execution_twice],
    "result": [_give_the_result_of_another_execution],
    "duplicate": [_run_again_after_success],
    "loss": [_lose_a_lease_for_no_reason, _harm_another_worker],
    "crash": [_crash_for_no_reason],
    "slots": [_run_more_than_slots],
    "backlog": [_overfill_the_backlog],
    "pause": [_lease_from_a_paused_queue],
    "watch": [
        _leave_an_event_out_of_a_watch,
        _repeat_an_event_in_a_watch,
        _invent_an_event_in_a_watch,
        _begin_a_watch_too_late,
        _end_a_watch_too_early,
    ],
    "cursor": [_refuse_a_cursor],
    "tail": [_leave_a_line_out, _repeat_a_line],
    "lines": [_lose_a_line],
}
"""Rule → ways to break it."""


@pytest.mark.parametrize(
    ("rule", "spoil"),
    [(rule, spoil) for rule, spoils in PLANTED.items() for spoil in spoils],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_a_planted_violation_is_caught(rule, spoil):
    history = clean()

    spoil(history)

    assert rule in broken(history)


def test_every_rule_has_a_violation_planted():
    history = clean()
    whole = {function.__name__ for function in RULES}
    used: set[str] = set()

    for spoil in (spoil for spoils in PLANTED.values() for spoil in spoils):
        history = clean()
        spoil(history)
        facts_of = check(history)
        assert facts_of.violations, spoil.__name__
        used |= {rule.__name__ for rule in RULES if _finds(rule, history)}

    assert used == whole


def _finds(rule: Callable[[Facts], Findings], history: History) -> bool:
    return bool(list(rule(Facts(history))))


def test_a_lease_may_be_lost_to_an_outage_of_half_its_term_and_no_shorter_one():
    history = clean()
    history.faults[:] = [Fault(name="stop-store", target="store", began=3.0, ended=5.0)]
    assert broken(history) == {"loss"}

    history.faults[:] = [Fault(name="stop-store", target="store", began=3.0, ended=5.6)]
    assert broken(history) == set()


# ---- what P1 allows -----------------------------------------------------------------------------


def _crash_of_the_store(at: float) -> Fault:
    return Fault(name="kill-store", target="store", began=at, ended=at + 0.5, loses_writes=True)


def test_what_was_acknowledged_just_before_a_crash_with_everysec_may_be_lost():
    history = clean()
    _lose_a_task(history)
    history.add(_crash_of_the_store(at=2.9))

    assert "lost" not in broken(history)
    assert "lost" in forgiven(history)


def test_a_pause_that_was_acknowledged_after_a_crash_with_everysec_may_be_lost():
    history = clean()
    _lease_from_a_paused_queue(history)
    assert broken(history) == {"pause"}

    history.add(replace(_crash_of_the_store(at=8.01), ended=8.04))

    assert broken(history) == set()


def test_what_was_acknowledged_earlier_may_not_be_lost():
    history = clean()
    _lose_a_task(history)
    history.add(_crash_of_the_store(at=6.0))

    assert "lost" in broken(history)


def test_a_crash_with_always_excuses_nothing():
    history = clean()
    _lose_a_task(history)
    history.add(replace(_crash_of_the_store(at=2.0), loses_writes=False))

    assert "lost" in broken(history)


def test_a_watch_may_have_told_what_the_store_forgot_but_must_then_be_refused_its_cursor():
    history = clean()
    history.add(_crash_of_the_store(at=9.5))
    told = replace(history.watched[-1], task="b", sequence=3, at=9.3)
    history.watched.append(told)
    assert broken(history) == set()

    last: Event = history.watched.pop(-2)
    history.watched.append(last)

    assert "watch" in broken(history)


def test_a_lease_in_the_millisecond_of_a_resume_is_not_one_under_a_pause():
    history = clean()
    history.calls.append(scenes.call("pause", "alpha", 8.02))
    # Times of events are cut to milliseconds: this one seems to come before its cause.
    history.calls.append(scenes.call("resume", "alpha", 8.1004))

    assert broken(history) == set()


def test_a_session_belongs_to_the_worker_that_most_of_its_handlers_name():
    history = clean()
    # A store that lost writes counted execution 1 of `a` again, at another worker.
    for phase, at in (("start", 2.2), ("end", 2.3)):
        history.marks += [
            replace(history.marks[0], phase=phase, at=at, worker=worker, fence=fence)
            for worker, fence in ((scenes.WORKER, 5), (999, 8))
        ]
    assert Facts(history).worker_of["s1"] == scenes.WORKER


def test_a_supervisor_may_hand_work_to_a_runner_that_died_a_moment_before():
    history = clean()
    _swap(history, 7, outcome=int(Outcome.CRASHED))
    history.faults[0] = replace(history.faults[0], began=1.9, ended=1.99)
    assert "crash" not in broken(history)

    history.faults[0] = replace(history.faults[0], began=0.9, ended=1.0)
    assert "crash" in broken(history)


# ---- recording ----------------------------------------------------------------------------------


def test_a_history_is_the_same_after_it_was_written_and_read(tmp_path):
    history, path = clean(), tmp_path / "history.jsonl"
    recorder = Recorder(path)
    entries: list[list[Any]] = [
        *(history.calls, history.marks, history.leases, history.reports, history.events),
        *(history.watched, history.opened, history.lines, history.faults, history.finals),
        [Note(name=name, value=value) for name, value in history.notes.items()],
    ]
    for entry in chain.from_iterable(entries):
        recorder.add(entry)
    recorder.close()

    assert load(path) == history


def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    path = tmp_path / "history.jsonl"
    recorder = Recorder(path)
    recorder.add(Line(tail="t", task="a", execution=1, number=1))
    recorder.close()
    path.write_text(path.read_text() + '{"entry": "line", "ta')

    assert len(load(path).lines) == 1
