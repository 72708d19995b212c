"""What every command is given: which server, which namespace, how patient, and where to print."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from penstock.cli.screen import Screen
from penstock.options import DEFAULT_ADDRESS

DEFAULT_NAMESPACE: Final = "default"
DEFAULT_TIMEOUT: Final = timedelta(seconds=10)


@dataclass(frozen=True, kw_only=True)
class Session:
    """One run of one command."""

    #: `HOST:PORT` of the server.
    address: str = DEFAULT_ADDRESS
    #: Namespace of everything that the command names.
    namespace: str = DEFAULT_NAMESPACE
    #: Longest time that one call to the server may take. Streams and waits have no such bound.
    timeout: timedelta = DEFAULT_TIMEOUT
    #: Whether standard output is for programs.
    json: bool = False
    screen: Screen = field(default_factory=Screen)

    def now(self) -> datetime:
        """The local clock, for ages on the screen."""
        return datetime.now(UTC)
