"""What the engine tells of its doings, for metrics and traces. The default hears nothing."""

from collections.abc import Sequence
from typing import Protocol

from penstock_server.model.errors import PenstockError
from penstock_server.model.lifecycle import Outcome
from penstock_server.model.records import QueueRecord, Submitted, TaskDraft


class Observer(Protocol):
    """Hears of what happens. Called on hot paths: implementations do little, and never fail."""

    def submitted(
        self,
        namespace: str,
        drafts: Sequence[TaskDraft],
        results: Sequence[Submitted | PenstockError],
    ) -> None:
        """Tasks were taken in or refused."""

    def ended(self, namespace: str, outcome: Outcome, count: int) -> None:
        """Executions ended by a report."""

    def refused(self, count: int) -> None:
        """Reports named leases that were over."""

    def reaped(self, namespace: str, queue: str, outcome: Outcome) -> None:
        """The server ended an execution by itself."""

    def looked(self, queue: QueueRecord, *, unserved: bool) -> None:
        """A queue was looked at."""

    def quarantined(self, partition: int, count: int) -> None:
        """So many entries of a partition's event stream cannot be read."""

    def leasing_stopped(self, reason: str) -> None:
        """Nothing is leased from now on, and why; empty: leasing goes on."""
