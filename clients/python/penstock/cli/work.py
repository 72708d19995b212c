"""`penstock worker`: one worker process, in the foreground."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from penstock.cli.command import command, to_span
from penstock.cli.exits import CommandFailed, usage
from penstock.cli.session import Session
from penstock.cli.spec import pairs

_ISOLATED: Final = "Isolated handlers"


def add_to(app: typer.Typer, *, panel: str) -> None:
    """Adds the command."""
    examples = [
        "penstock worker tasks:worker",
        "penstock worker tasks.py:worker --queue mail --slots 20 --reload",
        "penstock worker penstock_worker.builtin:worker",
    ]
    command(app, "worker", panel=panel, examples=examples)(worker)


def worker(
    session: Session,
    target: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:WORKER",
            help="Where the Worker is: module or file, and name.",
            show_default=False,
        ),
    ],
    queue: Annotated[
        list[str] | None,
        typer.Option(
            help="Lease from this queue. Repeat it for more.",
            metavar="NAME",
            show_default="the Worker's",
        ),
    ] = None,
    slots: Annotated[
        int | None, typer.Option(help="Tasks at a time.", min=1, max=1000, show_default="100")
    ] = None,
    runners: Annotated[
        int | None,
        typer.Option(help="Processes that share the handlers.", min=1, max=64, show_default="1"),
    ] = None,
    inline: Annotated[
        bool,
        typer.Option("--inline", help="Run handlers in the worker's own process: for debugging."),
    ] = False,
    reload: Annotated[
        bool,
        typer.Option(
            "--reload", help="Start again when a Python file here changes: for development."
        ),
    ] = False,
    name: Annotated[str, typer.Option(help="Name for people.", metavar="TEXT")] = "",
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="Fact about the worker. Repeat it for more.",
            metavar="KEY=VALUE",
            show_default=False,
        ),
    ] = None,
    drain_grace: Annotated[
        str | None,
        typer.Option(
            help="Time that running tasks get at the end.", metavar="SPAN", show_default="30s"
        ),
    ] = None,
    isolated_slots: Annotated[
        int | None,
        typer.Option(
            help="Such tasks, and processes, at a time.",
            metavar="N",
            rich_help_panel=_ISOLATED,
            show_default="one per core",
        ),
    ] = None,
    metrics: Annotated[
        str, typer.Option(help="Serve Prometheus metrics here.", metavar="HOST:PORT")
    ] = "",
    ready_file: Annotated[
        Path | None,
        typer.Option(help="Written once it is connected: pid and what it serves.", metavar="FILE"),
    ] = None,
) -> None:
    """Run a worker in the foreground. Ctrl-C or SIGTERM drains it: what runs ends or is given back.

    The module is looked for in the working folder too. A worker takes only what it can start.
    """
    if reload:
        from penstock.cli.reload import run_reloading

        run_reloading(session)
        return
    options = {
        "queues": tuple(queue or ()),
        "slots": slots,
        "runners": runners,
        "isolated_slots": isolated_slots,
        "inline": inline,
        "name": name,
        "labels": pairs(label, "--label"),
        "drain_grace": None if drain_grace is None else to_span(drain_grace, "--drain-grace"),
        "metrics": metrics,
    }
    run(session, target, {key: value for key, value in options.items() if value}, ready_file)


def run(session: Session, target: str, options: dict[str, Any], ready_file: Path | None) -> None:
    """Runs the worker until it is told to stop."""
    from penstock.cli.rpc import client_options

    # Python adds the working folder for `python -m`, but not for an installed program.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        from penstock_worker import WorkerOptions, WorkerStartError, run_worker
    except ModuleNotFoundError as error:
        remedy = "pip install 'penstock[worker]'"
        raise CommandFailed(
            f"a worker needs {error.name}, which is not installed", remedy=remedy
        ) from None
    try:
        run_worker(target, WorkerOptions(client=client_options(session), **options))
    except ValueError as error:
        raise usage(str(error)) from None
    except WorkerStartError as error:
        raise CommandFailed(
            str(error), remedy="name it as module:worker or file.py:worker"
        ) from None
