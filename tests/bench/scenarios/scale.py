"""Scale: flow with more than one server, and with a store of several nodes in cluster mode.

All of it shares one machine, so the rate says little; the CPU that a task costs in each part says
what more machines would bring. `projected` is worked out, not measured: what so many nodes would
carry if each had a core of its own and nothing else stood in the way. With nodes, tasks go to 16
queues, because a queue lives in one partition.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bench.figures import Figure
from bench.layout import Layout
from bench.scenario import Amount, Probe, Scenario
from bench.scenarios import flow
from bench.site import EXECUTORS

_PARTITIONS = 16


def on_nodes(nodes: int, amount: Amount, probe: Probe) -> Sequence[Figure]:
    """Flow on a store of so many nodes, and what they could carry."""
    layout = Layout(nodes=nodes, partitions=_PARTITIONS, spread=True)
    figures = flow.run("default", amount, probe, layout)
    cost = next(figure.value for figure in figures if figure.name == "cpu store")
    return [*figures, Figure("projected", nodes * 1e6 / cost, "tasks/s, computed")]


def with_servers(servers: int, amount: Amount, probe: Probe) -> Sequence[Figure]:
    """Flow with the producer at the first server and the worker at the last."""
    return flow.run("default", amount, probe, Layout(servers=servers))


SCENARIOS = [
    *(
        Scenario(
            name="servers",
            variant=str(count),
            executor=EXECUTORS["default"],
            run=partial(with_servers, count),
        )
        for count in (1, 2)
    ),
    *(
        Scenario(
            name="nodes",
            variant=str(count),
            executor=EXECUTORS["default"],
            run=partial(on_nodes, count),
        )
        for count in (1, 2, 3)
    ),
]
