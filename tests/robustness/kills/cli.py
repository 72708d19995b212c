"""The command line: how many tasks, how many kills."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from penstock_server.model.errors import StoreUnavailable
from penstock_server.store.store import Store, open_store
from robustness.kills.producer import acknowledged
from robustness.kills.site import PARTS, Site, site
from robustness.kills.verdict import Verdict, judge
from robustness.oracle import still_open

_AHEAD: Final = 5_000
"""Tasks that may wait: enough for the workers, few enough that kills of producers matter."""
_STUCK: Final = 60.0
"""Seconds without any task ending after which the run is given up."""
_SHOWN: Final = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Runs; the exit status is 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="kills", description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=10, help="of each part")
    parser.add_argument("--seed", type=int, help="of the order of the kills; default: drawn")
    parser.add_argument("--out", type=Path, help="folder for logs and the result as JSON")
    options = parser.parse_args(argv)
    folder = options.out or Path(tempfile.mkdtemp(prefix="penstock-kills-"))
    seed = options.seed if options.seed is not None else random.randrange(1 << 31)
    began = time.monotonic()
    kills, found = asyncio.run(_run(folder, options.tasks, options.kills, seed))
    seconds = time.monotonic() - began
    print(table(kills, found, seed, seconds))
    facts = {"seed": seed, "seconds": round(seconds, 1), "kills": kills, **vars(found)}
    (folder / "verdict.json").write_text(json.dumps(facts, indent=2))
    print(f"written to {folder}")
    return int(not found.holds)


async def _run(folder: Path, tasks: int, kills: int, seed: int) -> tuple[Counter[str], Verdict]:
    async with site(folder, tasks, seed) as made:
        done = await _Drive(made, tasks, _order(made.rng, kills)).run()
        store = await open_store(made.url)
        try:
            return done, await judge(store, folder, tasks)
        finally:
            await store.close()


def _order(rng: random.Random, kills: int) -> list[str]:
    """Every part as often, in any order; the producer, which is through before the end, early."""
    order = [part for part in PARTS if part != "producer" for _ in range(kills)]
    rng.shuffle(order)
    for _ in range(kills):
        order.insert(rng.randrange(len(order) * 3 // 4 + 1), "producer")
    return order


class _Drive:
    """Kills the parts one after the other, evenly over the tasks that end."""

    def __init__(self, made: Site, tasks: int, order: list[str]) -> None:
        self._site, self._tasks, self._order = made, tasks, order
        self._step = tasks / (len(order) + 1)
        self._ended = 0
        self._moved = time.monotonic()

    async def run(self) -> Counter[str]:
        done: Counter[str] = Counter()
        while self._ended < self._tasks:
            await self._look()
            if self._order and self._ended >= self._step * (sum(done.values()) + 1):
                part = self._order.pop(0)
                if not await self._site.kill(part):
                    self._order.append(part)  # it is being started again
                    continue
                done[part] += 1
                print(f"{self._ended:>9,} of {self._tasks:,} ended · killed {_told(done)}")
            elif time.monotonic() - self._moved > _STUCK:
                raise SystemExit(f"stuck at {self._ended} tasks; logs in {self._site.folder}")
            await asyncio.sleep(0.05)
        if self._order:
            raise SystemExit(f"over before {', '.join(self._order)} could be killed: more --tasks")
        return done

    async def _look(self) -> None:
        producer = self._site.producer
        taken = sum(len(ids) for _, ids in acknowledged(producer.acknowledged))
        if taken < self._tasks and not producer.pid:
            await producer.start()
        try:
            store: Store = await open_store(self._site.url)
            try:
                waiting = await still_open(store, 1)
            finally:
                await store.close()
        except StoreUnavailable:
            return
        # What is stored and not written down yet makes this too small, never too large.
        ended = max(self._ended, taken - waiting)
        if ended > self._ended or waiting == 0:
            self._ended, self._moved = ended, time.monotonic()
        producer.ahead.write_text(str(self._ended + _AHEAD))


def table(kills: Counter[str], found: Verdict, seed: int, seconds: float) -> str:
    """The result in Markdown."""
    rows = {
        "tasks": f"{found.tasks:,}",
        "`kill -9`": _told(kills),
        "executions": f"{found.executions:,}",
        "ends of executions": ", ".join(f"{n} {c:,}" for n, c in found.outcomes.most_common()),
        "ran to the end twice, each after a recorded loss": f"{found.ran_twice:,}",
        "lost": str(len(found.lost)),
        "stale accepted": str(len(found.stale_accepted)),
        "other violations": str(len(found.other)),
        "seconds": f"{seconds:.0f}",
        "seed": str(seed),
    }
    lines = ["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows.items())]
    for kind, texts in (
        ("lost", found.lost),
        ("stale", found.stale_accepted),
        ("other", found.other),
    ):
        lines += [f"- {kind}: {text}" for text in texts[:_SHOWN]]
    return "\n".join(lines)


def _told(kills: Counter[str]) -> str:
    return ", ".join(f"{part} {kills[part]}" for part in PARTS if kills[part]) or "nothing"


if __name__ == "__main__":
    sys.exit(main())
