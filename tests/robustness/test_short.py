"""The short form of the robustness run: fixed seeds, every kind of fault that is quick to heal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from robustness.checker import check
from robustness.plan import Plan
from robustness.round import play

QUICK = (
    "kill-worker",
    "kill-runner",
    "kill-server",
    "kill-store",
    "power-cut",
    "cut-workers",
    "drop-answers-to-clients",
    "drop-answers-to-worker",
    "drop-answers-of-store",
    "cut-store",
    "script-flush",
    "client-kill",
    "pubsub-kill",
    "store-memory-full",
    "clock-jump",
    "disk-full",
)
SHORT = Plan(seed=0, seconds=22, faults=QUICK, pause=0.7, rate=30, clients=4)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.xdist_group("robustness")
@pytest.mark.parametrize(
    "plan",
    [
        replace(SHORT, seed=11, appendfsync="always", small_disk=True),
        replace(SHORT, seed=12, appendfsync="everysec", partitions=4),
    ],
    ids=lambda plan: f"{plan.appendfsync}-P{plan.partitions}",
)
async def test_every_promise_is_kept_while_things_die(plan, tmp_path):
    verdict = check(await play(plan, tmp_path))

    told = "\n".join(map(str, verdict.violations))
    assert verdict.violations == [], f"play it again with: {plan.command()}\n{told}"
    assert verdict.table["tasks"] > 100
    assert sum(verdict.faults.values()) > 8
