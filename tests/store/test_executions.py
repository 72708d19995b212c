from __future__ import annotations

import pytest

from penstock_server.model.lifecycle import Outcome
from support.stores import NAMESPACE, Bench


@pytest.mark.parametrize("report", [b"", b"x" * 64, b"x" * 65, b"x" * 100_000])
async def test_the_report_of_an_end_is_kept_whatever_its_size(bench: Bench, report: bytes) -> None:
    task_id = await bench.add()
    lease = await bench.lease()

    await bench.complete(lease, report)

    (execution,) = await bench.executions(task_id)
    assert execution.outcome is Outcome.SUCCEEDED
    assert (execution.report, execution.fence) == (report, lease.kind.fence)
    assert (await bench.task(task_id)).last_execution == execution


async def test_an_execution_with_a_short_report_outlives_the_next_run(bench: Bench) -> None:
    task_id = await bench.add()
    await bench.complete(await bench.lease(), b"first")
    (before,) = await bench.executions(task_id)
    bench.clock.advance(seconds=5)

    await bench.store.tasks.retry(NAMESPACE, task_id, request_id="", draft=None)
    waiting = await bench.executions(task_id)
    await bench.complete(await bench.lease(), b"second")

    assert waiting == [before]
    assert [each.report for each in await bench.executions(task_id)] == [b"first", b"second"]
