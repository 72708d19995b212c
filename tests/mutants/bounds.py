"""P9 to P12: bounds, refusals, cancels, health; and who may call what."""

from __future__ import annotations

from typing import Final

from .mutant import SCRIPTS, SERVER, WORKER, Mutant

MUTANTS: Final = (
    Mutant(
        name="backlog-count",
        promise="P9",
        mechanism="the backlog is bounded by count",
        file=f"{SCRIPTS}/submit.lua",
        old="return before[1] + tasks <= LIMITS.backlog_count and before[2]",
        new="return before[2]",
        tests=(
            "tests/store/test_submit.py::test_a_full_backlog_refuses_new_tasks_until_there_is_room",
        ),
    ),
    Mutant(
        name="backlog-bytes",
        promise="P9",
        mechanism="the backlog is bounded in bytes",
        file=f"{SCRIPTS}/submit.lua",
        old=" and before[2] + bytes <= LIMITS.backlog_bytes",
        new="",
        tests=("tests/store/test_submit.py::test_a_backlog_is_bounded_in_bytes_too",),
    ),
    Mutant(
        name="queue-count",
        promise="P9",
        mechanism="a namespace has only so many queues",
        file=f"{SCRIPTS}/submit.lua",
        old="or call('ZCARD', key_queues(namespace)) < LIMITS.queues_per_namespace",
        new="or true",
        tests=("tests/store/test_submit.py::test_queues_of_a_namespace_are_bounded",),
    ),
    Mutant(
        name="log-bound",
        promise="P9",
        mechanism="the log of an execution is bounded in lines and bytes",
        file=f"{SCRIPTS}/log.lua",
        old="local cut = last >= LIMITS.log_lines or bytes >= LIMITS.log_bytes",
        new="local cut = false",
        tests=(
            "tests/store/test_streams.py::test_beyond_the_bound_one_mark_says_that_lines_were_cut",
        ),
    ),
    Mutant(
        name="leasing-stop",
        promise="P9",
        mechanism="a store that is too full hands out nothing",
        file=f"{SERVER}/engine/pressure.py",
        old="return not self.reason",
        new="return True",
        tests=(
            "tests/service/calls/test_pressure.py"
            "::test_leasing_stops_when_the_store_is_too_full_and_reports_are_taken",
        ),
    ),
    Mutant(
        name="retention-age",
        promise="P9",
        mechanism="ended tasks go by their age",
        file=f"{SCRIPTS}/prune.lua",
        old="local aged = call('ZCOUNT', key_ended(), '-inf', digits(now))",
        new="local aged = 0",
        tests=("tests/store/test_upkeep.py::test_full_records_go_by_age_and_leave_a_stub",),
    ),
    Mutant(
        name="retention-count",
        promise="P9",
        mechanism="ended tasks go by their count",
        file=f"{SCRIPTS}/prune.lua",
        old="math.max(aged, call('ZCARD', key_ended()) - LIMITS.ended_count)",
        new="aged",
        tests=(
            "tests/store/test_upkeep.py"
            "::test_full_records_are_bounded_by_count_the_oldest_go_first",
        ),
    ),
    Mutant(
        name="executions-kept",
        promise="P9",
        mechanism="of a task only the latest executions are kept",
        file=f"{SCRIPTS}/prelude/ending.lua",
        old="  if kept > LIMITS.executions_kept then call('LPOP', key) end\n",
        new="",
        tests=("tests/store/test_endings.py::test_only_the_latest_executions_are_kept",),
    ),
    Mutant(
        name="payload-size",
        promise="P9",
        mechanism="a payload is bounded in bytes",
        file=f"{SERVER}/service/validate/payload.py",
        old="if size > limit:",
        new="if False:",
        tests=(
            "tests/service/test_bad_input.py::test_each_wrong_item_of_a_batch_is_refused_by_itself",
        ),
    ),
    Mutant(
        name="validate-before-write",
        promise="P10",
        mechanism="of an all-or-none batch with a misfit nothing is written",
        file=f"{SCRIPTS}/submit.lua",
        old="    if misfit then\n",
        new="    if misfit == position then\n",
        tests=(
            "tests/store/test_submit.py::test_all_or_none_writes_nothing_if_one_item_is_refused",
        ),
    ),
    Mutant(
        name="item-by-item",
        promise="P10",
        mechanism="a wrong item refuses itself and not its batch",
        file=f"{SERVER}/service/validate/submits.py",
        old="    return check_items(_item, request.items, limits, plain)\n",
        new="""    wrong = check_items(_item, request.items, limits, plain)
    for error in wrong:
        if error is not None:
            raise error
    return wrong
""",
        tests=(
            "tests/service/test_bad_input.py::test_each_wrong_item_of_a_batch_is_refused_by_itself",
        ),
        fails_with=("Refusal", "AioRpcError", "_InactiveRpcError"),
    ),
    Mutant(
        name="required-fields",
        promise="P10",
        mechanism="a required field that is missing is named",
        file=f"{SERVER}/service/validate/rules.py",
        old='                found.add(prefix + name, "is required")\n',
        new="                pass\n",
        tests=("tests/unit/service_validate/test_bounds.py",),
    ),
    Mutant(
        name="kill-after-term",
        promise="P11",
        mechanism="isolated code that ignores SIGTERM gets SIGKILL",
        file=f"{WORKER}/sweeper.py",
        old="            held.runner.kill(signal.SIGKILL)\n",
        new="",
        tests=(
            "tests/e2e/worker/test_stopping.py::test_isolated_code_that_ignores_sigterm_is_killed",
        ),
        fails_with=("TimeoutError", "Timeout"),
    ),
    Mutant(
        name="stop-ladder",
        promise="P11",
        mechanism="isolated code is killed once its notice is over",
        file=f"{WORKER}/sweeper.py",
        old="if held.is_isolated and held.kill_time is not None and now >= held.kill_time:",
        new="if False:",
        tests=(
            "tests/e2e/worker/test_stopping.py"
            "::test_cancel_kills_plain_isolated_code_and_all_that_it_started",
        ),
        fails_with=("TimeoutError", "Timeout"),
    ),
    Mutant(
        name="cancel-grace",
        promise="P11",
        mechanism="a cancelled task ends when its grace is over, whatever its worker does",
        file=f"{SCRIPTS}/reap.lua",
        old="if task.cancelled and task.cancelled <= now then",
        new="if false then",
        tests=("tests/store/test_reap.py::test_a_cancelled_task_ends_when_its_grace_is_over",),
    ),
    Mutant(
        name="directive-kept",
        promise="P11",
        mechanism="a cancel is kept for its session until it is acknowledged",
        file=f"{SCRIPTS}/direct.lua",
        old="return cmsgpack.pack({now, call('HVALS', key)})",
        new="local told = call('HVALS', key)\n"
        "if what == 'read' then call('DEL', key) end\n"
        "return cmsgpack.pack({now, told})",
        tests=(
            "tests/store/test_sessions.py::test_a_cancel_is_told_until_it_is_acknowledged_or_void",
        ),
    ),
    Mutant(
        name="directive-acknowledged",
        promise="P11",
        mechanism="a directive that was acknowledged is not told again",
        file=f"{SCRIPTS}/direct.lua",
        old="  call('HDEL', key, unpack(value))\n",
        new="",
        tests=(
            "tests/service/calls/test_worker_calls.py"
            "::test_directives_come_again_until_they_are_acknowledged",
        ),
    ),
    Mutant(
        name="queue-health",
        promise="P12",
        mechanism="a queue that no live worker polls is UNSERVED",
        file=f"{SERVER}/engine/queues.py",
        old='        return f"{record.ready} tasks wait and no live worker polls the queue"\n',
        new='        return ""\n',
        tests=(
            "tests/service/calls/test_queue_and_namespace_calls.py"
            "::test_a_queue_that_nobody_serves_says_so",
        ),
    ),
    Mutant(
        name="type-health",
        promise="P12",
        mechanism="a type that no live worker of the queue serves is named",
        file=f"{SERVER}/engine/queues.py",
        old="task_type for task_type in record.ready_by_type if task_type not in served",
        new="task_type for task_type in record.ready_by_type if False",
        tests=(
            "tests/service/calls/test_queue_and_namespace_calls.py"
            "::test_a_type_that_nobody_serves_is_named",
        ),
    ),
    Mutant(
        name="worker-silent",
        promise="P12",
        mechanism="a worker that was not heard of is SILENT",
        file=f"{SERVER}/engine/workers.py",
        old="return now_ms - session.seen_ms > SILENT_AFTER / timedelta(milliseconds=1)",
        new="return False",
        tests=("tests/unit/server_edge/test_worker_health.py",),
    ),
    Mutant(
        name="worker-draining",
        promise="P12",
        mechanism="a worker that was told to drain shows it",
        file=f"{SERVER}/service/convert/worker.py",
        old="    elif record.draining:\n",
        new="    elif False:\n",
        tests=("tests/service/calls/test_worker_calls.py::test_a_drain_is_told_and_shown",),
    ),
    Mutant(
        name="namespace-check",
        promise="P10",
        mechanism="a principal may call only in its own namespaces",
        file=f"{SERVER}/service/authorizer.py",
        old="        return principal.may_enter(namespace)\n",
        new="        return True\n",
        tests=("tests/unit/server_edge/test_roles.py::test_a_role_holds_in_its_namespaces_only",),
    ),
    Mutant(
        name="role-table",
        promise="P10",
        mechanism="a principal may call only what its role covers",
        file=f"{SERVER}/service/authorizer.py",
        old="if principal.role in allowed and _may_enter",
        new="if _may_enter",
        tests=("tests/service/edge/test_role_table.py::test_role_may_call_what_its_cell_says",),
    ),
)
"""In the order of the promises; who may call what stands with the refusals (P10)."""
