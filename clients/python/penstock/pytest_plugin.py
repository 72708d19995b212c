"""Pytest fixtures with a throw-away server.

Loaded by itself where pytest finds the entry point, else with `pytest_plugins =
["penstock.pytest_plugin"]` in the top `conftest.py`. Each process of pytest-xdist has a server of
its own, started when the first test asks for it.

    def test_it_is_submitted(penstock_client):
        assert penstock_client.submit("images.resize").task_id

    async def test_it_is_submitted_too(penstock_options):
        async with Client(penstock_options) as client:
            assert (await client.submit("images.resize")).task_id
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from penstock.blocking import BlockingClient
    from penstock.options import ClientOptions
    from penstock.testing import Server


@pytest.fixture(scope="session")
def penstock_server() -> Iterator[Server]:
    """A throw-away server, shared by the tests of this process."""
    # Not at the top: pytest loads this file in every run, also where no test needs a server.
    from penstock.testing import Server

    with Server() as server:
        yield server


@pytest.fixture
def penstock_namespace(penstock_server: Server) -> str:
    """A namespace of this test alone."""
    return penstock_server.new_namespace()


@pytest.fixture
def penstock_options(penstock_server: Server, penstock_namespace: str) -> ClientOptions:
    """Options of a client in this test's namespace, for clients of any kind."""
    return penstock_server.options(namespace=penstock_namespace)


@pytest.fixture
def penstock_client(penstock_options: ClientOptions) -> Iterator[BlockingClient]:
    """A blocking client in this test's namespace."""
    from penstock.blocking import BlockingClient

    with BlockingClient(penstock_options) as client:
        yield client
