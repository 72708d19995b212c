from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from penstock import Client
from support.scripted_server import ScriptedServer


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as server:
        yield server


@pytest.fixture
async def client(server: ScriptedServer) -> AsyncIterator[Client]:
    async with Client(server.options()) as client:
        yield client
