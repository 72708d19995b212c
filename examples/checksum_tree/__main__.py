"""Checks thousands of real files through Penstock, while one worker is killed.

    penstock up --example checksum_tree        with everything that it needs
    python examples/checksum_tree              against a server that runs

Ends with status 1 if a single result is missing or differs from what is computed here.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from collect import Collector, Counts, succeeded
from crew import Crew
from files import default_roots, python_files
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from penstock import Client, RetryPolicy, Task, TaskRequest

QUEUE = "checksum-tree"
#: The shortest term there is: what a killed worker held comes back after so long.
LEASE = timedelta(seconds=5)
#: A killed worker crashes all that it held; no file deserves to become a dead letter by that.
RETRY = RetryPolicy(max_attempts=3, max_crashes=10, initial_backoff=timedelta(milliseconds=100))
#: Seconds without any result after which the rest counts as lost.
PATIENCE = 60.0
KILL_AT = 0.4

console = Console(highlight=False, markup=False)


@dataclass(frozen=True)
class Report:
    """What came of it all."""

    files: int
    lost: Sequence[Path]
    different: Sequence[Path]
    lines: int
    size: int
    broken: int
    repeated: int


async def main(arguments: argparse.Namespace) -> int:
    """Submits, collects, compares; the exit status says whether everything was right."""
    files = python_files(arguments.roots or default_roots())[: arguments.limit]
    if not files:
        console.print("there is no Python file in these folders")
        return 1
    roots = arguments.roots or default_roots()
    console.print(f"checking {len(files):,} Python files of {', '.join(map(str, roots))}")
    began = time.monotonic()
    with Crew(arguments.workers) as crew, bar(len(files)) as progress:
        async with Client.from_env() as client:
            tasks, paths, counts = await check(client, crew, files, progress, kill=arguments.kill)
    took = time.monotonic() - began
    report = await asyncio.to_thread(compare, paths, tasks)
    show(report, counts, took)
    return 1 if report.lost or report.different else 0


async def check(
    client: Client, crew: Crew, files: Sequence[Path], progress: Progress, *, kill: bool
) -> tuple[dict[str, Task], dict[str, Path], Counts]:
    """One task for each file; answers the ended tasks and the files by task id."""
    row = progress.task_ids[0]
    victim = round(len(files) * KILL_AT) if kill else -1

    def on_end(counts: Counts) -> None:
        nonlocal victim
        progress.update(row, completed=counts.ended)
        if 0 <= victim <= counts.ended:
            victim = -1
            pid = crew.kill_one()
            progress.print(f"killed worker process {pid} with kill -9; another takes its place")

    collector, begun = Collector(client, QUEUE, on_end), asyncio.Event()
    collecting = asyncio.create_task(collector.run(begun))
    try:
        await begun.wait()
        requests = (
            TaskRequest(
                "checksum_tree.check", str(path), queue=QUEUE, lease_duration=LEASE, retry=RETRY
            )
            for path in files
        )
        results = await client.submit_many(requests)
        paths = {result.unwrap(): path for result, path in zip(results, files, strict=True)}
        await collector.wait_for(set(paths), PATIENCE)
    finally:
        collecting.cancel()
        await asyncio.gather(collecting, return_exceptions=True)
    return collector.tasks, paths, collector.counts


def compare(paths: dict[str, Path], tasks: dict[str, Task]) -> Report:
    """Holds every result against the file itself."""
    lost = [path for task_id, path in paths.items() if not succeeded(tasks.get(task_id))]
    ended = [(path, tasks[i]) for i, path in paths.items() if succeeded(tasks.get(i))]
    results = [task.result for _, task in ended]
    return Report(
        files=len(paths),
        lost=lost,
        different=[path for path, task in ended if task.result["sha256"] != digest(path)],
        lines=sum(result["lines"] for result in results),
        size=sum(result["size"] for result in results),
        broken=sum(not result["parses"] for result in results),
        repeated=sum(task.execution_count > 1 for _, task in ended),
    )


def digest(path: Path) -> str:
    """SHA-256 of a file, computed here and not by a worker."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def show(report: Report, counts: Counts, took: float) -> None:
    """The totals, and by name what is wrong."""
    for word, wrong in (("lost", report.lost), ("different", report.different)):
        for path in wrong[:10]:
            console.print(f"{word}: {path}", style="bold red")
    right = report.files - len(report.lost) - len(report.different)
    console.print(
        f"  files      {right:,} of {report.files:,} checked, every digest as computed here"
    )
    console.print(f"  content    {report.lines:,} lines, {report.size / 1e6:,.1f} MB")
    console.print(f"  broken     {report.broken:,} do not parse (tests of Python's own parser)")
    how = ", ".join(f"{number} {outcome}" for outcome, number in counts.outcomes.most_common())
    console.print(f"  retries    {report.repeated:,} tasks ran again ({how or 'none needed to'})")
    console.print(f"  losses     {len(report.lost)}")
    console.print(f"  different  {len(report.different)}")
    console.print(f"  rate       {report.files / took:,.0f} files/s, {took:.1f} s in all")


def bar(total: int) -> Progress:
    """A progress bar; without a terminal nothing but the lines that are printed."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    progress = Progress(*columns, console=console, disable=not console.is_terminal)
    progress.add_task("files", total=total)
    return progress


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line of the example."""
    parser = argparse.ArgumentParser(prog="checksum_tree", description=__doc__)
    parser.add_argument("roots", nargs="*", type=Path, help="folders (default: Python's own)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes (2)")
    parser.add_argument("--limit", type=int, help="at most so many files")
    parser.add_argument("--no-kill", dest="kill", action="store_false", help="kill no worker")
    return parser.parse_args(words)


def interrupt(number: int, frame: object) -> None:
    """Turns SIGTERM into what Ctrl-C does, so that the workers are ended."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupt)
    try:
        sys.exit(asyncio.run(main(parse(sys.argv[1:]))))
    except KeyboardInterrupt:
        sys.exit(130)
