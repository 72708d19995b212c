"""Looks through all tasks of a partition, piece by piece, for such that no set knows of."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from penstock_server.model.lifecycle import TaskState

from . import keys
from .lanes import Lanes, columns

_KEYS_A_LOOK: Final = 500


class Mended(NamedTuple):
    """A task that was in no set, and the one it was put back into.

    Without a state it is not mended: its record is there and cannot be read.
    """

    namespace: str
    task_id: str
    state: TaskState | None
    missing: str


class Audit:
    """One walk after another through the tasks of each partition."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._cursors: dict[int, int] = {}

    async def step(self, partition: int) -> list[Mended]:
        """Looks at some hundred keys behind the step before, and mends what must be mended."""
        prefix = f"{keys.tag(partition)}:task:"
        cursor, names = await self._lanes.connection.scan(
            partition, self._cursors.get(partition, 0), f"{prefix}*", _KEYS_A_LOOK
        )
        self._cursors[partition] = cursor
        tasks = [name.removeprefix(prefix).partition(":")[::2] for name in names]
        return await self._mend(partition, tasks)

    def is_under_way(self, partition: int) -> bool:
        """Whether the walk through a partition has begun and is not at its end."""
        return self._cursors.get(partition, 0) != 0

    async def _mend(self, partition: int, tasks: Sequence[tuple[str, ...]]) -> list[Mended]:
        mended: list[Mended] = []
        for start in range(0, len(tasks), 256):
            chunk = tasks[start : start + 256]
            for namespace, task_id, state, missing in await self._lanes.run(
                "audit", partition, columns(chunk)
            ):
                mended.append(
                    Mended(
                        namespace.decode(),
                        task_id.decode(),
                        TaskState(state) if state else None,
                        missing.decode(),
                    )
                )
        return mended
