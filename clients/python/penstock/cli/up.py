"""`penstock up`: everything on this machine with one command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from penstock.cli.command import command
from penstock.cli.exits import Exit, usage
from penstock.cli.session import Session

if TYPE_CHECKING:
    from penstock.cli.supervise.stage import UpOptions

BUILTIN: Final = "penstock_worker.builtin:worker"
_SERVER: Final = "Server"


@dataclass(frozen=True, kw_only=True)
class UpFlags:
    """What `up` can be told."""

    worker: Annotated[
        list[str] | None,
        typer.Option(
            help="Also run this worker. Repeat it for more.",
            metavar="MODULE:WORKER",
            show_default=False,
        ),
    ] = None
    builtin: Annotated[
        bool, typer.Option("--builtin/--no-builtin", help="Run a worker with the built-in types.")
    ] = True
    example: Annotated[
        str | None, typer.Option(help="Run this example once everything serves.", metavar="NAME")
    ] = None
    once: Annotated[
        bool, typer.Option("--once", help="End after the example, with its exit status.")
    ] = False
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the store, its lock and the logs.",
            metavar="FOLDER",
            show_default="./penstock-data",
        ),
    ] = None
    port: Annotated[
        int | None,
        typer.Option(
            help="Port of the server on 127.0.0.1; 0 takes a free one.",
            min=0,
            metavar="N",
            max=65535,
            show_default="7700",
        ),
    ] = None
    listen: Annotated[
        str | None,
        typer.Option(
            help="Address instead of a port.", metavar="HOST:PORT", rich_help_panel=_SERVER
        ),
    ] = None
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Address of the metrics page, or off.",
            metavar="HOST:PORT|off",
            rich_help_panel=_SERVER,
        ),
    ] = None
    store: Annotated[
        str | None,
        typer.Option(
            help="Your own Redis or Valkey instead of an embedded one.",
            metavar="URL",
            rich_help_panel=_SERVER,
        ),
    ] = None
    config: Annotated[
        Path | None,
        typer.Option(help="Settings of the server.", metavar="FILE", rich_help_panel=_SERVER),
    ] = None
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Any setting of the server. Repeat it for more.",
            metavar="KEY=VALUE",
            show_default=False,
            rich_help_panel=_SERVER,
        ),
    ] = None


def add_to(app: typer.Typer, *, panel: str) -> None:
    """Adds the command."""
    examples = [
        "penstock up",
        "penstock up --worker tasks.py:worker --data ./data --port 7701",
        "penstock up --example checksum_tree --once",
        "penstock up --store redis://localhost:6379/0",
    ]
    command(app, "up", panel=panel, examples=examples, calls=False)(up)


def up(session: Session, *, flags: UpFlags) -> None:
    """Start a store, a server and a worker, keep them running, and print lines to try.

    A part that dies is started again. Ctrl-C ends all in order; tasks stay in the data folder.
    """
    import asyncio

    from penstock.cli.supervise.run import Up

    status = asyncio.run(Up(_options(flags), session.screen).run())
    if status is not Exit.OK:
        raise typer.Exit(status)


def _options(flags: UpFlags) -> UpOptions:
    """What was asked for, checked. Raises CommandFailed."""
    from penstock.cli.spec import pairs
    from penstock.cli.supervise.stage import UpOptions, find_example, read_config

    if flags.once and flags.example is None:
        remedy = "name one: --example checksum_tree --once"
        raise usage("--once ends after an example", remedy=remedy)
    if flags.port is not None and flags.listen is not None:
        raise usage("--port and --listen exclude each other", remedy="give one of them")
    settings = pairs(flags.set_, "--set")
    words = [word for pair in flags.set_ or () for word in ("--set", pair)]
    return UpOptions(
        config=read_config({**settings, **_settings(flags)}, flags.config),
        server_flags=(*(["--config", str(flags.config)] if flags.config else []), *words),
        workers=(*([BUILTIN] if flags.builtin else []), *(flags.worker or [])),
        example=find_example(flags.example) if flags.example else None,
        once=flags.once,
    )


def _settings(flags: UpFlags) -> dict[str, str]:
    """The settings that the flags stand for."""
    port = flags.port
    settings = {
        "data": flags.data and str(flags.data),
        "listen": flags.listen or (None if port is None else f"127.0.0.1:{port}"),
        # A second server on another port must not stumble over the first one's metrics page.
        "metrics": flags.metrics or (None if port is None else "127.0.0.1:0"),
        "store.url": flags.store,
    }
    return {key: value for key, value in settings.items() if value}
