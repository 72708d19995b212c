"""The pruner: how long it keeps the store from everybody else."""

from __future__ import annotations

import pytest

from penstock_server.duties.pruner import Pruner
from penstock_server.model.records import StoreLimits
from support.stores import Bench, draft


@pytest.mark.parametrize("limits", [StoreLimits(ended_count=0)], ids=["keeps none"])
async def test_the_pruner_lets_go_of_64_tasks_at_a_time(bench: Bench):
    ended = f"{{p{bench.home}}}:ended"
    await bench.submit(*(draft() for _ in range(70)))
    for lease in await bench.lease_all(slots=70):
        assert await bench.complete(lease)
    pruner = Pruner(bench.store.queues)

    assert await pruner.run_once(bench.home), "there is more"
    assert await bench.redis.zcard(ended) == 70 - 64
    assert not await pruner.run_once(bench.home)
    assert await bench.redis.zcard(ended) == 0
