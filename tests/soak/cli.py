"""`make soak`: runs the load, takes samples, prints what grew; ends with 1 if something did."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from soak.judge import Bound, Verdict, judge
from soak.load import HANDLERS, Load, load_on
from soak.sample import BOUNDS, MIB, Key, Sampler
from support.server_process import server_process
from support.worker_process import worker_process

SETTINGS: Final = {
    # Short enough that what is kept by age reaches its level within the warm-up.
    "retention.ended_age": "30s",
    "retention.dead_age": "30s",
    "retention.events_age": "30s",
}
LEFT_BY: Final = {
    # Bytes that stay of an act, and in which part: known, and explained in docs/how-to/soak.md.
    ("client", "drop_a_poll"): 1_000,
    ("client", "drop_an_await"): 1_000,
    ("client", "drop_a_watch"): 200,
    ("client", "drop_a_tail"): 200,
    ("server", "drop_a_watch"): 100,
    ("server", "drop_a_tail"): 100,
    ("server", "drop_a_connection"): 100,
    **{
        ("store", act): 600  # of each ended task, for an hour
        for act in (
            *("run", "run_in_thread", "run_isolated", "read_a_log", "fail_twice"),
            *("tasks in batches", "cancel_a_task", "drop_a_tail", "drop_an_await"),
        )
    },
}
POOLED: Final = Bound(at_once=16.0, per_minute=0.05)
"""Connections of the server to the store: made when more are needed at once than there are, kept,
and at most 100 for each of three uses.
"""


def parser() -> argparse.ArgumentParser:
    """The flags."""
    flags = argparse.ArgumentParser(prog="make soak", description=__doc__, allow_abbrev=False)
    flags.add_argument("--minutes", type=float, default=8.0, metavar="N", help="how long (8)")
    flags.add_argument("--load", type=float, default=1.0, metavar="X", help="times the rates (1)")
    flags.add_argument("--every", type=float, default=5.0, metavar="S", help="seconds a sample (5)")
    return flags


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a soak. Gives the exit status: 0, or 1 if something grows."""
    options = parser().parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="penstock-soak-") as folder:
        sampler, load = asyncio.run(soak(Path(folder), options))
    verdicts = judge_all(sampler, load)
    print(report(verdicts, load, options.minutes))
    return 0 if all(verdict.is_flat for verdict in verdicts.values()) else 1


async def soak(folder: Path, options: argparse.Namespace) -> tuple[Sampler, Load]:
    """Runs everything; answers what was seen and what was done."""
    flags = [flag for name, value in SETTINGS.items() for flag in ("--set", f"{name}={value}")]
    async with (
        server_process(folder, *flags) as server,
        worker_process(server.address, HANDLERS, folder) as worker,
        asynccontextmanager(load_on)(server.address) as load,
    ):
        assert server.metrics is not None
        sampler = Sampler(server.pid, worker.process.pid, server.metrics)
        running = asyncio.create_task(load.go(options.load))
        try:
            await sample(sampler, options, running)
        finally:
            running.cancel()
            await asyncio.wait([running])
    return sampler, load


async def sample(
    sampler: Sampler, options: argparse.Namespace, running: asyncio.Task[None]
) -> None:
    """Takes samples until the time is over. Raises what ended the load."""
    begin = time.monotonic()
    while (seconds := time.monotonic() - begin) < options.minutes * 60:
        await asyncio.to_thread(sampler.take, seconds)
        await asyncio.wait([running], timeout=options.every)
        if running.done():
            running.result()


def judge_all(sampler: Sampler, load: Load) -> dict[Key, Verdict]:
    """Judges every series."""
    verdicts = {}
    for key, samples in sampler.series.items():
        verdicts[key] = judge(samples, bound_of(key, samples[-1][0], load))
    return verdicts


def bound_of(key: Key, seconds: float, load: Load) -> Bound:
    """How much a series may grow, given what was done."""
    part, unit = key
    bound = BOUNDS[unit.partition(" ")[0]]
    if part in ("server", "store") and unit in ("descriptors", "sockets"):
        return POOLED
    if unit != "MiB":
        return bound
    left = sum(size * load.done[act] for (where, act), size in LEFT_BY.items() if where == part)
    return replace(bound, per_minute=bound.per_minute + left / MIB / (seconds / 60))


def report(verdicts: dict[Key, Verdict], load: Load, minutes: float) -> str:
    """What was done, and a table of what was seen."""
    lines = [f"{minutes:g} minutes", "", "| done | times | refused |", "| --- | ---: | ---: |"]
    for name, count in sorted(load.done.items()):
        lines.append(f"| {name.replace('_', ' ')} | {count:,} | {load.failed[name]:,} |")
    lines += [
        "",
        "| part | of | after warm-up | at the end | most | growth | allowed | |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for (part, unit), seen in sorted(verdicts.items()):
        numbers = (seen.first, seen.last, seen.most, seen.growth, seen.allowed)
        cells = " | ".join(f"{number:.1f}" for number in numbers)
        lines.append(f"| {part} | {unit} | {cells} | {'' if seen.is_flat else '**grows**'} |")
    return "\n".join(lines)
