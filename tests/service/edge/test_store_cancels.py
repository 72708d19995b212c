"""A call of the store that is cancelled ends as cancelled, at whatever moment the cancel comes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from penstock_server.embedded import EmbeddedOptions, EmbeddedStore
from penstock_server.store.connection import Connection


@pytest.mark.parametrize("is_warm", [False, True])
async def test_no_cancel_is_swallowed_on_the_way_to_the_store(
    tmp_path: Path, is_warm: bool
) -> None:
    swallowed = []
    async with EmbeddedStore(EmbeddedOptions(folder=tmp_path)) as store:
        for turns in range(8):
            connection = Connection(store.url)
            await connection.open()
            if is_warm:
                await connection.write("PING")

            call = asyncio.ensure_future(connection.write("PING"))
            for _ in range(turns):
                await asyncio.sleep(0)
            was_done = call.done()
            call.cancel()
            await asyncio.wait([call])
            if not was_done and not call.cancelled():
                swallowed.append(turns)
            await connection.close()

    assert swallowed == []
