"""The checks of `penstock doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from penstock.cli.checkup.findings import Finding
from penstock.cli.session import Session


def run_checks(
    session: Session, flags: dict[str, str], config_file: Path | None
) -> Iterator[Finding]:
    """Every check that can be made from here, the server's first.

    `flags` go before the settings.
    """
    from penstock.cli.checkup import server, store

    yield from server.check(session)
    yield from store.check(flags, config_file)
