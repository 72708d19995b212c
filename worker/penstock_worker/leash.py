"""Kills a process group when the process that holds the leash dies.

A shell that waits for the end of a pipe and then kills: it holds no interpreter lock, shares no
group with what it watches, and its other end closes with its holder, whatever killed that.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import Final

# A line on the pipe means: let go. The end of the pipe means: its holder is gone.
_SCRIPT: Final = 'read -r line || kill -s KILL -- "-$1"'


class Leash:
    """Held for one process group; `release` it once the group is gone."""

    def __init__(self, group: int) -> None:
        read, self._write = os.pipe()
        try:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _SCRIPT, "penstock-leash", str(group)],
                stdin=read,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            os.close(self._write)
            raise
        finally:
            os.close(read)

    def release(self) -> None:
        """Lets the group go."""
        with contextlib.suppress(BrokenPipeError):  # the leash itself was killed
            os.write(self._write, b"\n")
        os.close(self._write)
        self._process.wait()
