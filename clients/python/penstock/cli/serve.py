"""`penstock server`: one server, in the foreground."""

from __future__ import annotations

import runpy
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.command import command
from penstock.cli.session import Session


@dataclass(frozen=True, kw_only=True)
class ServerFlags:
    """What `server` can be told; each stands for a setting."""

    listen: Annotated[
        str | None,
        typer.Option(
            help="Address to serve on.", metavar="HOST:PORT", show_default="127.0.0.1:7700"
        ),
    ] = None
    store: Annotated[
        str | None,
        typer.Option(help="Redis or Valkey, or embedded.", metavar="URL", show_default="embedded"),
    ] = None
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the embedded store.", metavar="FOLDER", show_default="./penstock-data"
        ),
    ] = None
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Address of the metrics page, or off.",
            metavar="HOST:PORT|off",
            show_default="127.0.0.1:7790",
        ),
    ] = None
    config: Annotated[
        Path | None,
        typer.Option(help="File with settings.", metavar="FILE", show_default="penstock.yaml"),
    ] = None
    processes: Annotated[
        int | None,
        typer.Option(help="Processes that share the port.", metavar="N", show_default="1"),
    ] = None
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure", help="Allow to listen beyond this machine without TLS and keys."
        ),
    ] = False
    log_level: Annotated[
        str | None,
        typer.Option(help="debug, info, warning or error.", metavar="LEVEL", show_default="info"),
    ] = None
    log_format: Annotated[
        str | None,
        typer.Option(help="auto, console or json.", metavar="FORMAT", show_default="auto"),
    ] = None
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Any setting. Repeat it for more.",
            metavar="KEY=VALUE",
            show_default=False,
        ),
    ] = None
    ready_file: Annotated[
        Path | None,
        typer.Option(help="Written once it serves: address, metrics, pid, store.", metavar="FILE"),
    ] = None


def add_to(app: typer.Typer, *, panel: str) -> None:
    """Adds the command."""
    examples = [
        "penstock server --store redis://localhost:6379/0",
        "penstock server --listen 0.0.0.0:7700 --config /etc/penstock.yaml",
    ]
    command(app, "server", panel=panel, examples=examples, calls=False)(server)


def server(session: Session, *, flags: ServerFlags) -> None:
    """Run one server in the foreground. SIGTERM or Ctrl-C drains it.

    Every setting can stand in penstock.yaml and in the environment too: see `penstock config`.
    """
    values = {
        "--listen": flags.listen,
        "--store": flags.store,
        "--data": flags.data,
        "--metrics": flags.metrics,
        "--config": flags.config,
        "--processes": flags.processes,
        "--log-level": flags.log_level,
        "--log-format": flags.log_format or ("json" if session.json else None),
        "--ready-file": flags.ready_file,
    }
    words = [word for flag, value in values.items() if value for word in (flag, str(value))]
    words += ["--insecure"] if flags.insecure else []
    words += [word for pair in flags.set_ or () for word in ("--set", pair)]
    sys.argv = ["penstock server", *words]
    runpy.run_module("penstock_server", run_name="__main__", alter_sys=True)
