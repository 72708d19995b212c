"""The commands against a real server with a real worker."""

from __future__ import annotations

import json
import uuid

import pytest
from e2e.cli.harness import Command, Up, penstock

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


@pytest.fixture
def queue():
    """A queue that only this test uses and nobody serves."""
    return f"q-{uuid.uuid4().hex[:12]}"


def shell(command: str) -> str:
    return json.dumps({"command": command})


def submit(up: Up, task_type: str, *words: str) -> str:
    return str(up.json("submit", task_type, *words)["task"]["taskId"])


# ---- submit and run ------------------------------------------------------------------------------


def test_run_prints_the_log_on_standard_error_and_succeeds(up):
    ran = up.penstock("run", "shell", shell("echo hello; echo oops >&2"))

    assert ran.returncode == 0, ran.stderr
    assert "hello" in ran.stderr
    assert "oops" in ran.stderr


def test_run_of_a_task_that_fails_ends_with_status_1_and_says_why(up):
    ran = up.penstock("run", "shell", shell("exit 3"), "--max-attempts", "1")

    assert ran.returncode == 1
    assert ran.stdout == ""
    assert "CommandFailed: shell: the command ended with exit status 3" in ran.stderr
    what, remedy = ran.stderr.splitlines()[-2:]
    assert what.endswith("is FAILED")
    assert "penstock tasks retry" in remedy


def test_run_with_json_answers_one_document(up):
    ran = up.penstock("run", "shell", shell("true"), "--json")

    assert json.loads(ran.stdout)["state"] == "TASK_STATE_SUCCEEDED"


def test_submit_prints_the_id_and_nothing_else(up, queue):
    ran = up.penstock("submit", "later", "{}", "--queue", queue)

    assert ran.returncode == 0
    assert len(ran.stdout.strip()) == 26


def test_a_payload_comes_from_a_file_or_from_standard_input(up, queue, tmp_path):
    path = tmp_path / "payload.json"
    path.write_text('{"from": "file"}')

    of_file = submit(up, "later", f"@{path}", "--queue", queue)
    of_stdin = up.json("submit", "later", "-", "--queue", queue, stdin='{"from": "stdin"}')

    assert '"from": "file"' in up.penstock("tasks", "get", of_file).stdout
    assert '"from": "stdin"' in up.penstock("tasks", "get", of_stdin["task"]["taskId"]).stdout


def test_the_same_idempotency_key_gives_the_same_task(up, queue):
    words = ("later", "{}", "--queue", queue, "--idempotency-key", "once")

    first = up.json("submit", *words)
    second = up.json("submit", *words)

    assert second["task"]["taskId"] == first["task"]["taskId"]
    assert second["existing"]


def test_markup_in_a_payload_is_shown_as_it_is(up, queue):
    task_id = submit(up, "later", '"[bold]x[/bold] \\u001b[31m"', "--queue", queue)

    shown = up.penstock("tasks", "get", task_id).stdout

    assert "[bold]x[/bold]" in shown
    assert "\x1b" not in shown


# ---- tasks ---------------------------------------------------------------------------------------


def test_cancel_ends_a_waiting_task_at_once(up, queue):
    task_id = submit(up, "later", "--queue", queue)

    ran = up.penstock("tasks", "cancel", task_id, "--reason", "no longer wanted")

    assert ran.stdout == f"task {task_id} is CANCELLED (requested)\n"


def test_cancel_stops_a_running_task(up):
    task_id = submit(up, "shell", shell("echo started; sleep 60"))
    with Command("logs", "-f", task_id, "--json", address=up.address) as logs:
        logs.wait_for(lambda line: line["text"] == "started")

    up.penstock("tasks", "cancel", task_id, "--grace", "1s")

    with Command("watch", task_id, "--json", address=up.address) as watch:
        assert watch.process.wait(30) == 0
    assert up.json("tasks", "get", task_id)["state"] == "TASK_STATE_CANCELLED"


