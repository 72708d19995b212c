"""Names of the runtime's log events. Fields say the rest; payloads and tokens never appear."""

from __future__ import annotations

from typing import Final

STARTED: Final = "worker.started"
DRAINING: Final = "worker.draining"
STOPPED: Final = "worker.stopped"
LEASE_LOST: Final = "lease.lost"
LEASE_EXPIRED: Final = "lease.expired"
ENDING_DROPPED: Final = "ending.dropped"
POLL_FAILED: Final = "poll.failed"
POLL_RECOVERED: Final = "poll.recovered"
REPORT_FAILED: Final = "report.failed"
REPORT_REFUSED: Final = "report.refused"
RUNNER_STARTED: Final = "runner.started"
RUNNER_DIED: Final = "runner.died"
RUNNER_BROKEN: Final = "runner.broken"
RUNNER_UNRESPONSIVE: Final = "runner.unresponsive"
RUNNER_RECYCLED: Final = "runner.recycled"
HANDLER_UNSTOPPABLE: Final = "handler.unstoppable"
RECONNECT: Final = "server.reconnect"
