"""Scale: flow with more than one server, and with a store of several nodes in cluster mode.

All of it shares one machine, so the rate says little; the CPU that a task costs in each part says
what more machines would bring. `projected` is worked out, not measured: what so many nodes would
carry if each had a core of its own, all had the same to do, and nothing else stood in the way; the
rows of each node tell how far the second is true. With nodes, tasks go to 16 queues, because a
queue lives in one partition. `nodes plain` is the usual store beside them: one node by itself, one
partition, one queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bench.figures import Figure
from bench.layout import USUAL, Layout
from bench.scenario import Amount, Probe, Scenario
from bench.scenarios import flow
from bench.site import EXECUTORS

_PARTITIONS = 16


def on_nodes(nodes: int, amount: Amount, probe: Probe) -> Sequence[Figure]:
    """Flow on a store of so many nodes, 0 for a plain one, and what they could carry."""
    clustered = Layout(nodes=nodes, partitions=_PARTITIONS, spread=True)
    figures = flow.run("default", amount, probe, clustered if nodes else USUAL)
    return [*figures, projected(figures, max(1, nodes))]


def projected(figures: Sequence[Figure], nodes: int) -> Figure:
    """What so many nodes would carry at the measured CPU of the store for each task."""
    cost = next(figure.value for figure in figures if figure.name == "cpu store")
    return Figure("projected", nodes * 1e6 / cost, "tasks/s, computed")


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
            variant=str(count or "plain"),
            executor=EXECUTORS["default"],
            run=partial(on_nodes, count),
        )
        for count in (0, 1, 2, 3)
    ),
]
