"""Runs a program for a parent and ends it when the parent goes away, however it goes.

    python -m penstock._guardian PROGRAM ARGUMENT…

Its standard input is the leash: it stays open for as long as the parent lives and wants the
program. Then the program gets SIGTERM, and its whole process group SIGKILL if it has not ended
within ten seconds. Ends with the program's exit status. Uses the standard library only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import Final

GRACE_SECONDS: Final = 10.0


def main(arguments: list[str]) -> int:
    """Runs the program until it ends or the leash is let go."""
    # A Ctrl-C in the terminal goes to the parent, which lets go of the leash when it is ready.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    program = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=_hold_leash, args=(program,), daemon=True).start()
    status = program.wait()
    _kill_group(program.pid)
    return status if status >= 0 else 128 - status


def _hold_leash(program: subprocess.Popen[bytes]) -> None:
    """Waits until the parent lets go, then ends the program."""
    while os.read(0, 4_096):
        pass
    program.terminate()
    try:
        program.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        _kill_group(program.pid)


def _kill_group(leader: int) -> None:
    """Kills what is left of the program's group, e.g. a store that it had started."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return  # nothing is left, as it should be


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
