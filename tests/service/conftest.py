"""What tests of the service share: one real server in each process, and a bare channel to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from penstock.testing import Server
from support.scene import Scene
from support.wire import Wire


@pytest.fixture(scope="session")
def wire() -> Iterator[Wire]:
    """A channel to a throw-away server, with nothing between."""
    with Server() as server:
        wire = Wire(server.address, log=server.log)
        yield wire
        wire.close()


@pytest.fixture(scope="module")
def scene(wire: Wire) -> Scene:
    """A namespace with a task in every state. Tests that change it make one of their own."""
    return Scene(wire)
