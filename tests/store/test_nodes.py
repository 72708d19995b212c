"""A store of three nodes in cluster mode: every partition works, wherever it lives."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.cluster import MeasuredCluster, running_cluster
from bench.layout import Layout

from penstock_server.model.lifecycle import TaskState
from penstock_server.model.records import Submitted
from support.stores import NAMESPACE, SERVER, TYPE, StoreKind, StoreProgram, draft, open_bench

PARTITIONS = 16


@pytest.fixture(scope="module")
def nodes() -> Iterator[MeasuredCluster]:
    with (
        tempfile.TemporaryDirectory(prefix="penstock-nodes-") as folder,
        running_cluster(Path(folder), Layout(nodes=3, partitions=PARTITIONS)) as cluster,
    ):
        yield cluster


async def test_tasks_of_every_partition_are_taken_handed_out_and_ended(nodes: MeasuredCluster):
    kind = StoreKind("valkey-3-nodes-P16", PARTITIONS, cluster=True)
    queues = [f"queue-{number}" for number in range(64)]
    async with open_bench(StoreProgram(kind, nodes.url)) as bench:
        homes = {bench.store.home(NAMESPACE, queue) for queue in queues}
        for queue in queues:
            (taken,) = await bench.submit(draft(queue))
            assert isinstance(taken, Submitted)
            (lease,) = await bench.lease_all(queue=queue, types=[TYPE], server=SERVER)
            assert lease.task_id == taken.task_id
            assert await bench.complete(lease)
            assert (await bench.task(taken.task_id)).state is TaskState.SUCCEEDED

    assert homes == set(range(PARTITIONS)), "every partition had a queue"
    assert all(nodes.sizes()), "and every node keeps some"
