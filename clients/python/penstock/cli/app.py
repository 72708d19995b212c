"""The tree of commands, in the order in which a person meets them."""

from __future__ import annotations

from typing import Final

import typer

from penstock.cli import (
    config,
    doctor,
    keys,
    logs,
    namespaces,
    queues,
    serve,
    submit,
    task_types,
    tasks,
    top,
    up,
    version,
    watch,
    work,
    workers,
)
from penstock.cli.command import Address, Json, Namespace, Timeout, remember
from penstock.cli.exits import MEANINGS

RUN: Final = "Run it"
WORK: Final = "Give it work"
SEE: Final = "See and act"
MANAGE: Final = "Set it up"

_STATUSES: Final = "\n\n".join(
    f"  {status.value:<4} {meaning}" for status, meaning in MEANINGS.items()
)

app = typer.Typer(
    name="penstock",
    help="Penstock: tasks in, work out. Start with `penstock up`.",
    epilog=f"Exit status:\n\n{_STATUSES}\n\nThe API key is read from PENSTOCK_API_KEY only: "
    "a command line can be read by everybody on a machine.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    context: typer.Context,
    address: Address = None,
    namespace: Namespace = None,
    timeout: Timeout = None,
    json: Json = False,
) -> None:
    """Options that may also stand after the command's name."""
    remember(context, address=address, namespace=namespace, timeout=timeout, json=json)


up.add_to(app, panel=RUN)
serve.add_to(app, panel=RUN)
work.add_to(app, panel=RUN)
submit.add_to(app, panel=WORK)
logs.add_to(app, panel=SEE)
watch.add_to(app, panel=SEE)
top.add_to(app, panel=SEE)
for noun in (tasks, queues, workers):
    app.add_typer(noun.app, rich_help_panel=SEE)
for noun in (task_types, namespaces, keys):
    app.add_typer(noun.app, rich_help_panel=MANAGE)
config.add_to(app, panel=MANAGE)
doctor.add_to(app, panel=MANAGE)
version.add_to(app, panel=MANAGE)
