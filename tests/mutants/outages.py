"""P6 to P8: deploys and outages, prefetch, streams."""

from __future__ import annotations

from typing import Final

from .mutant import SCRIPTS, SERVER, WORKER, Mutant

MUTANTS: Final = (
    Mutant(
        name="release-not-counted",
        promise="P6",
        mechanism="a release counts as no attempt",
        file=f"{SCRIPTS}/prelude/leases.lua",
        old="  task.r = task.r + 1\n",
        new="  task.r, task.a = task.r + 1, task.a + 1\n",
        tests=(
            "tests/store/test_endings.py::test_a_release_counts_as_nothing_and_keeps_the_place",
        ),
    ),
    Mutant(
        name="crash-not-an-attempt",
        promise="P6",
        mechanism="a crash is counted apart from attempts",
        file=f"{SCRIPTS}/prelude/leases.lua",
        old="if crashed then task.k = task.k + 1 else task.a = task.a + 1 end",
        new="task.a = task.a + 1",
        tests=("tests/store/test_endings.py::test_crashes_have_a_budget_of_their_own_and_no_wait",),
    ),
    Mutant(
        name="crash-budget",
        promise="P6",
        mechanism="a task that crashes too often ends as a dead letter",
        file=f"{SCRIPTS}/prelude/leases.lua",
        old="crashes > policy.max_crashes or attempts",
        new="attempts",
        tests=(
            "tests/store/test_reap.py"
            "::test_a_task_that_kills_its_workers_at_once_ends_as_a_dead_letter",
        ),
    ),
    Mutant(
        name="outage-release",
        promise="P6",
        mechanism="what an outage longer than its lease has stopped is given back",
        file=f"{WORKER}/sweeper.py",
        old="self._supervisor.expire(held)\n            return True",
        new="self._supervisor.lose(held)\n            return False",
        tests=(
            "tests/e2e/worker/test_stopping.py"
            "::test_lease_that_ran_out_in_an_outage_is_given_back_once_the_handler_has_stopped",
        ),
        fails_with=("TimeoutError", "Timeout"),
    ),
    Mutant(
        name="release-bound",
        promise="P6",
        mechanism="a task that is released 20 times in a row ends as a dead letter, not later",
        file=f"{SCRIPTS}/prelude/leases.lua",
        old="if task.r > LIMITS.releases_in_a_row then",
        new="if task.r > 2 * LIMITS.releases_in_a_row then",
        tests=(
            "tests/store/test_endings.py"
            "::test_releases_in_a_row_wait_longer_and_end_as_a_dead_letter",
        ),
    ),
    Mutant(
        name="reaper-guard",
        promise="P6",
        mechanism="after an outage nothing is taken away for one full term",
        file=f"{SCRIPTS}/reap.lua",
        old="return now < guard",
        new="return false",
        tests=("tests/store/test_reap.py::test_nothing_is_taken_away_for_a_term_when_time_jumped",),
    ),
    Mutant(
        name="lost-reply",
        promise="P6",
        mechanism="a lease that never arrived is given back, if its session lives",
        file=f"{SCRIPTS}/reap.lua",
        old="if not accepted and session_lives(task) then",
        new="if false then",
        tests=(
            "tests/store/test_reap.py"
            "::test_a_lease_that_never_arrived_is_given_back_if_its_session_lives",
        ),
    ),
    Mutant(
        name="caller-gone",
        promise="P6",
        mechanism="what was leased for a call that is gone is given back at once",
        file=f"{SERVER}/engine/dispatch.py",
        old="                self._give_back(self.namespace, answer.leases)\n",
        new="                pass\n",
        tests=(
            "tests/unit/engine/test_dispatch.py"
            "::test_leases_for_a_call_that_has_gone_are_given_back",
        ),
    ),
    Mutant(
        name="poll-supersede",
        promise="P6",
        mechanism="a newer poll of a session ends the older one",
        file=f"{SERVER}/engine/sessions.py",
        old="            if not older.busy:\n"
        "                older.resolve(Delivery(superseded=True))\n",
        new="",
        tests=(
            "tests/service/calls/test_worker_calls.py"
            "::test_a_newer_poll_of_the_session_ends_the_older_one",
        ),
        fails_with=("TimeoutError",),
    ),
    Mutant(
        name="poll-number",
        promise="P6",
        mechanism="an older poll that comes late gets nothing, at any server",
        file=f"{SCRIPTS}/lease.lua",
        old="elseif (tonumber(call('HGET', key, 'n')) or 0) > number then",
        new="elseif false then",
        tests=("tests/store/test_lease.py::test_an_older_poll_of_a_session_gets_nothing",),
    ),
    Mutant(
        name="free-slots",
        promise="P7",
        mechanism="what is asked for already is not free",
        file=f"{WORKER}/capacity.py",
        old="return self.slots - self.running - self.asked if self.open else 0",
        new="return self.slots - self.running if self.open else 0",
        tests=("tests/unit/worker/test_capacity.py::test_asks_and_runs_never_exceed_the_slots",),
    ),
    Mutant(
        name="lease-up-to-slots",
        promise="P7",
        mechanism="a poll is handed no more than the slots that it names",
        file=f"{SCRIPTS}/lease.lua",
        old="candidates(type_lists[poll[5]], poll[3])",
        new="candidates(type_lists[poll[5]], poll[3] + 1)",
        tests=("tests/store/test_lease.py::test_polls_of_one_call_are_served_in_turn",),
    ),
    Mutant(
        name="delayed-waits",
        promise="P7",
        mechanism="a delayed task waits in the server",
        file=f"{SCRIPTS}/submit.lua",
        old="state = due > now and 2 or 3",
        new="state = 3",
        tests=("tests/store/test_submit.py::test_a_delayed_task_waits_for_its_time",),
    ),
    Mutant(
        name="gap-check",
        promise="P8",
        mechanism="an event whose number is not the next one means a gap",
        file=f"{SERVER}/store/streams.py",
        old="if behind.number != position.number + 1:",
        new="if False:",
        tests=("tests/store/test_streams.py::test_a_reader_whose_place_is_gone_is_told_so",),
    ),
    Mutant(
        name="empty-gap-check",
        promise="P8",
        mechanism="nothing behind a place, where events were counted, means a gap",
        file=f"{SERVER}/store/streams.py",
        old="if count > position.number and not await",
        new="if False and not await",
        tests=("tests/store/test_streams.py::test_everything_gone_behind_a_place_is_a_gap",),
    ),
    Mutant(
        name="log-cursor",
        promise="P8",
        mechanism="lines are read behind the cursor, not from it on",
        file=f"{SERVER}/store/streams.py",
        old='start, end = f"({position[0]}-{position[1]}",',
        new='start, end = f"{position[0]}-{position[1]}",',
        tests=("tests/store/test_streams.py::test_every_execution_numbers_its_lines_anew",),
    ),
    Mutant(
        name="log-numbers",
        promise="P8",
        mechanism="a line that is sent again is kept once, by its number",
        file=f"{SCRIPTS}/log.lua",
        old="call('XADD', logs, execution .. '-' .. digits(line[1]), 'l', line[2])",
        new="call('XADD', logs, execution .. '-*', 'l', line[2])",
        tests=("tests/store/test_streams.py::test_lines_are_kept_once_by_their_number",),
    ),
    Mutant(
        name="bad-event",
        promise="P8",
        mechanism="an event that cannot be read is a gap for the watches before it",
        file=f"{SERVER}/store/streams.py",
        old="raise CursorExpired() from bad",
        new="return EventBatch([], position)",
        tests=(
            "tests/store/test_quarantine.py"
            "::test_a_bad_event_ends_the_watches_before_it_and_no_later_one",
        ),
    ),
    Mutant(
        name="watch-snapshot",
        promise="P8",
        mechanism="a watch of tasks tells nothing again that its snapshot holds",
        file=f"{SERVER}/engine/watch.py",
        old="and event.sequence > self._snapshot.get(event.task_id, 0)",
        new="",
        tests=(
            "tests/unit/engine/test_watch_hub.py"
            "::test_a_watch_of_tasks_tells_only_what_its_snapshot_of_them_does_not_hold",
        ),
    ),
)
"""In the order of the promises."""
