"""`python -m penstock_worker module:worker`: runs a worker; `--help` lists the options."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from penstock.options import ClientOptions
from penstock_worker.errors import WorkerStartError
from penstock_worker.run import run_worker


def parser() -> argparse.ArgumentParser:
    """Answers the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m penstock_worker", description=__doc__)
    add = parser.add_argument
    add("target", help="module:attribute or file.py:attribute of a penstock_worker.Worker")
    add("--address", help="server, host:port (PENSTOCK_ADDRESS)")
    add("--namespace", help="namespace to lease from (PENSTOCK_NAMESPACE)")
    add("--name", default="", help="name for people")
    add("--queue", action="append", default=[], help="queue to lease from; may be repeated")
    add("--slots", type=int, help="executions at a time (100)")
    add("--runners", type=int, help="processes that share the handlers (1)")
    add("--isolated-slots", type=int, help="isolated executions at a time (number of cores)")
    add("--inline", action="store_true", help="run handlers in the supervisor itself")
    add("--drain-grace", type=float, metavar="SECONDS", help="time to end at shutdown (30)")
    add("--metrics", default="", metavar="HOST:PORT", help="serve Prometheus metrics there")
    add("--reload", action="store_true", help="start anew when a source file changes")
    return parser


def options_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Answers the options of `run_worker` for parsed arguments."""
    client = ClientOptions.from_env()
    given = {name: getattr(arguments, name) for name in ("address", "namespace")}
    client = replace(client, **{name: value for name, value in given.items() if value})
    options: dict[str, Any] = {
        "client": client,
        "name": arguments.name,
        "queues": tuple(arguments.queue),
        "inline": arguments.inline,
        "metrics": arguments.metrics,
    }
    for name in ("slots", "runners", "isolated_slots"):
        if getattr(arguments, name) is not None:
            options[name] = getattr(arguments, name)
    if arguments.drain_grace is not None:
        options["drain_grace"] = timedelta(seconds=arguments.drain_grace)
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a worker; answers the exit status."""
    arguments = parser().parse_args(argv)
    try:
        run_worker(arguments.target, reload=arguments.reload, **options_of(arguments))
    except (WorkerStartError, ValueError) as error:
        print(f"penstock worker: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
