"""The pruner: how many tasks it lets go of in one call of the store."""

from __future__ import annotations

import pytest

from penstock_server.duties.pruner import Pruner
from penstock_server.model.records import StoreLimits
from support.stores import Bench, draft

KEEPS_NONE = pytest.mark.parametrize("limits", [StoreLimits(ended_count=0)], ids=["keeps none"])


def ended(bench: Bench) -> str:
    return f"{{p{bench.home}}}:ended"


@KEEPS_NONE
async def test_the_pruner_lets_go_of_64_tasks_at_a_time(bench: Bench):
    await bench.submit(*(draft() for _ in range(70)))
    for lease in await bench.lease_all(slots=70):
        assert await bench.complete(lease)
    pruner = Pruner(bench.store.queues)

    assert await pruner.run_once(bench.home), "there is more"
    assert await bench.redis.zcard(ended(bench)) == 70 - 64
    assert not await pruner.run_once(bench.home)
    assert await bench.redis.zcard(ended(bench)) == 0


@KEEPS_NONE
async def test_a_pruner_that_falls_behind_takes_more_at_a_time(bench: Bench):
    names = {f"no-namespace:{number}": number for number in range(64 + 256 * 100)}
    await bench.redis.zadd(ended(bench), names)
    pruner = Pruner(bench.store.queues)

    assert await pruner.run_once(bench.home)
    assert await bench.redis.zcard(ended(bench)) == 256 * 100
    assert await pruner.run_once(bench.home)
    assert await bench.redis.zcard(ended(bench)) == 256 * 100 - 100
    await bench.redis.delete(ended(bench))
