"""A store program for each kind and pytest worker, and a bench over it that is checked whole at the
end of every test.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from penstock_server.model.records import StoreLimits
from support.invariants import check_invariants
from support.stores import KINDS, Bench, StoreKind, StoreProgram, open_bench, store_program


@pytest.fixture(scope="session", params=KINDS, ids=str)
def program(request: pytest.FixtureRequest) -> Iterator[StoreProgram]:
    kind: StoreKind = request.param
    with store_program(kind) as program:
        yield program


@pytest.fixture
def limits() -> StoreLimits:
    """The bounds of the store; a test that needs others overrides this by parameters."""
    return StoreLimits()


@pytest.fixture
async def bench(program: StoreProgram, limits: StoreLimits) -> AsyncIterator[Bench]:
    async with open_bench(program, limits=limits) as bench:
        yield bench
        await check_invariants(bench.store)
