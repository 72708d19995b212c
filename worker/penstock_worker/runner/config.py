"""What a runner process is told at its start: one argument, JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerConfig:
    """Settings of a runner process."""

    target: str
    """`module:attribute` of the Worker."""
    descriptor: int
    """File descriptor of the socket to the supervisor."""
    parent: int
    """Process id of the supervisor."""
    threads: int
    """Most `def` handlers at a time."""
    isolated: bool
    """True: one execution at a time, standard output and error are pipes."""
    log_lines: int
    log_bytes: int

    def to_argument(self) -> str:
        """Answers the command-line argument."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_argument(cls, argument: str) -> RunnerConfig:
        """Reads the command-line argument."""
        return cls(**json.loads(argument))
