"""`penstock config`: the settings that hold here, and where each came from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.command import command
from penstock.cli.exits import usage
from penstock.cli.session import Session

if TYPE_CHECKING:
    from penstock_server.config import SettingRow
    from penstock_server.config.sources import LoadedConfig


def add_to(app: typer.Typer, *, panel: str) -> None:
    """Adds the command."""
    examples = [
        "penstock config",
        "penstock config --changed",
        "penstock config --defaults",
        "penstock config lease.term --json",
    ]
    command(app, "config", panel=panel, examples=examples, calls=False)(config)


def config(
    session: Session,
    keys: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY]...", help="Only settings that begin so, e.g. lease.", show_default=False
        ),
    ] = None,
    config_file: Annotated[
        Path | None,
        typer.Option(
            "--config", help="Read this file.", metavar="FILE", show_default="penstock.yaml"
        ),
    ] = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only what is not the default.")
    ] = False,
    defaults: Annotated[
        bool, typer.Option("--defaults", help="Every setting with its default, bounds and meaning.")
    ] = False,
) -> None:
    """Print the settings that a server started here would have, and where each came from.

    Defaults come first, then penstock.yaml, penstock.override.yaml, the environment, and flags.
    """
    from penstock_server.config import settings_table

    rows = [row for row in settings_table() if _wanted(row.key, keys)]
    if keys and not rows:
        raise usage(
            f"there is no setting {keys[0]}", remedy="`penstock config --defaults` lists all"
        )
    if defaults:
        _print_defaults(session, rows)
    else:
        _print_effective(session, rows, _loaded(config_file), changed=changed)


def _wanted(key: str, prefixes: list[str] | None) -> bool:
    return not prefixes or any(
        key == one or key.startswith(f"{one.rstrip('.')}.") for one in prefixes
    )


def _loaded(config_file: Path | None) -> LoadedConfig:
    from penstock_server.config import ConfigError
    from penstock_server.config.sources import load_with_origins

    try:
        return load_with_origins(config_file=config_file)
    except ConfigError as error:
        raise usage("; ".join(str(problem) for problem in error.problems)) from None


def _print_effective(
    session: Session, rows: list[SettingRow], loaded: LoadedConfig, *, changed: bool
) -> None:
    from penstock.cli.screen import table

    found = [(row.key, _value(loaded, row.key), loaded.origins[row.key]) for row in rows]
    if changed:
        found = [row for row in found if row[2] != "default"]
    if session.json:
        session.screen.json(
            {key: {"value": value, "origin": origin} for key, value, origin in found}
        )
    elif found:
        session.screen.print(table(("SETTING", "VALUE", "FROM"), found))
    else:
        session.screen.line("every setting has its default; `penstock config` shows them")


def _value(loaded: LoadedConfig, key: str) -> str:
    """The value as one would write it. A password in the store's URL is not shown."""
    from penstock_server.config.table import shown_value

    value: object = loaded.config
    for name in key.split("."):
        value = getattr(value, name)
    return shown_value(key, value)


def _print_defaults(session: Session, rows: list[SettingRow]) -> None:
    from dataclasses import asdict

    from penstock.cli.screen import table

    if session.json:
        session.screen.json([asdict(row) for row in rows])
        return
    cells = ((row.key, row.default, row.bounds, row.meaning) for row in rows)
    session.screen.print(table(("SETTING", "DEFAULT", "BOUNDS", "MEANING"), cells))
