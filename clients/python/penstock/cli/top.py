"""`penstock top`: queues, workers and recent failures on one live screen."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock.cli.command import command, to_span
from penstock.cli.exits import usage
from penstock.cli.session import Session


def add_to(app: typer.Typer, *, panel: str) -> None:
    """Adds the command."""
    examples = ["penstock top", "penstock top --every 5s", "penstock top --once --json"]
    command(app, "top", panel=panel, examples=examples)(top)


def top(
    session: Session,
    every: Annotated[str, typer.Option(help="How often to look.", metavar="SPAN")] = "1s",
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
) -> None:
    """Show queues with depths, rates and ages, workers, and the latest failures, until Ctrl-C.

    Without a terminal it looks once.
    """
    from datetime import timedelta

    from penstock.cli.rpc import connected
    from penstock.cli.top_live import run_live, run_once

    interval = to_span(every, "--every")
    if interval < timedelta(milliseconds=200):
        raise usage("--every must be at least 200ms")
    with connected(session) as server:
        if once or session.json or not session.screen.console.is_terminal:
            run_once(session, server)
        else:
            run_live(session, server, interval)
