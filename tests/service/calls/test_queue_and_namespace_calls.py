"""QueueService and NamespaceService over the wire."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from penstock.v1 import queue_pb2, task_pb2
from support.service import App, Worker


async def queue_of(app: App, name: str = "q"):
    return (await app.call("GetQueue", queue=name)).queue


# ---- queues -------------------------------------------------------------------------------------


async def test_a_queue_that_nobody_serves_says_so(app: App):
    await app.submit()

    queue = await queue_of(app)

    assert queue.health == queue_pb2.QUEUE_HEALTH_UNSERVED
    assert "no live worker" in queue.health_reason
    assert (queue.stats.ready_count, dict(queue.stats.ready_by_type)) == (1, {"work": 1})
    assert queue.stats.HasField("oldest_ready_age")


async def test_a_type_that_nobody_serves_is_named(app: App):
    worker = Worker(app)
    poll = worker.poll(9, task_types=["other"], wait=20)
    await app.submit()

    queue = await queue_of(app)
    while not queue.stats.worker_count:  # sessions are written down once a second
        await asyncio.sleep(0.05)
        queue = await queue_of(app)

    assert queue.health == queue_pb2.QUEUE_HEALTH_UNSERVED
    assert queue.health_reason == "no live worker of the queue serves work"
    poll.cancel()


async def test_a_paused_queue_takes_tasks_and_hands_out_none(app: App):
    paused = (await app.call("PauseQueue", queue="q", reason="because")).queue
    assert (paused.paused, paused.health_reason) == (True, "paused: because")
    task_id = await app.submit()
    worker = Worker(app)
    assert not (await worker.poll(wait=0)).leases
    poll = worker.poll()

    resumed = (await app.call("ResumeQueue", queue="q")).queue

    assert not resumed.paused
    assert [lease.task_id for lease in (await poll).leases] == [task_id]


async def test_a_config_is_changed_field_by_field(app: App):
    config = {"description": "about", "lease_duration": {"seconds": 9}, "retention": {"seconds": 5}}
    made = (await app.call("UpdateQueue", queue="q", config=config)).queue
    changed = await app.call(
        "UpdateQueue",
        queue="q",
        config={"description": "other", "retention": {"seconds": 6}},
        update_mask={"paths": ["description", "lease_duration"]},
        etag=made.etag,
    )

    found = changed.queue.config
    assert (found.description, found.retention.seconds) == ("other", 5)
    assert not found.HasField("lease_duration")
    assert changed.queue.etag != made.etag
    refusal = await app.refusal("UpdateQueue", queue="q", config={}, etag=made.etag)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    cleared = await app.call("UpdateQueue", queue="q", config={}, update_mask={"paths": ["*"]})
    assert cleared.queue.config == queue_pb2.QueueConfig()


async def test_queues_are_listed_page_by_page(app: App):
    names = [f"q{n}" for n in range(5)]
    for name in names:
        await app.submit(name)

    found, token = [], ""
    while True:
        page = await app.call("ListQueues", page_size=2, page_token=token)
        found.append([queue.queue for queue in page.queues])
        token = page.next_page_token
        if not token:
            break

    assert found == [names[:2], names[2:4], names[4:]]


async def test_a_purge_cancels_what_waits_and_nothing_else(app: App):
    worker = Worker(app)
    running = await app.submit()
    lease = await worker.lease()
    waiting = [await app.submit(), await app.submit(delay={"seconds": 60})]

    assert (await app.call("PurgeQueue", queue="q")).task_count == 2

    assert not (await worker.poll(wait=0)).leases
    for task_id in waiting:
        task = (await app.call("AwaitTask", task_id=task_id, wait={"seconds": 10})).task
        assert task.cancel_reason == task_pb2.CANCEL_REASON_PURGED
    await worker.report(lease, complete={})
    assert (await app.task(running)).state == task_pb2.TASK_STATE_SUCCEEDED
    stats = (await queue_of(app)).stats
    assert (stats.ready_count, stats.scheduled_count, stats.running_count) == (0, 0, 0)


async def test_a_peek_shows_the_first_of_each_kind_without_payloads(app: App):
    worker = Worker(app)
    dead = await app.submit(retry_policy={"max_attempts": 1})
    await worker.report(await worker.lease(), fail={})
    running = await app.submit()
    await worker.lease()
    later = await app.submit(delay={"seconds": 60})
    last, first = await app.submit(payload={"data": b"x"}), await app.submit(priority=9)

    peek = await app.call("PeekQueue", queue="q")

    found = [[task.task_id for task in kind] for kind in (peek.ready, peek.scheduled)]
    assert found == [[first, last], [later]]
    assert [[t.task_id for t in kind] for kind in (peek.running, peek.dead)] == [[running], [dead]]
    assert not peek.ready[1].spec.HasField("payload")


@pytest.mark.parametrize("method", ["GetQueue", "ResumeQueue", "PurgeQueue", "PeekQueue"])
async def test_an_unknown_queue_is_not_found(app: App, method: str):
    refusal = await app.refusal(method, queue="nowhere")

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "QUEUE_NOT_FOUND")


# ---- namespaces ---------------------------------------------------------------------------------


async def test_a_namespace_lives_and_ends(app: App):
    given = {"namespace": "team", "description": "about", "labels": {"a": "1"}}
    made = (await app.call("CreateNamespace", namespace=given)).namespace
    assert (made.description, dict(made.labels)) == ("about", {"a": "1"})
    assert (await app.refusal("CreateNamespace", namespace=given)).reason == (
        "NAMESPACE_ALREADY_EXISTS"
    )

    changed = await app.call(
        "UpdateNamespace",
        namespace={"namespace": "team", "labels": {"b": "2"}, "etag": made.etag},
    )
    assert (changed.namespace.description, dict(changed.namespace.labels)) == ("about", {"b": "2"})
    stale = {"namespace": "team", "description": "x", "etag": made.etag}
    assert (await app.refusal("UpdateNamespace", namespace=stale)).reason == "ETAG_MISMATCH"

    spec = {"task_type": "work"}
    task = (await app.call("SubmitTask", namespace="team", spec=spec)).task
    assert (await app.refusal("DeleteNamespace", namespace="team")).reason == "NAMESPACE_NOT_EMPTY"
    await app.call("CancelTask", namespace="team", task_id=task.task_id)
    await app.call("DeleteNamespace", namespace="team")

    refusal = await app.refusal("SubmitTask", namespace="team", spec=spec)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "NAMESPACE_NOT_FOUND")


async def test_default_stays(app: App):
    assert (await app.refusal("DeleteNamespace", namespace="default")).reason == (
        "NAMESPACE_NOT_EMPTY"
    )


async def test_namespaces_are_listed_page_by_page(app: App):
    for name in ("c", "a", "b"):
        await app.call("CreateNamespace", namespace={"namespace": name})

    first = await app.call("ListNamespaces", page_size=3)
    rest = await app.call("ListNamespaces", page_size=3, page_token=first.next_page_token)

    assert [n.namespace for n in (*first.namespaces, *rest.namespaces)] == [
        "a",
        "b",
        "c",
        "default",
    ]
    assert not rest.next_page_token


async def test_namespaces_do_not_see_each_other(app: App):
    await app.call("CreateNamespace", namespace={"namespace": "other"})
    task_id = await app.submit()

    assert (await app.refusal("GetTask", namespace="other", task_id=task_id)).reason == (
        "TASK_NOT_FOUND"
    )
    assert not (await app.call("ListQueues", namespace="other")).queues
    assert not (await Worker(app).poll(wait=0, namespace="other")).leases
