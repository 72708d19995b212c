from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from penstock_server.model.lifecycle import TaskState
from penstock_server.store import keys
from penstock_server.store.audit import Audit, Mended
from support.stores import NAMESPACE, QUEUE, TYPE, Bench


async def whole_walk(bench: Bench) -> list[Mended]:
    """One walk of the auditor through every key of the partition."""
    audit: Audit = bench.store.audit
    found = await audit.step(bench.home)
    while audit.is_under_way(bench.home):
        found += await audit.step(bench.home)
    return found


async def lose(bench: Bench, kind: str, member: str, **parts: object) -> None:
    name = keys.key(bench.home, kind, namespace=NAMESPACE, queue=QUEUE, **parts)
    assert await bench.store.connection.write("ZREM", name, member) == 1


async def ready(bench: Bench) -> str:
    task_id = await bench.add()
    await lose(bench, "ready", task_id, epoch=0, type=TYPE, group="")
    types = keys.key(bench.home, "types", namespace=NAMESPACE, queue=QUEUE, epoch=0)
    await bench.store.connection.write("HDEL", types, TYPE)
    groups = keys.key(bench.home, "groups", namespace=NAMESPACE, queue=QUEUE, epoch=0, type=TYPE)
    await bench.store.connection.write("DEL", groups)
    return task_id


async def scheduled(bench: Bench) -> str:
    task_id = await bench.add(delay_ms=60_000)
    await lose(bench, "due", task_id, epoch=0)
    return task_id


async def running(bench: Bench) -> str:
    task_id = await bench.add()
    await bench.lease()
    await lose(bench, "leases", task_id)
    return task_id


async def succeeded(bench: Bench) -> str:
    task_id = await bench.add()
    await bench.complete(await bench.lease())
    await lose(bench, "ended", f"{NAMESPACE}:{task_id}")
    return task_id


@pytest.mark.parametrize(
    ("lost", "missing"),
    [(ready, "ready"), (scheduled, "due"), (running, "leases"), (succeeded, "ended")],
)
async def test_a_task_that_no_set_knows_of_is_put_back(
    bench: Bench, lost: Callable[[Bench], Awaitable[str]], missing: str
) -> None:
    task_id = await lost(bench)

    mended = await whole_walk(bench)

    assert [(each.task_id, each.missing) for each in mended] == [(task_id, missing)]
    assert await whole_walk(bench) == [], "once is enough"


async def test_a_mended_ready_task_is_leased(bench: Bench) -> None:
    task_id = await ready(bench)

    await whole_walk(bench)

    assert (await bench.lease()).task_id == task_id


async def test_a_mended_running_task_keeps_its_lease_for_a_term(bench: Bench) -> None:
    task_id = await bench.add()
    lease = await bench.lease()
    await lose(bench, "leases", task_id)

    await whole_walk(bench)

    assert await bench.complete(lease)
    assert (await bench.task(task_id)).state is TaskState.SUCCEEDED


async def test_tasks_where_they_should_be_are_left_alone(bench: Bench) -> None:
    await bench.add()
    await bench.add(delay_ms=60_000)
    await bench.complete((await bench.lease_all(1))[0])
    before = await bench.dump()

    mended = await whole_walk(bench)

    assert mended == []
    assert await bench.dump() == before


async def test_a_purged_task_is_no_lost_task(bench: Bench) -> None:
    task_id = await bench.add()
    await bench.add(delay_ms=60_000)
    await bench.store.queues.purge(NAMESPACE, QUEUE)

    mended = await whole_walk(bench)
    await bench.sweep()

    assert mended == []
    assert (await bench.task(task_id)).state is TaskState.CANCELLED
