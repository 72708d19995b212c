"""What errors of the store's connections mean for callers."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from penstock_server.model.errors import StoreUnavailable
from penstock_server.store.connection import translate


async def _write_to_a_connection_that_was_cut() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        await reader.read()
        writer.transport.abort()
        await asyncio.sleep(0)
        writer.writelines([b"PING\r\n"])


def test_a_connection_that_is_cut_before_the_write_is_an_outage_and_no_fault_of_ours():
    with pytest.raises(RuntimeError) as caught:
        uvloop.run(_write_to_a_connection_that_was_cut())

    assert isinstance(translate(caught.value), StoreUnavailable)


def test_any_other_runtime_error_stays_a_fault():
    assert translate(RuntimeError("the loop is closed")) is None
