"""How a command ends: its exit status, and the one or two lines it says when it fails.

0    done
1    the task, or what was asked for, failed or was refused
2    the command line is wrong
3    the server (or the store) is out of reach
4    the server does not know the caller, or does not allow this
130  interrupted by Ctrl-C
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class Exit(IntEnum):
    """Exit statuses, the same for every command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    DENIED = 4
    INTERRUPTED = 130


#: What each status means, for the documentation.
MEANINGS: Final[Mapping[Exit, str]] = {
    Exit.OK: "done",
    Exit.FAILED: "the task, or what was asked for, failed or was refused",
    Exit.USAGE: "the command line is wrong",
    Exit.UNREACHABLE: "the server (or the store) is out of reach",
    Exit.DENIED: "the server does not know the caller, or does not allow this",
    Exit.INTERRUPTED: "interrupted by Ctrl-C",
}


class CommandFailed(Exception):
    """Ends the command: `what` is wrong, `remedy` says what to do, `reason` is for programs."""

    def __init__(
        self,
        what: str,
        *,
        remedy: str = "",
        reason: str = "",
        facts: Mapping[str, str] | None = None,
        status: Exit = Exit.FAILED,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.reason = reason
        self.facts = dict(facts or {})
        self.status = status


def usage(what: str, *, remedy: str = "") -> CommandFailed:
    """A mistake on the command line."""
    return CommandFailed(what, remedy=remedy, status=Exit.USAGE)
