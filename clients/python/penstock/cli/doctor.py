"""`penstock doctor`: looks for what is wrong, or will be, and says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.command import command
from penstock.cli.exits import Exit
from penstock.cli.session import Session


def add_to(app: typer.Typer, *, panel: str) -> None:
    """Adds the command."""
    examples = [
        "penstock doctor",
        "penstock doctor --store redis://localhost:6379/0",
        "penstock doctor --json",
    ]
    command(app, "doctor", panel=panel, examples=examples)(doctor)


def doctor(
    session: Session,
    store: Annotated[
        str | None,
        typer.Option(
            help="Look at this store too.", metavar="URL", show_default="as configured here"
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Data folder of an embedded store.",
            metavar="FOLDER",
            show_default="as configured here",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="Settings of the server.", metavar="FILE", show_default="penstock.yaml"),
    ] = None,
) -> None:
    """Check server, store, disk, queues and workers; each with ok, warn or fail and what to do.

    Says which line of the durability promise holds here. Ends with status 1 if anything fails.
    """
    from penstock.cli.checkup import run_checks
    from penstock.cli.checkup.findings import Verdict

    flags = {"store.url": store, "data": data and str(data)}
    given = {key: value for key, value in flags.items() if value}
    findings = list(run_checks(session, given, config))
    if session.json:
        session.screen.json([finding.as_json() for finding in findings])
    else:
        for finding in findings:
            finding.print_on(session.screen)
    if any(finding.verdict is Verdict.fail for finding in findings):
        raise typer.Exit(Exit.FAILED)
