"""The client against a real server with a real store."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock import (
    Client,
    ConflictPolicy,
    ExecutionOutcome,
    RetryPolicy,
    TaskCancelled,
    TaskEventKind,
    TaskFailed,
    TaskNotEnded,
    TaskRequest,
    TaskState,
    Timeouts,
    pages,
)
from penstock import payload as payloads
from penstock.cli import pages as cli_pages
from penstock.cli.rpc import connected
from penstock.cli.session import Session
from penstock.errors import (
    EtagMismatch,
    FieldInvalid,
    IdempotencyKeyReused,
    NamespaceAlreadyExists,
    NamespaceNotFound,
    QueueNotFound,
    TaskAlreadyExists,
    TaskNotFound,
    TaskStateConflict,
    TaskTypeNotFound,
    TooLarge,
    WorkerNotFound,
)
from penstock.v1 import execution_pb2, task_pb2, worker_pb2
from penstock.v1 import worker_service_pb2 as pb

UNKNOWN = "0" * 26


def completed(value: object) -> pb.CompleteReport:
    return pb.CompleteReport(result=payloads.encode(value))


def failed(kind: str, message: str) -> pb.FailReport:
    return pb.FailReport(failure=task_pb2.Failure(kind=kind, message=message))


async def test_a_submitted_task_is_there_as_it_was_asked_for(client):
    due = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)

    submitted = await client.submit(
        "images.resize",
        {"path": "ä.png"},
        queue="images",
        priority=9,
        run_at=due,
        labels={"team": "web"},
        retry=RetryPolicy(max_attempts=7),
    )
    task = await client.get(submitted.task_id)

    assert not submitted.existing
    assert task.state is TaskState.SCHEDULED
    assert task.payload == {"path": "ä.png"}
    assert (task.queue, task.priority, task.schedule_time) == ("images", 9, due)
    assert task.labels == {"team": "web"}
    assert task.spec.retry_policy.max_attempts == 7
    assert task.create_time is not None


async def test_run_returns_what_the_handler_answered(client, hand):
    async with asyncio.TaskGroup() as group:
        run = group.create_task(client.run("add", [1, 2]))
        lease = await hand.lease("add")
        numbers = payloads.decode(lease.spec.payload)
        await hand.report(lease, complete=completed({"sum": sum(numbers)}))

    assert run.result() == {"sum": 3}


async def test_run_raises_what_became_of_the_task(client, hand):
    async with asyncio.TaskGroup() as group:
        run = group.create_task(
            client.run_task("add", retry=RetryPolicy(max_attempts=1), labels={"a": "b"})
        )
        lease = await hand.lease("add")
        await hand.report(lease, fail=failed("ValueError", "no"))
    with pytest.raises(TaskFailed, match="ValueError: no") as raised:
        await client.await_result(run.result().task_id)
    assert raised.value.task.attempt == 1

    submitted = await client.submit("add")
    await client.cancel(submitted.task_id, reason="not needed")
    with pytest.raises(TaskCancelled, match="requested"):
        await client.await_result(submitted.task_id)


async def test_a_wait_that_is_over_leaves_the_task_alone(client):
    submitted = await client.submit("add")

    with pytest.raises(TaskNotEnded):
        await client.await_result(submitted.task_id, timeout=timedelta(milliseconds=50))

    assert (await client.get(submitted.task_id)).state is TaskState.READY


async def test_many_tasks_are_all_there_in_order(client):
    results = await client.submit_many(
        TaskRequest("t", {"n": number}, queue="many") for number in range(2_500)
    )

    ids = [result.unwrap() for result in results]
    assert len(set(ids)) == 2_500
    assert (await client.queues.get("many")).stats.ready_count == 2_500
    assert (await client.get(ids[1_999])).payload == {"n": 1_999}


async def test_a_batch_answers_item_by_item(client):
    results = await client.submit_many(
        [TaskRequest("t"), TaskRequest("t", priority=17), TaskRequest("t", b"x" * 2_000_000)]
    )

    assert results[0].unwrap()
    assert isinstance(results[1].error, FieldInvalid)
    assert [violation.field for violation in results[1].error.violations] == ["spec.priority"]
    assert isinstance(results[2].error, TooLarge)


async def test_all_or_none_stores_none_if_one_is_refused(client):
    requests = [TaskRequest("t", queue="whole"), TaskRequest("t", queue="whole", priority=17)]

    results = await client.submit_many(requests, all_or_none=True)

    assert all(result.error is not None for result in results)
    with pytest.raises(QueueNotFound):
        await client.queues.get("whole")


async def test_concurrent_submits_keep_their_own_outcomes(client):
    answers: list[Any] = await asyncio.gather(
        *(client.submit("t", n, priority=n % 12) for n in range(120)), return_exceptions=True
    )

    refused = [n for n, answer in enumerate(answers) if isinstance(answer, FieldInvalid)]
    assert refused == [n for n in range(120) if n % 12 > 9]
    assert len({answer.task_id for n, answer in enumerate(answers) if n % 12 <= 9}) == 100


async def test_an_idempotency_key_gives_one_task(client):
    first = await client.submit("t", 1, idempotency_key="k")
    again = await client.submit("t", 1, idempotency_key="k")

    assert again.task_id == first.task_id
    assert (first.existing, again.existing) == (False, True)
    with pytest.raises(TaskAlreadyExists) as exists:
        await client.submit("t", 1, idempotency_key="k", conflict=ConflictPolicy.REJECT)
    assert exists.value.facts["task_id"] == first.task_id
    with pytest.raises(IdempotencyKeyReused):
        await client.submit("t", 2, idempotency_key="k")


async def test_a_watch_by_id_begins_with_the_task_and_ends_with_it(client, hand):
    submitted = await client.submit("t")
    updates = client.watch(task_ids=[submitted.task_id])

    async with aclosing(updates):
        first = await anext(updates)
        lease = await hand.lease("t")
        await hand.report(lease, complete=completed(None))
        kinds = [event.kind async for update in updates for event in update.events]

    assert [task.task_id for task in first.tasks] == [submitted.task_id]
    assert kinds[0] is TaskEventKind.LEASED
    assert kinds[-1] is TaskEventKind.SUCCEEDED


async def test_a_watch_goes_on_at_a_cursor_in_another_client(client, penstock_options):
    updates = client.watch(queues=["q"])
    async with aclosing(updates):
        begun = await anext(updates)
    submitted = [(await client.submit("t", queue="q")).task_id for _ in range(5)]
    await client.submit("t", queue="other")

    seen: list[str] = []
    async with Client(penstock_options) as other:
        updates = other.watch(queues=["q"], cursor=begun.cursor)
        async with aclosing(updates):
            async for update in updates:
                seen += [event.task_id for event in update.events]
                if len(seen) >= 5:
                    break

    assert sorted(seen) == sorted(submitted)


async def test_logs_are_followed_until_the_task_has_ended(client, hand):
    submitted = await client.submit("t")
    lease = await hand.lease("t")
    lines = [
        execution_pb2.LogLine(
            number=number, stream=execution_pb2.LOG_STREAM_STDOUT, text=f"line {number}"
        )
        for number in range(1, 4)
    ]

    async with asyncio.TaskGroup() as group:

        async def follow() -> list[str]:
            return [line.text async for line in client.tail_logs(submitted.task_id, follow=True)]

        followed = group.create_task(follow())
        await hand.report(lease, log_lines=lines[:2])
        await hand.report(lease, log_lines=lines[2:], complete=completed(None))

    assert followed.result() == ["line 1", "line 2", "line 3"]
    assert [line.number async for line in client.tail_logs(submitted.task_id)] == [1, 2, 3]


async def test_a_dead_letter_runs_again_with_an_edited_spec(client, hand):
    submitted = await client.submit("t", {"n": 1}, retry=RetryPolicy(max_attempts=1))
    await hand.report(await hand.lease("t"), fail=failed("ValueError", "n is 1"))
    dead = await client.await_task(submitted.task_id)
    assert dead.state is TaskState.FAILED

    edited = task_pb2.TaskSpec()
    edited.CopyFrom(dead.spec)
    edited.payload.CopyFrom(payloads.encode({"n": 2}))
    await client.retry(submitted.task_id, edited)
    lease = await hand.lease("t")
    await hand.report(lease, complete=completed("ok"))

    assert payloads.decode(lease.spec.payload) == {"n": 2}
    assert await client.await_result(submitted.task_id) == "ok"
    outcomes = [execution.outcome async for execution in client.executions(submitted.task_id)]
    assert outcomes == [ExecutionOutcome.SUCCEEDED, ExecutionOutcome.FAILED]
    first = await client.execution(submitted.task_id, 1)
    assert first.failure is not None
    assert first.failure.message == "n is 1"


async def test_a_waiting_task_is_updated_ended_and_deleted(client):
    submitted = await client.submit("t", labels={"a": "1"})
    task = await client.get(submitted.task_id)

    changed = await client.update(submitted.task_id, labels={"b": "2"}, priority=8, etag=task.etag)
    with pytest.raises(EtagMismatch):
        await client.update(submitted.task_id, owner="me", etag=task.etag)
    ended = await client.end(submitted.task_id, result={"by": "hand"})
    result = await client.await_result(submitted.task_id)
    await client.delete(submitted.task_id)

    assert (changed.labels, changed.priority) == ({"b": "2"}, 8)
    assert ended.state is TaskState.SUCCEEDED
    assert result == {"by": "hand"}
    with pytest.raises(TaskNotFound):
        await client.get(submitted.task_id)


async def test_what_is_not_there_or_not_possible_is_refused_by_its_own_class(client):
    ended = (await client.submit("t")).task_id
    await client.end(ended, failure="given up")

    with pytest.raises(TaskNotFound):
        await client.get(UNKNOWN)
    with pytest.raises(TaskStateConflict):
        await client.cancel(ended)
    with pytest.raises(QueueNotFound):
        await client.queues.get("nowhere")
    with pytest.raises(WorkerNotFound):
        await client.workers.drain("nobody")
    with pytest.raises(FieldInvalid):
        await client.submit("not a name!")
    with pytest.raises(TaskNotFound):
        await anext(client.tail_logs(UNKNOWN))


async def test_queues_are_set_paused_peeked_and_purged(client):
    await client.submit_many(TaskRequest("t", queue="q") for _ in range(3))

    updated = await client.queues.update("q", description="mine", retry=RetryPolicy(max_attempts=9))
    paused = await client.queues.pause("q", reason="deploy")
    peeked = await client.queues.peek("q", limit=2)
    purged = await client.queues.purge("q")
    resumed = await client.queues.resume("q")

    assert updated.config.description == "mine"
    assert updated.config.retry_policy.max_attempts == 9
    assert (paused.paused, paused.pause_reason) == (True, "deploy")
    assert len(peeked.ready) == 2
    assert purged == 3
    assert not resumed.paused
    assert "q" in [queue.queue async for queue in client.queues.list()]


async def test_a_list_of_several_pages_is_read_to_its_end(client, monkeypatch):
    monkeypatch.setattr(pages, "PAGE_SIZE", 2)
    names = [f"q{number}" for number in range(5)]
    for name in names:
        await client.queues.pause(name)

    listed = [queue.queue async for queue in client.queues.list()]

    assert listed == names


def test_the_command_line_reads_a_list_of_several_pages_to_its_end(penstock_client, monkeypatch):
    monkeypatch.setattr(cli_pages, "PAGE_SIZE", 2)
    names = [f"q{number}" for number in range(5)]
    with penstock_client as client:
        for name in names:
            client.queues.pause(name)

        options = client.options
        with connected(Session(address=options.address)) as server:
            listed = cli_pages.all_queues(server, options.namespace)

    assert [queue.queue for queue in listed] == names


async def first_worker(client: Client) -> worker_pb2.Worker:
    """Servers write down about once a second which sessions they heard of."""
    async with asyncio.timeout(20):
        while True:
            async for worker in client.workers.list():
                return worker
            await asyncio.sleep(0.1)


async def test_workers_are_listed_and_drained(client, hand):
    await client.submit("t")
    lease = await hand.lease("t")

    worker = await first_worker(client)
    drained = await client.workers.drain(worker.session.session_id, reason="deploy")
    await hand.report(lease, complete=completed(None))

    assert list(worker.task_types) == ["t"]
    assert drained.session.session_id == worker.session.session_id


async def test_namespaces_are_made_changed_and_removed(client, penstock_server):
    name = penstock_server.new_namespace()

    with pytest.raises(NamespaceAlreadyExists):
        await client.namespaces.create(name)
    changed = await client.namespaces.update(name, description="changed", labels={"a": "b"})
    listed = [namespace.namespace async for namespace in client.namespaces.list()]
    await client.namespaces.delete(name)

    assert changed.description == "changed"
    assert {name, "default"} <= set(listed)
    with pytest.raises(NamespaceNotFound):
        await client.namespaces.get(name)


async def test_task_types_are_made_changed_and_removed(client):
    await client.task_types.create("images.resize", retry=RetryPolicy(max_attempts=9), priority=7)
    changed = await client.task_types.update(
        "images.resize", description="changed", reset=["priority"]
    )
    task = await client.get((await client.submit("images.resize")).task_id)
    listed = [item.task_type async for item in client.task_types.list()]
    await client.task_types.delete("images.resize")

    assert changed.config.description == "changed"
    assert not changed.config.HasField("priority")
    assert task.pb.spec.retry_policy.max_attempts == 9
    assert listed == ["images.resize"]
    with pytest.raises(TaskTypeNotFound):
        await client.task_types.get("images.resize")


def test_the_blocking_client_knows_task_types_too(penstock_client):
    with penstock_client as client:
        client.task_types.create("images.resize", timeouts=Timeouts(total=timedelta(hours=1)))
        client.task_types.update("images.resize", retention=timedelta(minutes=1))
        found = client.task_types.get("images.resize")
        listed = [item.task_type for item in client.task_types.list()]
        client.task_types.delete("images.resize")

    assert found.config.timeouts.total.seconds == 3600
    assert found.config.retention.seconds == 60
    assert listed == ["images.resize"]


def test_the_blocking_client_does_the_same(penstock_client):
    with penstock_client as client:
        ids = [
            result.unwrap()
            for result in client.submit_many(TaskRequest("t", n, queue="b") for n in range(30))
        ]
        client.end(ids[0], result="done")
        watch = client.watch(task_ids=ids[:1])

        assert client.await_result(ids[0]) == "done"
        assert [task.state for task in next(watch).tasks] == [TaskState.SUCCEEDED]
        assert list(watch) == []
        assert [queue.queue for queue in client.queues.list()] == ["b"]
        assert client.queues.purge("b") == 29
