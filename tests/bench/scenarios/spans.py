"""Spans: flow with traces on everywhere, a receiver beside, and several shares of tasks sampled.

Submits are batches of 1,000 tasks, each sampled whole or not at all, so 1 % is every hundredth: of
fewer than 100,000 tasks (--quick) none is. The receiver runs on the same machine; its CPU is in no
figure, and it slows the rate.
"""

from __future__ import annotations

from functools import partial

from bench.layout import Layout
from bench.scenario import Scenario
from bench.scenarios import flow
from bench.site import EXECUTORS

SCENARIOS = [
    Scenario(
        name="spans",
        variant=f"{share:.0%}",
        executor=EXECUTORS["default"],
        run=partial(flow.run, "default", layout=Layout(sampled=share)),
    )
    for share in (0.0, 0.01, 1.0)
]
