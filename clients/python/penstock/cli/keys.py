"""`penstock keys`: make, list and revoke API keys, on the store itself.

Whoever can reach the store is its administrator, so the first key needs no key, and no server has
to run.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from penstock.cli.command import command, confirm, group, to_span
from penstock.cli.exits import CommandFailed, Exit
from penstock.cli.session import Session

if TYPE_CHECKING:
    from datetime import datetime

    from penstock_server.config import Config
    from penstock_server.model.access import AccessKey

app = group("keys", "Make, list and revoke API keys (needs access to the store).")

T = TypeVar("T")
_PANEL: Final = "Store"


class RoleName(StrEnum):
    """What the holder of a key may do."""

    viewer = "viewer"
    submitter = "submitter"
    worker = "worker"
    operator = "operator"
    admin = "admin"


@dataclass(frozen=True, kw_only=True)
class StoreOptions:
    """Which store the keys live in."""

    store: Annotated[
        str | None,
        typer.Option(
            help="Redis or Valkey.",
            metavar="URL",
            rich_help_panel=_PANEL,
            show_default="as configured here",
        ),
    ] = None
    data: Annotated[
        Path | None,
        typer.Option(
            help="Data folder of an embedded store.",
            metavar="FOLDER",
            rich_help_panel=_PANEL,
            show_default="as configured here",
        ),
    ] = None
    config: Annotated[
        Path | None,
        typer.Option(
            help="Settings of the server.",
            metavar="FILE",
            rich_help_panel=_PANEL,
            show_default="penstock.yaml",
        ),
    ] = None

    def load(self) -> Config:
        """The settings that say where the store is."""
        from penstock.cli.supervise.stage import read_config

        flags = {"store.url": self.store, "data": self.data and str(self.data)}
        return read_config({key: value for key, value in flags.items() if value}, self.config)


@command(
    app,
    "create",
    calls=False,
    examples=[
        "penstock keys create --role admin --description 'me'",
        "penstock keys create --role worker --in default --in staging --expires 90d",
    ],
)
def create(
    session: Session,
    role: Annotated[RoleName, typer.Option(help="What its holder may do.", show_default=False)],
    in_: Annotated[
        list[str] | None,
        typer.Option(
            "--in",
            help="Only in this namespace. Repeat it for more.",
            metavar="NAMESPACE",
            show_default="everywhere",
        ),
    ] = None,
    description: Annotated[str, typer.Option(help="Who has it, and why.", metavar="TEXT")] = "",
    expires: Annotated[
        str | None,
        typer.Option(help="Lifetime, e.g. 90d.", metavar="SPAN", show_default="for ever"),
    ] = None,
    *,
    store: StoreOptions,
) -> None:
    """Make a key and print it. It is shown this once, and kept nowhere as text.

    From the first key on, every call to the server needs one (setting `security.keys`).
    """
    from penstock_server.access_admin import create_key
    from penstock_server.model.access import Role

    made = _run(
        create_key(
            store.load(),
            role=Role(role.value),
            namespaces=frozenset(in_) if in_ else None,
            description=description,
            lifetime=to_span(expires, "--expires") if expires else None,
        )
    )
    if session.json:
        session.screen.json({**_as_json(made.key), "key": made.text})
        return
    session.screen.line(made.text)
    session.screen.note(f"key {made.key.key_id} ({role}): keep it now, it is not shown again")
    session.screen.note("callers and workers put it into PENSTOCK_API_KEY")


@command(app, "list", calls=False, examples=["penstock keys list"])
def list_keys(session: Session, *, store: StoreOptions) -> None:
    """List the keys, revoked and expired ones too. Their texts are not kept."""
    from penstock.cli.screen import table
    from penstock_server.access_admin import list_keys

    found = _run(list_keys(store.load()))
    if session.json:
        session.screen.json([_as_json(key) for key in found])
    elif found:
        columns = ("KEY", "ROLE", "STATE", "NAMESPACES", "CREATED", "EXPIRES", "DESCRIPTION")
        session.screen.print(table(columns, (_row(session, key) for key in found)))
    else:
        session.screen.line("there are no keys: every call is allowed, from this machine only")


@command(app, "revoke", calls=False, examples=["penstock keys revoke KEY --yes"])
def revoke(
    session: Session,
    key_id: Annotated[
        str, typer.Argument(metavar="KEY", help="Id of the key.", show_default=False)
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    *,
    store: StoreOptions,
) -> None:
    """Revoke a key. Servers follow within 5 seconds."""
    from penstock_server.access_admin import revoke_key

    config = store.load()
    confirm(session, f"Revoke key {key_id}?", yes=yes)
    revoked = _run(revoke_key(config, key_id))
    if revoked is None:
        raise CommandFailed(f"there is no key {key_id}", remedy="`penstock keys list` shows them")
    if session.json:
        session.screen.json(_as_json(revoked))
    else:
        session.screen.line(f"key {key_id} is revoked")


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Runs work on the store; what can go wrong with it ends the command."""
    import asyncio

    from penstock_server.embedded import EmbeddedStoreError
    from penstock_server.model.errors import PenstockError, StoreUnavailable
    from penstock_server.store.meta import WrongStore

    try:
        return asyncio.run(work)
    except StoreUnavailable as error:
        remedy = "is it running? Name it with --store URL or --data FOLDER"
        raise CommandFailed(
            error.message, remedy=remedy, reason=error.reason, status=Exit.UNREACHABLE
        ) from None
    except PenstockError as error:
        raise CommandFailed(error.message, reason=error.reason, facts=error.facts) from None
    except (EmbeddedStoreError, WrongStore) as error:
        raise CommandFailed(str(error), reason=type(error).__name__) from None


def _state(session: Session, key: AccessKey) -> str:
    if key.revoke_time is not None:
        return "revoked"
    expired = key.expire_time is not None and key.expire_time <= session.now()
    return "expired" if expired else "valid"


def _row(session: Session, key: AccessKey) -> list[str]:
    from penstock.cli.show import clock

    places = ", ".join(sorted(key.namespaces)) if key.namespaces is not None else "all"
    return [
        key.key_id,
        key.role.value,
        _state(session, key),
        places,
        clock(key.create_time),
        clock(key.expire_time) or "never",
        key.description,
    ]


def _as_json(key: AccessKey) -> dict[str, Any]:
    """A key without its digest, which is nobody's business."""
    return {
        "keyId": key.key_id,
        "role": key.role.value,
        "namespaces": None if key.namespaces is None else sorted(key.namespaces),
        "description": key.description,
        "createTime": _iso(key.create_time),
        "expireTime": _iso(key.expire_time),
        "revokeTime": _iso(key.revoke_time),
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
