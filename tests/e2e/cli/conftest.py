"""One `penstock up` for all tests of a test process that only use it."""

from __future__ import annotations

import pytest
from e2e.cli.harness import Up


@pytest.fixture(scope="session")
def up(tmp_path_factory):
    """A running server with a worker for the built-in types. Tests use queues of their own."""
    running = Up(tmp_path_factory.mktemp("up") / "data")
    yield running
    running.end()
