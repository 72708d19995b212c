from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgpack
import pytest

from penstock_server.model.lifecycle import TaskState
from penstock_server.store import keys
from penstock_server.store.audit import Audit, Mended
from support.stores import NAMESPACE, QUEUE, TYPE, Bench, token_of


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


# ---- records that nobody can read ---------------------------------------------------------------


async def as_a_hash(bench: Bench, key: str) -> None:
    """As layout 1 kept a task, e.g. from a backup that was restored under a running server."""
    await bench.redis.delete(key)
    await bench.redis.hset(key, mapping={"s": 3})


async def as_no_msgpack(bench: Bench, key: str) -> None:
    await bench.redis.set(key, b"\xc1")


async def as_a_piece(bench: Bench, key: str) -> None:
    await bench.redis.set(key, (await bench.redis.get(key))[:-1])


async def as_text_of_the_right_length(bench: Bench, key: str) -> None:
    """To msgpack each character is a number, so these are as many values as a record has."""
    await bench.redis.set(key, "x" * (len(keys.TASK_FIELDS) + 1))


async def with_a_token_of_another_length(bench: Bench, key: str) -> None:
    *values, rare = msgpack.Unpacker(io.BytesIO(await bench.redis.get(key)), raw=True)
    values[[*keys.TASK_FIELDS].index("t")] = b"short"
    await bench.redis.set(key, b"".join(map(msgpack.packb, [*values, rare])))


@pytest.fixture(
    params=[
        as_a_hash,
        as_no_msgpack,
        as_a_piece,
        as_text_of_the_right_length,
        with_a_token_of_another_length,
    ]
)
async def damage(
    bench: Bench, request: pytest.FixtureRequest
) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """Makes the record of a task unreadable; it is as before when the test is over."""
    kept: dict[str, Any] = {}

    async def damage(task_id: str) -> None:
        key = keys.key(bench.home, "task", namespace=NAMESPACE, id=task_id)
        kept[key] = await bench.redis.get(key)
        await request.param(bench, key)

    yield damage
    for key, value in kept.items():
        await bench.redis.set(key, value)
    await whole_walk(bench)


Damage = Callable[[str], Awaitable[None]]


async def test_an_unreadable_record_is_told_of(bench: Bench, damage: Damage) -> None:
    task_id = await bench.add()
    await damage(task_id)

    found = await whole_walk(bench)

    assert [(each.task_id, each.state, each.missing) for each in found] == [
        (task_id, None, "record")
    ]


async def test_an_unreadable_record_keeps_no_other_task_from_its_lease(
    bench: Bench, damage: Damage
) -> None:
    await damage(await bench.add())
    other = await bench.add()

    assert [lease.task_id for lease in await bench.lease_all(9)] == [other]


async def test_an_unreadable_record_keeps_no_other_lease_from_being_taken_away(
    bench: Bench, damage: Damage
) -> None:
    first, second = await bench.add(), await bench.add()
    await bench.lease_all(2)
    await damage(first)

    await bench.reap_after(minutes=5)

    assert (await bench.task(second)).state is TaskState.READY
    assert len(await bench.executions(second)) == 1


async def test_an_unreadable_record_keeps_no_other_task_from_becoming_ready(
    bench: Bench, damage: Damage
) -> None:
    first, second = [await bench.add(delay_ms=1_000) for _ in range(2)]
    await damage(first)
    bench.clock.advance(seconds=2)

    await bench.promote()

    assert (await bench.task(second)).state is TaskState.READY


async def test_an_unreadable_record_keeps_no_other_report_from_being_taken(
    bench: Bench, damage: Damage
) -> None:
    await bench.add()
    await bench.add()
    first, second = await bench.lease_all(2)
    await damage(first.task_id)

    taken = await bench.store.leases.complete(
        [(NAMESPACE, token_of(lease), b"") for lease in (first, second)]
    )

    assert [bool(each) for each in taken] == [False, True]
