"""Checks, task after task, that each one is where its state says, and mends what is not."""

from datetime import timedelta
from typing import ClassVar

from penstock_server.store.audit import Audit
from penstock_server.telemetry import events
from penstock_server.telemetry.logging import get_logger

_log = get_logger(__name__)


class Auditor:
    """Task in no set → back into the set of its state.

    Every mend is a fault of ours, or of a store that lost writes: it is logged as an error. A walk
    through a million tasks takes about two hours; correctness does not wait for it.
    """

    name: ClassVar[str] = "auditor"
    every: ClassVar[timedelta] = timedelta(seconds=1)

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    async def run_once(self, partition: int) -> bool:
        """Looks at one piece; there is always time for the next one later."""
        for mended in await self._audit.step(partition):
            if mended.state is None:
                _log.error(
                    events.TASK_UNREADABLE, namespace=mended.namespace, task_id=mended.task_id
                )
            else:
                _log.error(
                    events.TASK_MENDED,
                    namespace=mended.namespace,
                    task_id=mended.task_id,
                    state=mended.state.name,
                    missing=mended.missing,
                )
        return False
