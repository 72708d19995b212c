"""What a run is laid out on: how many servers and store nodes, with traces or without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """What a site is made of, where it is not the usual."""

    servers: int = 1
    """The producer calls the first, the workers the last."""
    nodes: int = 0
    """Store nodes in cluster mode; 0 is one node by itself."""
    partitions: int = 1
    spread: bool = False
    """Whether tasks go to many queues, which are spread over the partitions, instead of to one."""
    sampled: float | None = None
    """Share of the tasks whose trace is sampled, with a receiver beside; None is no tracing."""


USUAL: Final = Layout()
"""One server on one store node, no traces."""
