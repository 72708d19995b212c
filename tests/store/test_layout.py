"""A store says which servers can work with it, and others leave it alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from penstock_server.store import keys
from penstock_server.store.meta import LAYOUT, OLDEST_LAYOUT, WrongStore
from penstock_server.store.store import open_store
from support.server_process import ServerEnded, server_process
from support.stores import Bench, StoreProgram

META = keys.key(0, "meta")


async def changed(bench: Bench, **facts: Any) -> dict[str, Any]:
    """The store with other facts in its meta key, as a dump."""
    await bench.add()
    await bench.redis.hset(META, mapping=facts)
    return await bench.dump()


@pytest.fixture(autouse=True)
async def as_it_was(bench: Bench) -> Any:
    before = await bench.redis.hgetall(META)
    yield
    await bench.redis.hset(META, mapping=before)


async def test_a_layout_of_tomorrow_is_refused_and_nothing_is_written(
    bench: Bench, program: StoreProgram
):
    before = await changed(bench, layout=LAYOUT + 1, oldest_reader=LAYOUT + 1)

    with pytest.raises(WrongStore, match=f"layout {LAYOUT + 1}.*run a server of the version"):
        await open_store(program.url, partitions=program.kind.partitions)

    assert await bench.dump() == before


async def test_a_layout_of_yesterday_is_refused_too(bench: Bench, program: StoreProgram):
    before = await changed(bench, layout=OLDEST_LAYOUT - 1, oldest_reader=OLDEST_LAYOUT - 1)

    with pytest.raises(
        WrongStore, match=f"layout {OLDEST_LAYOUT - 1}, this server knows {LAYOUT};"
    ):
        await open_store(program.url, partitions=program.kind.partitions)

    assert await bench.dump() == before


async def test_a_layout_that_this_server_can_still_read_is_taken(
    bench: Bench, program: StoreProgram
):
    await changed(bench, layout=LAYOUT + 1, oldest_reader=LAYOUT)

    store = await open_store(program.url, partitions=program.kind.partitions)
    await store.close()

    assert store.meta.layout == LAYOUT + 1


async def test_another_number_of_partitions_is_refused(bench: Bench, program: StoreProgram):
    before = await bench.dump()

    with pytest.raises(WrongStore, match="the number is fixed"):
        await open_store(program.url, partitions=program.kind.partitions + 1)

    assert await bench.dump() == before


async def test_a_server_says_in_a_line_that_the_store_is_of_tomorrow(
    bench: Bench, program: StoreProgram, tmp_path: Path
):
    before = await changed(bench, layout=LAYOUT + 1, oldest_reader=LAYOUT + 1)
    flags = ("--store", program.url, "--set", f"store.partitions={program.kind.partitions}")

    with pytest.raises(ServerEnded) as ended:
        async with server_process(tmp_path, *flags):
            pass

    assert ended.value.status != 0
    assert "run a server of the version that wrote it" in ended.value.said
    assert "Traceback" not in ended.value.said
    assert await bench.dump() == before
