"""What a client does when its server goes away and comes back."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from penstock import Client, TaskEventKind
from penstock.testing import Server


@pytest.mark.slow
@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
async def test_submits_waits_and_watches_go_on_through_a_restart(kill):
    with Server() as server:
        async with Client(server.options()) as client:
            watch = client.watch(queues=["q"])
            async with aclosing(watch):
                await anext(watch)
                ids = [(await client.submit("t", n, queue="q")).task_id for n in range(5)]
                waiting = asyncio.create_task(client.await_result(ids[0]))
                await asyncio.sleep(0)

                restart = asyncio.create_task(asyncio.to_thread(server.restart, kill=kill))
                more = await asyncio.gather(
                    *(client.submit("t", n, queue="q") for n in range(5, 10))
                )
                await restart
                ids += [result.task_id for result in more]
                await client.end(ids[0], result="done")

                seen = []
                async for update in watch:
                    seen += [(event.task_id, event.kind) for event in update.events]
                    if (ids[0], TaskEventKind.SUCCEEDED) in seen:
                        break

            assert await waiting == "done"
            submitted = [task_id for task_id, kind in seen if kind is TaskEventKind.SUBMITTED]
            assert sorted(submitted) == sorted(ids)
            assert (await client.queues.get("q")).stats.ready_count == 9
