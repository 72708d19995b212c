"""A throw-away store of several nodes in cluster mode on this machine, each its own process."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import redis

from bench.layout import Layout
from bench.processes import Process, environment
from bench.store import UNENDED_FIELD, MeasuredStore, store_command
from penstock_server.embedded.allocator import store_environment
from penstock_server.store.keys import key

_SLOTS: Final = 16_384
_PATIENCE: Final = 30.0


class MeasuredCluster(MeasuredStore):
    """Nodes that serve as one store, a client that looks into all of them, and one for each."""

    def __init__(
        self, processes: list[Process], nodes: list[redis.Redis], port: int, partitions: int
    ) -> None:
        self.process = processes[0]
        self.url = f"redis://127.0.0.1:{port}"
        self.nodes = nodes
        self._processes = processes
        self._keys = [key(partition, "backlog") for partition in range(partitions)]
        cluster: Any = redis.RedisCluster(host="127.0.0.1", port=port)
        self.client = cluster

    def pids(self) -> dict[str, int]:
        """Its processes."""
        return {f"store {number}": process.pid for number, process in enumerate(self._processes)}

    def sizes(self) -> list[int]:
        """Keys of each node."""
        told: list[Any] = [node.dbsize() for node in self.nodes]
        return told

    def unended(self) -> int:
        """Tasks of the default namespace that have not ended."""
        with self.client.pipeline(transaction=False) as asked:
            for name in self._keys:
                asked.hget(name, UNENDED_FIELD)
            return sum(int(count or 0) for count in asked.execute())


@contextmanager
def running_cluster(folder: Path, layout: Layout) -> Iterator[MeasuredCluster]:
    """Starts the nodes with their data in `folder` and joins them; ends them with the block."""
    with ExitStack() as stack:
        ports = _free_ports(layout.nodes * 2)
        processes, nodes = [], []
        for number in range(layout.nodes):
            process = _start(folder, number, ports[2 * number], ports[2 * number + 1])
            stack.callback(process.end)
            processes.append(process)
            nodes.append(stack.enter_context(_client(process, ports[2 * number])))
        _join(nodes, ports)
        store = MeasuredCluster(processes, nodes, ports[0], layout.partitions)
        with store.client:
            yield store


def _start(folder: Path, number: int, port: int, bus: int) -> Process:
    data = folder / f"store{number}"
    data.mkdir()
    options = {"port": str(port), "cluster-port": str(bus), "cluster-enabled": "yes"}
    options |= {"bind": "127.0.0.1", "dir": str(data), "cluster-config-file": str(data / "nodes")}
    env = store_environment(environment())
    return Process(f"store{number}", store_command(options), folder, piped=False, env=env)


def _client(node: Process, port: int) -> redis.Redis:
    client = redis.Redis(port=port)

    def answers() -> bool:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False

    node.wait_until(answers)
    return client


def _join(clients: list[redis.Redis], ports: list[int]) -> None:
    """Shares the slots out and waits until every node knows of all."""
    count = len(clients)
    for number, client in enumerate(clients):
        first, last = _SLOTS * number // count, _SLOTS * (number + 1) // count - 1
        _say(client, "CLUSTER ADDSLOTSRANGE", first, last)
        if number:
            _say(client, "CLUSTER MEET", "127.0.0.1", ports[0], ports[1])
    give_up = time.monotonic() + _PATIENCE
    while not all(_is_joined(client, count) for client in clients):
        if time.monotonic() > give_up:
            raise TimeoutError(f"the {count} nodes did not find each other")
        time.sleep(0.05)


def _is_joined(client: redis.Redis, count: int) -> bool:
    facts: Any = _say(client, "CLUSTER INFO")
    said = {k: str(v) for k, v in facts.items()}
    return said["cluster_state"] == "ok" and said["cluster_known_nodes"] == str(count)


def _say(client: redis.Redis, *words: str | int) -> Any:
    return client.execute_command(*words)  # type: ignore[no-untyped-call]


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
