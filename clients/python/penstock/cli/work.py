"""`penstock worker`: one worker process, in the foreground."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from penstock.cli.command import command, to_span
from penstock.cli.exits import CommandFailed, usage
from penstock.cli.session import Session
from penstock.cli.spec import pairs

if TYPE_CHECKING:
    from penstock.options import ClientOptions

_ISOLATED: Final = "Isolated handlers"


@dataclass(frozen=True, kw_only=True)
class WorkerFlags:
    """What `worker` can be told."""

    queue: Annotated[
        list[str] | None,
        typer.Option(
            help="Lease from this queue. Repeat it for more.",
            metavar="NAME",
            show_default="the Worker's",
        ),
    ] = None
    slots: Annotated[
        int | None,
        typer.Option(help="Tasks at a time.", metavar="N", min=1, max=1000, show_default="100"),
    ] = None
    runners: Annotated[
        int | None,
        typer.Option(
            help="Processes that share the handlers.", metavar="N", min=1, max=64, show_default="1"
        ),
    ] = None
    inline: Annotated[
        bool,
        typer.Option("--inline", help="Run handlers in the worker's own process: for debugging."),
    ] = False
    reload: Annotated[
        bool,
        typer.Option(
            "--reload", help="Start again when a Python file here changes: for development."
        ),
    ] = False
    name: Annotated[str, typer.Option(help="Name for people.", metavar="TEXT")] = ""
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="Fact about the worker. Repeat it for more.",
            metavar="KEY=VALUE",
            show_default=False,
        ),
    ] = None
    drain_grace: Annotated[
        str | None,
        typer.Option(
            help="Time that running tasks get at the end.", metavar="SPAN", show_default="30s"
        ),
    ] = None
    isolated_slots: Annotated[
        int | None,
        typer.Option(
            help="Such tasks, and processes, at a time.",
            metavar="N",
            rich_help_panel=_ISOLATED,
            show_default="one per core",
        ),
    ] = None
    metrics: Annotated[
        str, typer.Option(help="Serve Prometheus metrics here.", metavar="HOST:PORT")
    ] = ""
    ready_file: Annotated[
        Path | None,
        typer.Option(help="Written once it is connected: pid and what it serves.", metavar="FILE"),
    ] = None


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
    *,
    flags: WorkerFlags,
) -> None:
    """Run a worker in the foreground. Ctrl-C or SIGTERM drains it: what runs ends or is given back.

    The module is looked for in the working folder too. A worker takes only what it can start.
    """
    # Python adds the working folder for `python -m`, but not for an installed program.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    _configure_log(as_json=session.json)
    run(target, _options(session, flags), flags.ready_file, reload=flags.reload)


def _options(session: Session, flags: WorkerFlags) -> dict[str, Any]:
    """The fields of WorkerOptions that were given."""
    grace = flags.drain_grace
    options = {
        "client": _client_options(session),
        "queues": tuple(flags.queue or ()),
        "slots": flags.slots,
        "runners": flags.runners,
        "isolated_slots": flags.isolated_slots,
        "inline": flags.inline,
        "name": flags.name,
        "labels": pairs(flags.label, "--label"),
        "drain_grace": None if grace is None else to_span(grace, "--drain-grace"),
        "metrics": flags.metrics,
    }
    return {key: value for key, value in options.items() if value not in (None, "", ())}


def _configure_log(*, as_json: bool) -> None:
    """The worker's own log: lines for people on standard error, with `--json` JSON lines."""
    import structlog

    stream = sys.stdout if as_json else sys.stderr
    output: Any = structlog.processors.JSONRenderer()
    if not as_json:
        output = structlog.dev.ConsoleRenderer(colors=stream.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            output,
        ],
        logger_factory=structlog.PrintLoggerFactory(stream),
    )


def _client_options(session: Session) -> ClientOptions:
    from penstock.cli.rpc import client_options

    return client_options(session)


def run(target: str, options: dict[str, Any], ready_file: Path | None, *, reload: bool) -> None:
    """Runs the worker until it is told to stop."""
    try:
        from penstock_worker.errors import WorkerStartError
        from penstock_worker.run import run_worker
    except ModuleNotFoundError as error:
        raise CommandFailed(
            f"a worker needs {error.name}, which is not installed",
            remedy="pip install 'penstock[worker]'",
        ) from None
    try:
        if ready_file is None or reload:
            run_worker(target, reload=reload, **options)
        else:
            _run_announced(target, options, ready_file)
    except ValueError as error:
        raise usage(str(error)) from None
    except WorkerStartError as error:
        raise CommandFailed(str(error)) from None


def _run_announced(target: str, options: dict[str, Any], ready_file: Path) -> None:
    """Runs the worker, and writes the ready file once its handlers are loaded."""
    import uvloop

    from penstock_worker.options import WorkerOptions
    from penstock_worker.run import WorkerProcess

    def announce(process: WorkerProcess) -> None:
        slots = process.options.slots
        about = f"{target}, {slots} slots"
        draft = ready_file.with_name(f"{ready_file.name}.{os.getpid()}")
        facts = {"pid": os.getpid(), "about": about, "metrics": process.metrics_address}
        draft.write_text(json.dumps(facts))
        draft.replace(ready_file)

    settings = WorkerOptions(**options)
    uvloop.run(WorkerProcess(target, settings, on_started=announce).run())
