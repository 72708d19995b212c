"""A fake server for the worker's mechanics, and the path on which runners find the handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.fake_worker_service import FakeWorkerService


@pytest.fixture(autouse=True)
def handlers_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


@pytest.fixture
async def service() -> AsyncIterator[FakeWorkerService]:
    async with FakeWorkerService() as service:
        yield service
