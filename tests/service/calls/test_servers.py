"""Several servers over one store, a server that drains, a store that goes away and comes back."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from penstock.v1 import task_pb2
from penstock_server.embedded.binary import find_binary
from support.service import TYPE, App, Worker, app_on
from support.stores import KINDS, StoreProgram, start_store

SUCCEEDED = task_pb2.TASK_STATE_SUCCEEDED


@pytest.fixture
async def pair(store: StoreProgram, tmp_path: Path) -> AsyncIterator[tuple[App, App]]:
    """Two servers over one store."""
    async with app_on(store, tmp_path) as a, app_on(store, tmp_path) as b:
        yield a, b


async def waits(call: asyncio.Task[Any]) -> bool:
    done, _ = await asyncio.wait([call], timeout=0.1)
    return not done


# ---- two servers --------------------------------------------------------------------------------


async def test_a_submit_at_one_server_wakes_a_poll_at_the_other(pair: tuple[App, App]):
    a, b = pair
    for queue in ("q1", "q2", "q3"):
        poll = Worker(b, queues=(queue,)).poll()
        assert await waits(poll)

        task_id = await a.submit(queue)

        (lease,) = (await poll).leases
        assert lease.task_id == task_id


async def test_an_end_at_one_server_ends_a_wait_at_the_other(pair: tuple[App, App]):
    a, b = pair
    spec = {"task_type": TYPE, "queue": "q"}
    running = asyncio.create_task(a.call("RunTask", spec=spec, wait={"seconds": 10}))
    worker = Worker(b)
    lease = await worker.lease()
    awaiting = asyncio.create_task(a.call("AwaitTask", task_id=lease.task_id, wait={"seconds": 10}))
    assert await waits(awaiting)

    await worker.report(lease, complete={"result": {"data": b"42"}})

    assert [(await call).task.result.data for call in (running, awaiting)] == [b"42"] * 2


@pytest.mark.parametrize("slots", [0, 2])
@pytest.mark.parametrize("polled", ["the queue of the task", "another queue"])
async def test_a_cancel_at_one_server_reaches_a_session_that_polls_at_the_other(
    pair: tuple[App, App], slots: int, polled: str
):
    a, b = pair
    task_id = await a.submit()
    worker = Worker(b)
    lease = await worker.lease()
    queues = ("q",) if polled == "the queue of the task" else ("q", "q1", "q2", "q3")
    poll = worker.poll(slots, queues=queues)
    assert await waits(poll)

    await a.call("CancelTask", task_id=task_id)

    (directive,) = (await asyncio.wait_for(poll, 1)).directives
    assert directive.cancel.lease_token == lease.lease_token


async def test_a_drain_that_was_asked_for_between_polls_is_told_by_the_next_one(
    pair: tuple[App, App],
):
    a, b = pair
    worker = Worker(a, queues=("q1", "q2", "q3"))
    await worker.poll(wait=0)
    # Sessions are written down once a second.
    await b.until_taken("DrainWorker", session_id=worker.session_id)

    for app in (a, b):
        worker.app = app
        (directive,) = (await worker.poll(3, queues=("q3",))).directives
        assert directive.HasField("drain")


async def test_a_log_line_at_one_server_comes_to_a_tail_at_the_other(pair: tuple[App, App]):
    a, b = pair
    task_id = await a.submit()
    worker = Worker(b)
    lease = await worker.lease()
    async with a.stream("TailLogs", task_id=task_id, follow=True) as tail:
        assert not (await tail.next()).lines, "nothing was logged yet"
        pending = asyncio.create_task(tail.next())
        await worker.report(lease, log_lines=[{"number": 1, "text": "a line"}])
        assert (await pending).lines[0].text == "a line"


async def test_a_newer_poll_at_another_server_ends_the_older_one(pair: tuple[App, App]):
    a, b = pair
    worker = Worker(a)
    older = worker.poll()
    assert await waits(older)
    worker.app = b
    newer = worker.poll()
    assert await waits(newer)

    task_id = await a.submit()

    assert (await asyncio.wait_for(older, 5)).superseded
    (lease,) = (await newer).leases
    assert lease.task_id == task_id


async def test_submits_to_both_servers_under_one_key_make_one_task(pair: tuple[App, App]):
    request = {"spec": {"task_type": TYPE}, "idempotency": {"key": "k"}}

    answers = await asyncio.gather(
        *(app.call("SubmitTask", **request) for app in pair for _ in range(10))
    )

    assert len({answer.task.task_id for answer in answers}) == 1
    assert sorted(answer.existing for answer in answers) == [False] + [True] * 19


# ---- a drain ------------------------------------------------------------------------------------


async def test_a_server_that_drains_sends_everybody_away(store: StoreProgram, tmp_path: Path):
    async with app_on(store, tmp_path, drain__grace="20s") as app:
        task_id = await app.submit("elsewhere")
        polls = [Worker(app).poll(slots, wait=60) for slots in (0, 1)]
        waiting = asyncio.create_task(app.call("AwaitTask", task_id=task_id, wait={"seconds": 60}))
        watch = app.stream("WatchTasks")
        tail = app.stream("TailLogs", task_id=task_id, follow=True)
        async with watch, tail:
            await watch.next()
            assert await waits(polls[1])

            app.stop.ask()

            for poll in polls:
                (directive,) = (await poll).directives
                assert directive.HasField("reconnect")
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await waiting
            assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
            for stream in (watch, tail):
                refusal = await stream.refusal()
                assert refusal.code is grpc.StatusCode.UNAVAILABLE
                assert (refusal.reason, refusal.has_retry_delay) == ("SHUTTING_DOWN", True)


# ---- a store that goes away ---------------------------------------------------------------------


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Short, because the path of a socket must fit into about a hundred characters."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-"))
    yield folder
    shutil.rmtree(folder)


async def test_a_store_that_comes_back_is_served_again(short_folder: Path, tmp_path: Path):
    binary, path = find_binary(), short_folder / "s"
    process = start_store(binary, path, keep=True)
    program = StoreProgram(KINDS[0], f"unix://{path}")
    try:
        async with app_on(program, tmp_path) as app:
            worker = Worker(app)
            task_id = await app.submit()
            lease = await worker.lease()
            watch = app.stream("WatchTasks")
            await watch.next()
            process.kill()
            process.wait()

            refusal = await app.refusal("SubmitTask", spec={"task_type": TYPE}, request_id="r-1")
            assert (refusal.code, refusal.reason) == (
                grpc.StatusCode.UNAVAILABLE,
                "STORE_UNAVAILABLE",
            )
            assert refusal.has_retry_delay
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await worker.poll()
            assert ended.value.code() is grpc.StatusCode.UNAVAILABLE

            process = start_store(binary, path, keep=True)
            submitted = await app.until_taken("SubmitTask", spec=SPEC, request_id="r-1")
            assert not (await worker.report(lease, complete={})).HasField("error")
            assert (await app.task(task_id)).state == SUCCEEDED
            next_lease = await worker.lease()
            assert next_lease.task_id == submitted.task.task_id
            async with watch:
                while not any(e.task_id == next_lease.task_id for e in (await watch.next()).events):
                    pass
    finally:
        process.kill()
        process.wait()


SPEC = {"task_type": TYPE, "queue": "q"}