def test_a_dead_letter_is_retried_with_another_payload_under_its_id(up):
    failed = up.penstock("run", "shell", shell("exit 3"), "--max-attempts", "1", "--json")
    task_id = json.loads(failed.stdout)["taskId"]

    retried = up.penstock("tasks", "retry", task_id, "--payload", shell("echo well"))

    assert retried.returncode == 0, retried.stderr
    assert penstock("watch", task_id, address=up.address).returncode == 0
    assert up.json("tasks", "get", task_id)["state"] == "TASK_STATE_SUCCEEDED"
    outcomes = [item["outcome"] for item in up.json("tasks", "executions", task_id)]
    assert outcomes == ["EXECUTION_OUTCOME_SUCCEEDED", "EXECUTION_OUTCOME_FAILED"]


def test_retry_with_an_editor_takes_what_was_saved(up, queue, tmp_path):
    task_id = submit(up, "later", '{"n": 1}', "--queue", queue)
    up.penstock("tasks", "cancel", task_id)
    editor = tmp_path / "editor.sh"
    editor.write_text('#!/bin/sh\nsed -i \'s/"n": 1/"n": 2/\' "$1"\n')
    editor.chmod(0o755)

    ran = up.penstock("tasks", "retry", task_id, "--edit", EDITOR=str(editor))

    assert ran.returncode == 0, ran.stderr
    assert '"n": 2' in up.penstock("tasks", "get", task_id).stdout


def test_an_operator_ends_a_task_with_a_result(up, queue):
    task_id = submit(up, "later", "--queue", queue)

    ran = up.penstock("tasks", "end", task_id, "--result", '{"by": "hand"}')

    assert ran.returncode == 0, ran.stderr
    assert up.json("tasks", "get", task_id)["state"] == "TASK_STATE_SUCCEEDED"


def test_delete_needs_a_yes_and_then_forgets_the_task(up, queue):
    task_id = submit(up, "later", "--queue", queue)
    up.penstock("tasks", "cancel", task_id)

    unanswered = up.penstock("tasks", "delete", task_id)
    answered = up.penstock("tasks", "delete", task_id, "--yes")

    assert unanswered.returncode == 2
    assert answered.returncode == 0, answered.stderr
    assert up.penstock("tasks", "get", task_id).returncode == 1


# ---- queues --------------------------------------------------------------------------------------


def test_queues_show_begins_with_why_the_queue_is_not_served(up, queue):
    task_id = submit(up, "nobody.serves.this", "--queue", queue)

    shown = up.penstock("queues", "show", queue).stdout

    assert shown.splitlines()[0].startswith(f"{queue} is UNSERVED")
    assert task_id in shown


def test_a_queue_is_paused_resumed_and_purged(up, queue):
    submit(up, "later", "--queue", queue)

    paused = up.json("queues", "pause", queue, "--reason", "upgrade")
    shown = up.penstock("queues", "show", queue).stdout
    resumed = up.json("queues", "resume", queue)
    purged = up.json("queues", "purge", queue, "--yes")

    assert paused["paused"]
    assert "upgrade" in shown
    assert not resumed.get("paused", False)
    assert purged["taskCount"] == 1 or purged["taskCount"] == "1"


def test_queue_settings_change_one_by_one(up, queue):
    up.json("queues", "update", queue, "--lease", "30s")
    found = up.json("queues", "update", queue, "--max-attempts", "9")

    assert found["config"]["leaseDuration"] == "30s"
    assert found["config"]["retryPolicy"]["maxAttempts"] == 9


