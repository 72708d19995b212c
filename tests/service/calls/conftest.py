"""A server of its own for each test, over a store program that the pytest worker shares."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis import Redis

from support.service import App, app_on
from support.stores import KINDS, StoreKind, StoreProgram, store_program

PLAIN, CLUSTER = KINDS[0], KINDS[2]


@pytest.fixture(scope="session", params=[PLAIN, CLUSTER], ids=str)
def any_program(request: pytest.FixtureRequest) -> Iterator[StoreProgram]:
    """Both kinds of stores, for what depends on partitions."""
    kind: StoreKind = request.param
    with store_program(kind) as program:
        yield program


@pytest.fixture(scope="session")
def plain_program() -> Iterator[StoreProgram]:
    with store_program(PLAIN) as program:
        yield program


@pytest.fixture
def store(any_program: StoreProgram) -> StoreProgram:
    """An empty store."""
    return emptied(any_program)


@pytest.fixture
async def app(plain_program: StoreProgram, tmp_path: Path) -> AsyncIterator[App]:
    """A server over an empty plain store."""
    async with app_on(emptied(plain_program), tmp_path) as app:
        yield app


def emptied(program: StoreProgram) -> StoreProgram:
    with Redis.from_url(program.url) as redis:
        redis.flushall()
    return program
