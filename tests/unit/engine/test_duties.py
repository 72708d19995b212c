"""Duties: whose turn it is, in which partition."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any, ClassVar, cast

from penstock_server.duties.duty import Duties


class Endless:
    """A duty that has more to do in one partition for as many pieces as it is given."""

    name: ClassVar[str] = "endless"
    every: ClassVar[timedelta] = timedelta(seconds=1)

    def __init__(self, pieces: dict[int, int]) -> None:
        self.left = pieces
        self.done: list[int] = []

    async def run_once(self, partition: int) -> bool:
        self.done.append(partition)
        self.left[partition] -= 1
        return self.left[partition] > 0


class Locks:
    """Stands for the store's locks: another server has those of some partitions."""

    def __init__(self) -> None:
        self.elsewhere: set[int] = set()

    async def write(self, command: str, key: str, *_: Any) -> bool:
        return command == "SET" and int(key[2]) not in self.elsewhere

    async def read(self, *_: Any) -> bytes:
        return b"there"


def duties(locks: Locks, duty: Endless) -> Duties:
    store = SimpleNamespace(connection=locks, meta=SimpleNamespace(partitions=3))
    return Duties(cast(Any, store), "here", [duty])


async def test_a_partition_where_work_never_ends_holds_up_no_other():
    duty = Endless({0: 4, 1: 1, 2: 2})

    await duties(Locks(), duty).turn(duty)

    assert duty.done == [0, 1, 2, 0, 2, 0, 0]


async def test_a_partition_that_another_server_has_is_left_to_it():
    locks, duty = Locks(), Endless({0: 1, 1: 1, 2: 1})
    locks.elsewhere = {1}

    await duties(locks, duty).turn(duty)

    assert duty.done == [0, 2]
