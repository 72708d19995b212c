"""`penstock version`: this program, and the server that it calls."""

from __future__ import annotations

import platform

import typer

from penstock.cli.command import command
from penstock.cli.session import Session


def add_to(app: typer.Typer, *, panel: str) -> None:
    """Adds the command."""
    command(app, "version", panel=panel, examples=["penstock version"], calls=False)(version)


def version(session: Session) -> None:
    """Print the version of this program and of Python."""
    from penstock.channel import client_version

    facts = {
        "penstock": client_version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    if session.json:
        session.screen.json(facts)
    else:
        session.screen.line(
            f"penstock {facts['penstock']}, Python {facts['python']}, {facts['platform']}"
        )
