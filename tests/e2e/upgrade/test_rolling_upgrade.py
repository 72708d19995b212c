"""A server of the last release beside one of today, over one store: each goes on for the other.

`released.tar.xz` holds the sources of the released server; `make release-server` makes it anew.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tarfile
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path

import pytest
from robustness.parts import ServerNode, StoreNode

from penstock import Client, ClientOptions, TaskEventKind, TaskState
from penstock.errors import TaskCancelled
from penstock.event import TaskEvent, WatchUpdate
from support.worker_process import worker_process

RELEASED = Path(__file__).with_name("released.tar.xz")
HANDLERS = "support.worker_handlers:worker"
COUNT = 30

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


class ReleasedServer(ServerNode):
    """A server of the last release, from its own sources."""

    def environ(self) -> dict[str, str]:
        sources = self.folder / "released"
        return {"PYTHONPATH": f"{sources}/server:{sources}/clients/python"}


class Site:
    """One store, the released server and the present one."""

    def __init__(self, folder: Path) -> None:
        with tarfile.open(RELEASED) as archive:
            archive.extractall(folder / "released", filter="data")
        (folder / "store").mkdir()
        self.store = StoreNode(folder, folder / "store", "everysec")
        url = f"unix://{self.store.socket}"
        self.servers: dict[str, ServerNode] = {
            "released": ReleasedServer("released-server", folder, url, ()),
            "present": ServerNode("present-server", folder, url, ()),
        }

    def address(self, which: str) -> str:
        address = self.servers[which].address
        assert address is not None
        host, port = address
        return f"{host}:{port}"

    def client(self, which: str) -> Client:
        options = ClientOptions(address=self.address(which), timeout=timedelta(seconds=60))
        return Client(options)


@pytest.fixture(params=["released first", "present first"])
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    """Either may find the store empty: an upgrade may be taken back."""
    made = Site(tmp_path)
    await made.store.start()
    first = str(request.param).split()[0]
    for name in sorted(made.servers, key=lambda name: name != first):
        await made.servers[name].start()
    yield made
    for server in made.servers.values():
        await server.end()
    await made.store.end()


async def test_the_released_server_runs_its_own_sources(site: Site, tmp_path: Path):
    seen = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-c",
            "import penstock, penstock_server as s; print(s.__file__, penstock)",
        ),
        env={**os.environ, **site.servers["released"].environ()},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await seen.communicate()

    assert said.decode().count(str(tmp_path / "released")) == 2


@pytest.mark.parametrize(("here", "there"), [("released", "present"), ("present", "released")])
async def test_work_that_one_server_took_in_goes_on_at_the_other(
    site: Site, tmp_path: Path, here: str, there: str
):
    async with (
        site.client(here) as producer,
        site.client(there) as onlooker,
        worker_process(site.address(there), HANDLERS, tmp_path),
        aclosing(onlooker.watch(queues=["default"])) as watch,
    ):
        first = await anext(watch)
        keyed = await producer.submit("echo", "keyed", idempotency_key="k")
        again = await onlooker.submit("echo", "keyed", idempotency_key="k")
        ids = [(await producer.submit("echo", n)).task_id for n in range(COUNT)]
        results = [await producer.await_result(task_id) for task_id in ids]
        told = {event.task_id async for event in _ends(watch, {*ids, keyed.task_id})}

    assert first.cursor
    assert (again.task_id, again.existing) == (keyed.task_id, True)
    assert results == list(range(COUNT))
    assert told == {*ids, keyed.task_id}


@pytest.mark.parametrize(("here", "there"), [("released", "present"), ("present", "released")])
async def test_a_cancel_at_one_server_reaches_the_worker_of_the_other(
    site: Site, tmp_path: Path, here: str, there: str
):
    async with site.client(here) as client, worker_process(site.address(there), HANDLERS, tmp_path):
        task_id = (await client.submit("sleep", 60)).task_id
        async with aclosing(client.watch(task_ids=[task_id])) as watch:
            async for update in watch:
                states = [task.state for task in update.tasks]
                if TaskState.RUNNING in states or any(
                    event.kind is TaskEventKind.LEASED for event in update.events
                ):
                    break

        await client.cancel(task_id)

        with pytest.raises(TaskCancelled):
            await client.await_result(task_id)


async def test_nothing_is_lost_when_the_released_server_goes(site: Site, tmp_path: Path):
    async with site.client("released") as client:
        ids = [(await client.submit("echo", n)).task_id for n in range(COUNT)]
    await site.servers["released"].kill()

    async with (
        site.client("present") as client,
        worker_process(site.address("present"), HANDLERS, tmp_path),
    ):
        results = [await client.await_result(task_id) for task_id in ids]

    assert results == list(range(COUNT))


async def _ends(watch: AsyncIterator[WatchUpdate], wanted: set[str]) -> AsyncIterator[TaskEvent]:
    """The successes of these tasks, until all are told."""
    left = set(wanted)
    async for update in watch:
        for event in update.events:
            if event.kind is TaskEventKind.SUCCEEDED and event.task_id in left:
                left.remove(event.task_id)
                yield event
        if not left:
            return
