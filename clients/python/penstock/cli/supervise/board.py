"""What `penstock up` says: one line for each part and each thing that happens to it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from penstock.cli.screen import Screen, styled
from penstock.cli.text import span


class Board:
    """Prints the state of the parts; with `--json` one JSON line for each change."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def ready(self, name: str, what: str, pid: int, took: timedelta) -> None:
        """A part serves."""
        facts: dict[str, object] = {"part": name, "state": "ready", "about": what, "pid": pid}
        self._say(name, "ready", "green", f"{what}  (pid {pid}, {span(took)})", facts)

    def died(self, name: str, how: str, last_words: str, backoff: timedelta) -> None:
        """A part died and will be started again."""
        facts = {"part": name, "state": "died", "how": how, "last_line": last_words}
        said = f"; its last line: {last_words}" if last_words else ""
        self._say(
            name, "died", "bold red", f"{how}, starting again in {span(backoff)}{said}", facts
        )

    def stopping(self, name: str) -> None:
        """A part is being ended."""
        self._say(name, "ending", "yellow", "", {"part": name, "state": "ending"})

    def stopped(self, name: str) -> None:
        """A part has ended."""
        self._say(name, "ended", "dim", "", {"part": name, "state": "ended"})

    def note(self, text: str) -> None:
        """A remark about no part in particular."""
        if self._screen.as_json:
            self._screen.json_line({"note": text})
        else:
            self._screen.line(text, "dim")

    def _say(
        self, name: str, state: str, style: str, what: str, facts: Mapping[str, object]
    ) -> None:
        if self._screen.as_json:
            self._screen.json_line(facts)
            return
        line = styled(f"  {name:<8}", "bold") + styled(f"{state:<8}", style) + styled(what)
        line.rstrip()
        self._screen.console.print(line, soft_wrap=True)