def test_task_types_are_set_shown_and_removed(up):
    up.json("types", "set", "cli.resize", "--max-attempts", "9")
    found = up.json("types", "set", "cli.resize", "--priority", "7", "--execution-timeout", "2m")
    task_id = submit(up, "cli.resize")
    listed = up.penstock("types", "list").stdout

    assert found["config"]["retryPolicy"]["maxAttempts"] == 9, "what is not named stays"
    assert up.json("tasks", "get", task_id)["spec"]["priority"] == 7
    assert "cli.resize" in listed
    assert "2 m" in up.penstock("types", "show", "cli.resize").stdout
    assert up.json("types", "delete", "cli.resize", "--yes")["deleted"]
    gone = up.penstock("types", "show", "cli.resize")
    assert gone.returncode != 0
    assert "penstock types list" in gone.stderr


# ---- logs and watch ------------------------------------------------------------------------------


def test_logs_are_read_again_from_a_cursor_without_gap_or_repeat(up):
    task_id = json.loads(up.penstock("run", "shell", shell("echo a; echo b"), "--json").stdout)[
        "taskId"
    ]

    first = up.penstock("logs", task_id, "--json").stdout.splitlines()
    cursor = json.loads(first[-1])["cursor"]
    rest = up.penstock("logs", task_id, "--json", "--cursor", cursor).stdout

    assert [json.loads(line)["text"] for line in first] == ["a", "b"]
    assert rest == ""


def test_watch_tells_what_happens_in_one_queue(up, queue):
    with Command("watch", "--queue", queue, "--json", address=up.address) as watch:
        task_id = ""
        while not watch.seen:
            # The watch may begin after the first submit: only what comes later is certain.
            task_id = submit(up, "later", "--queue", queue)
            try:
                watch.wait_for(lambda line: True, timeout=2)
            except AssertionError:
                assert watch.process.poll() is None
        up.penstock("tasks", "cancel", task_id)

        cancelled = watch.wait_for(
            lambda line: line["kind"] == "TASK_EVENT_KIND_CANCELLED" and line["taskId"] == task_id
        )

        assert cancelled["cursor"]
        assert watch.interrupt() == 130


# ---- others --------------------------------------------------------------------------------------


def test_workers_and_top_show_the_worker(up):
    workers = up.json("workers", "list")
    top = up.penstock("top", "--once")

    assert workers[0]["session"]["slots"] > 0
    assert "HEALTHY" in top.stdout


def test_a_namespace_is_made_used_and_removed(up):
    name = f"n-{uuid.uuid4().hex[:12]}"
    up.json("namespaces", "create", name, "--label", "stage=test")

    listed = up.json("namespaces", "list")
    unknown = up.penstock("queues", "list", "--namespace", f"{name}-not")
    removed = up.penstock("namespaces", "delete", name, "--yes")

    assert name in {item["namespace"] for item in listed}
    assert unknown.returncode == 1
    assert "NAMESPACE_NOT_FOUND" in unknown.stderr
    assert removed.returncode == 0, removed.stderr


def test_doctor_says_which_line_of_the_durability_promise_holds(up):
    ran = up.penstock("doctor", "--data", str(up.data), "--json")

    found = {item["check"]: item for item in json.loads(ran.stdout)}
    assert found["server"]["verdict"] == "ok"
    assert found["durability"]["verdict"] == "ok"
    assert "fsync everysec" in found["durability"]["found"]
    assert found["clock"]["verdict"] == "ok"


def test_an_unknown_task_is_refused_with_its_reason_in_json_too(up):
    ran = up.penstock("tasks", "get", "0" * 26, "--json")

    error = json.loads(ran.stderr)["error"]
    assert ran.returncode == 1
    assert error["reason"] == "TASK_NOT_FOUND"
    assert error["metadata"]["task_id"] == "0" * 26


def test_a_field_out_of_bounds_is_named(up):
    ran = up.penstock("submit", "not a type!")

    assert ran.returncode == 1
    assert "spec.task_type" in ran.stderr
    assert "FIELD_INVALID" in ran.stderr


def test_a_server_that_is_not_there_ends_with_status_3():
    ran = penstock("tasks", "get", "x", "--address", "127.0.0.1:1")

    assert ran.returncode == 3
    assert "penstock up" in ran.stderr
    assert len(ran.stderr.splitlines()) == 2
