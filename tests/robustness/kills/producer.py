"""A producer that can be killed: it submits numbered tasks and writes down what was acknowledged.

Started again, it goes on behind the last batch that it wrote down. What was stored and not written
down is submitted once more under the same keys, which must give the same tasks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from penstock import Client, ClientOptions, RetryPolicy, TaskRequest
from penstock.errors import PenstockError

BATCH: Final = 100
QUEUE: Final = "alpha"
_RETRY: Final = RetryPolicy(max_attempts=1, max_crashes=50)
_PATIENCE: Final = timedelta(seconds=60)


def acknowledged(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The batches that were written down: number of the first task, and the ids."""
    if not path.exists():
        return
    for line in path.read_bytes().split(b"\n")[:-1]:  # a line that was cut off was not written
        first, ids = json.loads(line)
        yield first, ids


async def produce(address: str, path: Path, total: int, ahead: Path) -> None:
    """Submits what is missing, while the file `ahead` allows it."""
    done = {first for first, _ in acknowledged(path)}
    options = ClientOptions(address=address, timeout=_PATIENCE)
    record = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    _drop_half_a_line(path)
    async with Client(options) as client:
        for first in range(0, total, BATCH):
            if first in done:
                continue
            await _until_allowed(ahead, first)
            ids = await _submit(client, range(first, min(first + BATCH, total)))
            os.write(record, json.dumps([first, ids]).encode() + b"\n")


async def _until_allowed(ahead: Path, first: int) -> None:
    # Another process writes the file, so there is nothing to wait for but time.
    while first >= int(await asyncio.to_thread(ahead.read_text) or 0):  # noqa: ASYNC110
        await asyncio.sleep(0.02)


async def _submit(client: Client, numbers: range) -> list[str]:
    requests = [
        TaskRequest(
            "r.async",
            {"m": f"n{n}", "seconds": 0.02},
            queue=QUEUE,
            retry=_RETRY,
            idempotency_key=f"n{n}",
        )
        for n in numbers
    ]
    while True:
        try:
            results = await client.submit_many(requests)
            return [result.unwrap() for result in results]
        except PenstockError:
            await asyncio.sleep(0.2)  # nobody serves for the moment: the same keys once more


def _drop_half_a_line(path: Path) -> None:
    text = path.read_bytes()
    os.truncate(path, text.rfind(b"\n") + 1)


def main() -> None:
    """Runs as a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("path", type=Path)
    parser.add_argument("total", type=int)
    parser.add_argument("ahead", type=Path)
    given = parser.parse_args()
    asyncio.run(produce(given.address, given.path, given.total, given.ahead))


if __name__ == "__main__":
    main()
