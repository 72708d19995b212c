"""What one round of the run is to do. The same plan gives the same traffic and faults again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final, Self

FAULTS: Final = (
    "kill-worker",
    "stop-worker",
    "drain-worker",
    "kill-runner",
    "stop-runner",
    "kill-server",
    "stop-server",
    "drain-server",
    "kill-store",
    "power-cut",
    "stop-store",
    "cut-workers",
    "hold-worker",
    "delay-clients",
    "cut-clients",
    "drop-answers-to-clients",
    "drop-answers-to-worker",
    "delay-store",
    "cut-store",
    "drop-answers-of-store",
    "script-flush",
    "client-kill",
    "pubsub-kill",
    "store-memory-full",
    "disk-full",
    "clock-jump",
)
"""Every kind of fault, by name."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One round: fresh store, traffic and faults, then peace, then the check."""

    seed: int
    seconds: float = 60.0
    """With traffic and faults."""
    faults: tuple[str, ...] = FAULTS
    appendfsync: str = "always"
    partitions: int = 1
    small_disk: bool = False
    """The store writes to a small memory disk, which can be filled; else to the real one."""
    workers: int = 2
    slots: int = 8
    rate: float = 40.0
    """Operations a second, about, of all clients together."""
    clients: int = 6
    pause: float = 2.5
    """Seconds between two faults, on average."""
    term: float = 5.0
    """Of a lease, seconds."""
    accept_within: float = 3.0
    """Of a lease until it is accepted, seconds. Not less than the pause of the reaper (3 s) after
    which nothing is taken away: a shorter outage would use it up unseen."""
    patience: float = 90.0
    """Seconds that everything may take to end once the faults have stopped."""

    @classmethod
    def of(cls, seed: int, **given: object) -> Self:
        """A plan whose store and partitions come from the seed, unless they are given."""
        rng = random.Random(f"{seed}:plan")
        drawn: dict[str, object] = {
            "appendfsync": rng.choice(("always", "everysec")),
            "partitions": rng.choice((1, 1, 4)),
            "small_disk": rng.choice((True, False)),
        }
        return cls(seed=seed, **(drawn | given))  # type: ignore[arg-type] # fits by name

    def rng(self, part: str) -> random.Random:
        """The random numbers of one part; others do not disturb them."""
        return random.Random(f"{self.seed}:{part}")

    def command(self) -> str:
        """What reproduces this round."""
        faults = "" if self.faults == FAULTS else f" --faults {','.join(self.faults)}"
        return (
            f".venv/bin/python tests/robustness/run.py --seed {self.seed}"
            f" --seconds {self.seconds:g} --appendfsync {self.appendfsync}"
            f" --partitions {self.partitions} --rate {self.rate:g}"
            f" --clients {self.clients} --pause {self.pause:g}"
            f" --disk {'small' if self.small_disk else 'real'}{faults}"
        )
