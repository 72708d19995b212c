"""P1 to P4: what is acknowledged, leased, fenced and repeated."""

from __future__ import annotations

from typing import Final

from .mutant import SCRIPTS, SERVER, Mutant

MUTANTS: Final = (
    Mutant(
        name="append-only-file",
        promise="P1",
        mechanism="the store writes every change to its append-only file",
        file=f"{SERVER}/embedded/process.py",
        old='"appendonly": "yes",',
        new='"appendonly": "no",',
        tests=(
            "tests/service/edge/test_embedded_store.py"
            "::test_a_store_that_is_killed_comes_back_with_what_was_written",
        ),
        fails_with=("TimeoutError", "Timeout"),
    ),
    Mutant(
        name="answer-after-store",
        promise="P1",
        mechanism="a submit is answered after the store has answered",
        file=f"{SERVER}/store/tasks.py",
        old="""        ((now_ms, first, results),) = await self._lanes.batch(
            "submit",
            partition_of(ids[0]),
            [call],
            size=size,
            weight=len(items),
            send=self._hand_off.send,
        )
""",
        new="""        import asyncio

        handed_in = asyncio.ensure_future(
            self._lanes.batch(
                "submit",
                partition_of(ids[0]),
                [call],
                size=size,
                weight=len(items),
                send=self._hand_off.send,
            )
        )
        handed_in.add_done_callback(lambda done: done.cancelled() or done.exception())
        now_ms, first, results = 0, ids[0], [[b"taken", b"", 3] for _ in items]
""",
        tests=("tests/store/test_submit.py::test_what_the_store_did_not_take_is_not_acknowledged",),
    ),
    Mutant(
        name="token-check",
        promise="P2",
        mechanism="a report must carry the token of the task's present lease",
        file=f"{SCRIPTS}/prelude/leases.lua",
        old="if not task or task.t ~= random or task.f ~= fence then return 'lease_lost' end",
        new="if not task then return 'lease_lost' end",
        tests=(
            "tests/store/test_endings.py"
            "::test_an_earlier_lease_cannot_change_the_task_while_a_later_one_runs",
            "tests/store/test_endings.py::test_a_guessed_lease_cannot_change_anything",
        ),
    ),
    Mutant(
        name="crowd-token",
        promise="P2",
        mechanism="each of many that end together proves its lease",
        file=f"{SCRIPTS}/complete.lua",
        old="if not shared or t ~= randoms[index] or shared.f ~= fences[index] then",
        new="if not shared then",
        tests=(
            "tests/store/test_refill.py"
            "::test_a_lost_lease_in_a_report_leaves_the_others_and_what_replaces_them_alone",
        ),
    ),
    Mutant(
        name="crowd-running",
        promise="P2",
        mechanism="of many that are reported on together only those that run end",
        file=f"{SCRIPTS}/complete.lua",
        old="crowd = shared.s == 4 and not (",
        new="crowd = not (",
        tests=("tests/store/test_shared_fields.py::test_many_that_have_ended_end_no_second_time",),
    ),
    Mutant(
        name="crowd-twice",
        promise="P2",
        mechanism="one of many that is reported on twice in a call is read anew",
        file=f"{SCRIPTS}/complete.lua",
        old="  write_tasks() -- what one of a crowd has become is known nowhere else\n",
        new="",
        tests=(
            "tests/store/test_shared_fields.py"
            "::test_many_that_are_reported_on_twice_in_a_call_end_once",
        ),
    ),
    Mutant(
        name="revoked-token",
        promise="P2",
        mechanism="the token of a lease that the server takes away proves nothing any more",
        file=f"{SCRIPTS}/prelude/leases.lua",
        old="""  drop_lease(task)
  task.t = false
""",
        new="  drop_lease(task)\n",
        tests=("tests/store/test_endings.py::test_an_expired_lease_cannot_change_the_task",),
    ),
    Mutant(
        name="reaped-lease",
        promise="P2",
        mechanism="a lease that ran out is taken away by the reaper",
        file=f"{SCRIPTS}/reap.lua",
        old="if guarded() then",
        new="if guarded() or true then",
        tests=(
            "tests/store/test_reap.py::test_a_lease_that_ran_out_is_lost_and_counts_as_a_crash",
        ),
    ),
    Mutant(
        name="ended-under-token",
        promise="P2",
        mechanism="an execution that has ended takes no other ending under its token",
        file=f"{SCRIPTS}/prelude/leases.lua",
        old="return task.s == 4 and 'ok' or 'ended'",
        new="return 'ok'",
        tests=(
            "tests/service/test_wrong_leases.py"
            "::test_another_ending_under_the_same_lease_changes_nothing",
        ),
    ),
    Mutant(
        name="fence-above-last",
        promise="P3",
        mechanism="a fence is above the one before, whatever the clock says",
        file=f"{SCRIPTS}/lease.lua",
        old="fields.f = math.max((fields.f or 0) + 1, now_us)",
        new="fields.f = now_us",
        tests=("tests/store/test_lease.py::test_fences_rise_also_when_the_clock_goes_back",),
    ),
    Mutant(
        name="fence-follows-clock",
        promise="P3",
        mechanism="a fence follows the clock, so that it rises over a restore of the store too",
        file=f"{SCRIPTS}/lease.lua",
        old="fields.f = math.max((fields.f or 0) + 1, now_us)",
        new="fields.f = (fields.f or 0) + 1",
        tests=("tests/store/test_lease.py::test_a_fence_follows_the_clock",),
    ),
    Mutant(
        name="request-record",
        promise="P4",
        mechanism="a submit is remembered under its request id",
        file=f"{SCRIPTS}/submit.lua",
        old="if taken then remember_call(namespace, request_id, ids[1], #results, apart) end",
        new="",
        tests=(
            "tests/store/test_submit.py"
            "::test_a_repeated_call_gives_the_same_ids_and_writes_nothing",
        ),
    ),
    Mutant(
        name="idempotency-record",
        promise="P4",
        mechanism="a task is remembered under its idempotency key",
        file=f"{SCRIPTS}/submit.lua",
        old="  call('SET', key_idempotency(namespace, task.q, key), task.id .. hash)\n",
        new="",
        tests=(
            "tests/store/test_submit.py::test_a_key_gives_the_same_task_also_after_it_has_ended",
        ),
    ),
    Mutant(
        name="idempotency-window",
        promise="P4",
        mechanism="a key outlives its task until its window is over",
        file=f"{SCRIPTS}/prelude/ending.lua",
        old="digits(math.max(task.iw, now + 1))",
        new="digits(now + 1)",
        tests=(
            "tests/store/test_submit.py"
            "::test_a_key_is_remembered_as_long_as_its_task_lives_and_then_for_its_window",
        ),
    ),
    Mutant(
        name="retry-request-record",
        promise="P4",
        mechanism="a retry is remembered under its request id",
        file=f"{SCRIPTS}/retry.lua",
        old="  call('SET', key_request(namespace, request_id), id, 'PX',"
        " digits(LIMITS.request_window_ms))\n",
        new="",
        tests=(
            "tests/store/test_operators.py::test_a_retry_under_the_same_request_id_happens_once",
        ),
    ),
)
"""In the order of the promises."""
