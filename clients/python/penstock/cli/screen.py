"""Prints: tables and lines for people, JSON for programs, errors on standard error.

Nothing printed here is ever read as markup, and every value from outside goes through
`text.one_line` first. On a terminal there is colour; anywhere else plain text of unlimited width,
so that `grep` and `awk` see whole lines.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

from penstock.cli.exits import CommandFailed
from penstock.cli.text import one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

#: Wide enough that nothing is ever wrapped when the output is not a terminal.
_UNBOUNDED: Final = 100_000

#: Words that have a colour of their own wherever they stand in a table.
STYLES: Final[Mapping[str, str]] = {
    "SUCCEEDED": "green",
    "HEALTHY": "green",
    "ok": "green",
    "ready": "green",
    "RUNNING": "cyan",
    "READY": "blue",
    "SCHEDULED": "magenta",
    "BLOCKED": "magenta",
    "CANCELLED": "yellow",
    "RELEASED": "yellow",
    "PAUSED": "yellow",
    "DRAINING": "yellow",
    "warn": "yellow",
    "FAILED": "bold red",
    "TIMED_OUT": "bold red",
    "CRASHED": "bold red",
    "LOST": "bold red",
    "UNSERVED": "bold red",
    "STOPPED": "bold red",
    "SILENT": "bold red",
    "fail": "bold red",
}


class Screen:
    """Where one command prints. `as_json` turns tables off and JSON on."""

    def __init__(self, *, as_json: bool = False, to_errors: bool = False) -> None:
        self.as_json = as_json
        self._to_errors = to_errors

    @cached_property
    def console(self) -> Console:
        """Standard output; standard error with `to_errors`."""
        return _console(stderr=self._to_errors)

    @cached_property
    def errors(self) -> Console:
        """Standard error."""
        return _console(stderr=True)

    def line(self, text: str = "", style: str = "") -> None:
        """One line for people; with `--json` nothing: standard output is for the document."""
        if not self.as_json:
            self.console.print(styled(text, style), soft_wrap=True)

    def print(self, thing: Any) -> None:
        """A Rich renderable whose texts went through `styled`."""
        if self.as_json:
            return
        if self.console.is_terminal:
            self.console.print(thing)
            return
        with self.console.capture() as captured:
            self.console.print(thing)
        # A table fills its last column with blanks, which only hinder whoever reads a pipe.
        lines = [line.rstrip() for line in captured.get().splitlines()]
        self.console.file.write("\n".join(lines) + "\n")

    def note(self, text: str) -> None:
        """A remark on standard error, so that standard output stays what was asked for."""
        self.errors.print(styled(text, "dim"), soft_wrap=True)

    def json(self, document: object) -> None:
        """One JSON document: indented on a terminal, one line elsewhere."""
        indent = 2 if self.console.is_terminal else None
        self._write(json.dumps(document, indent=indent, ensure_ascii=indent is not None))

    def json_line(self, document: object) -> None:
        """One line of a stream of JSON documents, at once."""
        self._write(json.dumps(document))

    def fail(self, error: CommandFailed) -> None:
        """What is wrong and what to do, in one or two lines."""
        if self.as_json:
            body = {
                "message": error.what,
                "reason": error.reason,
                "remedy": error.remedy,
                "metadata": error.facts,
            }
            sys.stderr.write(json.dumps({"error": body}) + "\n")
            return
        reason = f" ({one_line(error.reason)})" if error.reason else ""
        self.errors.print(
            styled("error: ", "bold red") + styled(error.what + reason), soft_wrap=True
        )
        if error.remedy:
            self.errors.print(styled("  try: ", "bold") + styled(error.remedy), soft_wrap=True)

    def _write(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def styled(text: str, style: str = "") -> Text:
    """A text in one style that nothing inside it can change."""
    from rich.text import Text

    return Text(one_line(text), style=style)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[str] = ()
) -> Table:
    """A table of plain texts. Columns in `right` are numbers; the first column is never cut."""
    from rich.table import Table

    built = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold", show_edge=False)
    numbers = set(right)
    for index, column in enumerate(columns):
        side: Literal["left", "right"] = "right" if column in numbers else "left"
        built.add_column(
            column, justify=side, no_wrap=index == 0 or column in numbers, overflow="fold"
        )
    for row in rows:
        built.add_row(*(styled(cell, STYLES.get(cell, "")) for cell in row))
    return built


def fields(pairs: Iterable[tuple[str, str]]) -> Table:
    """Names and values under each other; pairs without a value are left out."""
    from rich.table import Table

    built = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    built.add_column(style="dim", no_wrap=True)
    built.add_column(overflow="fold")
    for name, value in pairs:
        if value:
            built.add_row(styled(name), styled(value, STYLES.get(value, "")))
    return built


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(
        stderr=stderr,
        markup=False,
        highlight=False,
        emoji=False,
        width=None if stream.isatty() else _UNBOUNDED,
        legacy_windows=False,
    )
