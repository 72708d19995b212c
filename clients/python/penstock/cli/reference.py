"""Writes docs/reference/cli.md from the commands themselves.

python -m penstock.cli.reference > docs/reference/cli.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Final

import typer.main

from penstock.cli.app import app
from penstock.cli.exits import MEANINGS

#: Options that every command shares; they stand once at the top of the page.
_SHARED: Final = frozenset({"address", "namespace", "timeout", "json", "help"})
_HEAD: Final = """\
# Command line

<!-- Written by `python -m penstock.cli.reference`; a test keeps it up to date. -->

`penstock --help` and `penstock COMMAND --help` print what stands here.

These options can stand before a command's name or after it, wherever they make sense:

| option | default | environment | meaning |
| --- | --- | --- | --- |
| `--address HOST:PORT` | `127.0.0.1:7700` | `PENSTOCK_ADDRESS` | server; `https://…` for TLS |
| `--namespace NAME` | `default` | `PENSTOCK_NAMESPACE` | where to work |
| `--timeout SPAN` | `10s` | | longest time for one call |
| `--json` | | | one JSON document, or one line for each item of a stream |
| | | `PENSTOCK_API_KEY` | key of the caller; not an option: others can read those |
| | | `PENSTOCK_TLS_CA`, `_CERT`, `_KEY` | PEM files; the first turns TLS on |

A span is `90` (seconds), `250ms`, `5s`, `10m`, `2h`, `1d` or a sum such as `1h30m`. JSON can be
given as text, as `@FILE`, or as `-` for standard input.

Results go to standard output; errors, notes and the log of `penstock run` to standard error. With
`--json` an error is one JSON line `{"error": {"reason", "message", "remedy", "metadata"}}` there.

| exit status | meaning |
| --- | --- |
"""


def page() -> str:
    """The whole page."""
    root: Any = typer.main.get_command(app)
    statuses = "".join(f"| {status.value} | {meaning} |\n" for status, meaning in MEANINGS.items())
    return _HEAD + statuses + "".join(_section(path, one) for path, one in _commands(root))


def _commands(group: Any, path: str = "penstock") -> Iterator[tuple[str, Any]]:
    """Every command with its whole name, in the order of `--help`."""
    for name, one in group.commands.items():
        if hasattr(one, "commands"):
            yield from _commands(one, f"{path} {name}")
        else:
            yield f"{path} {name}", one


def _section(path: str, one: Any) -> str:
    arguments = [p for p in one.params if p.param_type_name == "argument"]
    options = [p for p in one.params if p.param_type_name == "option" and p.name not in _SHARED]
    usage = " ".join([path, *(["[OPTIONS]"] if options else []), *map(_metavar, arguments)])
    parts = [f"\n## {path}\n", f"\n```\n{usage}\n```\n", f"\n{_plain(one.help)}\n"]
    rows = [*map(_argument_row, arguments), *map(_option_row, options)]
    if rows:
        parts.append("\n| | default | meaning |\n| --- | --- | --- |\n" + "".join(rows))
    parts.append(_examples(one.epilog))
    return "".join(parts)


def _metavar(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return str(name)


def _argument_row(argument: Any) -> str:
    return _row(_metavar(argument), "", argument.help)


def _option_row(option: Any) -> str:
    names = ", ".join(sorted((*option.opts, *option.secondary_opts), key=lambda o: -len(o)))
    value = "" if option.is_flag else f" {option.metavar or _kind(option)}"
    return _row(f"{names}{value}", _default(option), option.help)


def _kind(option: Any) -> str:
    """What stands for the value of an option that names nothing itself: its words, or a number."""
    kind = option.type_descriptor.annotation
    return "|".join(kind) if isinstance(kind, type) and issubclass(kind, StrEnum) else "N"


def _default(option: Any) -> str:
    if option.required:
        return "required"
    if isinstance(option.show_default, str):
        return option.show_default
    default = option.default
    if option.show_default is False or default in (None, "", False, 0):
        return ""
    return "on" if default is True else str(getattr(default, "value", default))


def _row(name: str, default: str, meaning: str | None) -> str:
    cells = (f"`{name}`", f"`{default}`" if default else "", meaning or "")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _examples(epilog: str | None) -> str:
    lines = [line.strip() for line in _plain(epilog or "").split("\n\n")[1:]]
    return "\n```sh\n" + "\n".join(lines) + "\n```\n" if lines else ""


def _plain(text: str) -> str:
    """Help as it was written: its brackets were kept from being read as markup."""
    return text.replace("\\[", "[")


if __name__ == "__main__":
    sys.stdout.write(page())
