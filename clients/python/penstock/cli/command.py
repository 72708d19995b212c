"""Declares commands: shared options, help with an example, and errors in a line or two.

A command is a function whose first parameter is its `Session`. `command` adds the options that all
of them share, so that they can stand before the command's name or after it, and turns every failure
into an exit status. A parameter whose type is a dataclass stands for options that several commands
share: one option for each field.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Annotated, Any, Final, get_type_hints

import typer

from penstock.cli import failures
from penstock.cli.exits import CommandFailed, Exit, usage
from penstock.cli.screen import Screen, styled
from penstock.cli.session import DEFAULT_NAMESPACE, Session
from penstock.cli.text import parse_span
from penstock.options import DEFAULT_ADDRESS

_PANEL: Final = "Connection and output"

Address = Annotated[
    str | None,
    typer.Option(
        help="Server to call. Environment: PENSTOCK_ADDRESS.",
        show_default=DEFAULT_ADDRESS,
        metavar="HOST:PORT",
        rich_help_panel=_PANEL,
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option(
        help="Namespace to work in. Environment: PENSTOCK_NAMESPACE.",
        show_default=DEFAULT_NAMESPACE,
        metavar="NAME",
        rich_help_panel=_PANEL,
    ),
]
Timeout = Annotated[
    str | None,
    typer.Option(
        help="Longest time for one call, e.g. 5s.",
        show_default="10s",
        metavar="SPAN",
        rich_help_panel=_PANEL,
    ),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print JSON: one document, or one line for each item of a stream.",
        rich_help_panel=_PANEL,
    ),
]

_CONNECTION: Final[dict[str, Any]] = {
    "address": Address,
    "namespace": Namespace,
    "timeout": Timeout,
}
_SHARED: Final[dict[str, Any]] = {**_CONNECTION, "json": Json}
_CONTEXT: Final = "context_"
_KEYWORD: Final = inspect.Parameter.KEYWORD_ONLY

Body = Callable[..., None]


def group(name: str, summary: str) -> typer.Typer:
    """A group of commands about one noun."""
    return typer.Typer(
        name=name, help=summary, no_args_is_help=True, rich_markup_mode="rich", add_completion=False
    )


def command(
    app: typer.Typer,
    name: str,
    *,
    examples: Sequence[str],
    panel: str | None = None,
    calls: bool = True,
) -> Callable[[Body], Body]:
    """Adds the decorated function to `app`.

    `calls` says whether it talks to a server, and so takes an address.
    """

    def add(body: Body) -> Body:
        wanted = _SHARED if calls else {"json": Json}
        entry = _entry(body, wanted)
        entry.__name__ = f"{app.info.name}_{name}"
        app.command(
            name,
            help=_help(body),
            epilog=_epilog(examples),
            rich_help_panel=panel,
            no_args_is_help=False,
        )(entry)
        return body

    return add


def remember(context: typer.Context, **options: Any) -> None:
    """Keeps the options that stood before the command's name."""
    context.obj = {name: value for name, value in options.items() if value}


def _entry(body: Body, shared: dict[str, Any]) -> Callable[..., None]:
    """The function that Typer sees: the body's own parameters, then the shared ones."""
    signature = inspect.signature(body, eval_str=True)
    own = list(signature.parameters.values())[1:]
    bundles: dict[str, Any] = {
        p.name: p.annotation for p in own if dataclasses.is_dataclass(p.annotation)
    }
    parameters = [_parameter(_CONTEXT, typer.Context)]
    for parameter in own:
        bundle = bundles.get(parameter.name)
        parameters += _bundled(bundle) if bundle else [parameter.replace(kind=_KEYWORD)]
    parameters += [
        _parameter(n, kind, False if n == "json" else None) for n, kind in shared.items()
    ]

    @functools.wraps(body)
    def entry(**values: Any) -> None:
        before = values.pop(_CONTEXT).obj or {}
        given = {name: values.pop(name) for name in shared}
        given = {name: value for name, value in given.items() if value}
        for name, bundle in bundles.items():
            values[name] = bundle(
                **{f.name: values.pop(f.name) for f in dataclasses.fields(bundle)}
            )
        invoke(body, {**before, **given}, values)

    entry.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    entry.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return entry


def _parameter(name: str, kind: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, _KEYWORD, default=default, annotation=kind)


def _bundled(bundle: Any) -> list[inspect.Parameter]:
    """The fields of a dataclass as options of their own."""
    kinds = get_type_hints(bundle, include_extras=True)
    return [
        _parameter(field.name, kinds[field.name], field.default)
        for field in dataclasses.fields(bundle)
    ]


def invoke(body: Body, options: dict[str, Any], values: dict[str, Any]) -> None:
    """Runs a command; every failure ends as an exit status, with a line that says why."""
    screen = Screen(as_json=bool(options.get("json")))
    try:
        with failures.translated():
            body(_session(options, screen), **values)
    except CommandFailed as error:
        if error.status is not Exit.OK:
            screen.fail(error)
        raise typer.Exit(error.status) from None
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None


def _session(options: dict[str, Any], screen: Screen) -> Session:
    import os

    timeout = _timeout(options["timeout"]) if "timeout" in options else Session.timeout
    return Session(
        address=options.get("address") or os.environ.get("PENSTOCK_ADDRESS") or DEFAULT_ADDRESS,
        namespace=options.get("namespace")
        or os.environ.get("PENSTOCK_NAMESPACE")
        or DEFAULT_NAMESPACE,
        timeout=timeout,
        json=screen.as_json,
        screen=screen,
    )


def _timeout(text: str) -> timedelta:
    value = to_span(text, "--timeout")
    if not timedelta() < value <= timedelta(hours=1):
        raise usage("--timeout must be more than 0 and at most 1h")
    return value


def to_span(text: str, option: str) -> timedelta:
    """The span in an option's value; a wrong one is a usage error that names the option."""
    try:
        return parse_span(text)
    except ValueError as error:
        raise usage(f"{option}: {error}") from None


def confirm(session: Session, question: str, *, yes: bool) -> None:
    """Asks before something that cannot be undone.

    Without a terminal `--yes` must have been given.
    """
    if yes:
        return
    if session.json or not sys.stdin.isatty():
        raise usage(f"{question} Nobody is here to answer", remedy="repeat it with --yes")
    session.screen.errors.print(styled(f"{question} [y/N] "), end="")
    if input().strip().lower() not in ("y", "yes"):
        raise CommandFailed("nothing was changed")


def _help(body: Body) -> str:
    """The docstring as help, with its brackets kept from being read as markup."""
    return inspect.cleandoc(body.__doc__ or "").replace("[", "\\[")


def _epilog(examples: Sequence[str]) -> str:
    """Examples one under the other; Typer joins lines, but keeps paragraphs apart."""
    title = "Examples:" if len(examples) > 1 else "Example:"
    return "\n\n".join([title, *(f"  {example}".replace("[", "\\[") for example in examples)])
