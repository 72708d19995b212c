"""Task types that come with Penstock: `penstock_worker.builtin:worker` serves them.

shell    runs a command line or a program
"""

from __future__ import annotations

from penstock_worker.builtin import shell
from penstock_worker.worker import Worker

worker = Worker("builtin")
worker.task("shell")(shell.run)

__all__ = ["worker"]
