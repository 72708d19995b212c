"""No more is asked for than free slots can start."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock_worker.capacity import NOTHING, Ask, Capacity
from penstock_worker.registry import HandlerInfo

SHARED, ISOLATED = HandlerInfo("s"), HandlerInfo("i", isolated=True)


def capacity(slots: int, isolated: int, *handlers: HandlerInfo) -> Capacity:
    made = Capacity(slots, isolated)
    made.serve(handlers)
    return made


def test_poll_asks_for_every_free_slot() -> None:
    made = capacity(10, 2, SHARED)
    made.started(isolated=False)

    assert made.poll_ask() == Ask(9, ("s",), isolated=False)


def test_full_worker_asks_for_nothing_and_still_names_its_types() -> None:
    made = capacity(1, 1, SHARED, ISOLATED)
    made.started(isolated=False)

    assert made.poll_ask() is NOTHING
    assert made.types == ("s", "i")


def test_isolated_types_are_asked_for_only_while_a_process_is_free_for_them() -> None:
    made = capacity(10, 2, SHARED, ISOLATED)
    first = made.poll_ask()
    made.started(isolated=True)
    made.started(isolated=True)

    assert first == Ask(2, ("s", "i"), isolated=True)
    assert made.poll_ask() == Ask(8, ("s",), isolated=False)


def test_shared_asks_leave_room_for_isolated_ones() -> None:
    made = capacity(10, 2, SHARED, ISOLATED)

    made.take(made.report_ask(at_most=99))

    assert made.asked == 8
    assert made.poll_ask() == Ask(2, ("s", "i"), isolated=True)


def test_a_report_asks_for_no_more_than_its_share_and_a_poll_for_the_rest() -> None:
    made = capacity(10, 2, SHARED)

    made.take(made.report_ask(at_most=3))

    assert made.asked == 3
    assert made.poll_ask() == Ask(7, ("s",), isolated=False)


def test_polls_leave_shared_types_to_busy_reports_but_never_isolated_ones() -> None:
    shared, mixed = capacity(10, 2, SHARED), capacity(10, 2, SHARED, ISOLATED)

    assert shared.poll_ask(leave_shared=True) is NOTHING
    assert mixed.poll_ask(leave_shared=True) == Ask(2, ("s", "i"), isolated=True)


def test_polls_ask_for_what_busy_reports_cannot_take_while_tasks_wait() -> None:
    made = capacity(10, 2, SHARED)
    made.answered(made.poll_ask(), 5)  # a share of the slots: more may wait

    made.take(made.report_ask(at_most=made.share))
    first = made.poll_ask(leave_shared=True)
    made.take(first)

    assert first == Ask(5, ("s",), isolated=False)
    assert made.poll_ask(leave_shared=True) is NOTHING


def test_a_poll_beside_busy_reports_leaves_a_share_to_the_report_of_what_runs() -> None:
    made = capacity(10, 2, SHARED)
    made.answered(made.poll_ask(), 5)

    made.started(isolated=False)

    assert made.poll_ask(leave_shared=True) is NOTHING
    made.ended(isolated=False)
    assert made.poll_ask(leave_shared=True) == Ask(10, ("s",), isolated=False)


def test_a_large_answer_tells_of_more_tasks_though_more_were_asked_for() -> None:
    made = capacity(1000, 2, SHARED)

    made.answered(made.poll_ask(), 256)
    after_large = made.more_waiting
    made.answered(made.poll_ask(), 150)

    assert after_large
    assert not made.more_waiting


def test_polls_leave_shared_types_to_busy_reports_once_nothing_waits() -> None:
    made = capacity(10, 2, SHARED)

    made.answered(made.poll_ask(), 1)

    assert made.poll_ask(leave_shared=True) is NOTHING


def test_draining_worker_and_one_without_a_runner_ask_for_nothing() -> None:
    made = capacity(10, 2, SHARED)

    made.shared_ready = False
    assert made.poll_ask() is NOTHING
    made.shared_ready, made.open = True, False
    assert made.poll_ask() is NOTHING


def test_open_poll_is_superseded_when_it_asks_for_much_less() -> None:
    made = capacity(10, 2, SHARED)
    made.take(Ask(3, ("s",), isolated=False))

    assert made.is_worth_superseding(Ask(3, ("s",), isolated=False))
    assert made.is_worth_superseding(NOTHING)
    assert not made.is_worth_superseding(Ask(5, ("s",), isolated=False))


def test_open_poll_is_superseded_when_a_shared_runner_has_become_ready() -> None:
    made = capacity(10, 2, SHARED, ISOLATED)
    made.shared_ready = False
    ask = made.poll_ask()
    made.take(ask)

    assert not made.is_worth_superseding(ask)
    made.shared_ready = True
    assert made.is_worth_superseding(ask)
    assert not made.is_worth_superseding(Ask(2, ("s", "i"), isolated=True))


@given(
    st.integers(1, 20),
    st.integers(1, 20),
    st.lists(st.tuples(st.sampled_from("pqra"), st.integers(0, 20)), max_size=60),
)
def test_asks_and_runs_never_exceed_the_slots(
    slots: int, isolated_slots: int, steps: list[tuple[str, int]]
) -> None:
    made = capacity(slots, isolated_slots, SHARED, ISOLATED)
    made.more_waiting = True
    calls: list[Ask] = []
    running: list[bool] = []
    for step, number in steps:
        if step in "pqr":  # a poll, one beside busy reports, or a report asks
            beside = step == "q"
            ask = (
                made.report_ask(at_most=number)
                if step == "r"
                else made.poll_ask(leave_shared=beside)
            )
            made.take(ask)
            calls.append(ask)
        elif calls and number % 2:  # an answer brings all that was asked for, the worst of it
            ask = calls.pop(number % len(calls))
            made.give_back(ask)
            for _ in range(ask.count):
                made.started(isolated=ask.isolated)
                running.append(ask.isolated)
        elif running:  # an execution ends
            made.ended(isolated=running.pop(number % len(running)))

        assert len(running) + sum(call.count for call in calls) <= slots
        assert made.isolated_running + made.isolated_asked <= isolated_slots
