"""The API key that the workers of `penstock up` use on a server that wants keys.

It is made at the start and revoked at the end. One that an earlier run could not revoke, because it
was killed, is revoked by the next.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from penstock_server.config import Config

_DESCRIPTION: Final = "penstock up"


@asynccontextmanager
async def worker_key(config: Config) -> AsyncIterator[str]:
    """A worker's key for the time of the block; empty where none is needed or one is given."""
    from penstock_server.access_admin import create_key, revoke_key
    from penstock_server.model.access import Role
    from penstock_server.model.errors import StoreUnavailable

    if os.environ.get("PENSTOCK_API_KEY") or not await _is_wanted(config):
        yield ""
        return
    made = await create_key(config, role=Role.WORKER, description=_DESCRIPTION)
    try:
        yield made.text
    finally:
        # A store that has gone takes the key along; if it comes back, the next run revokes it.
        with suppress(StoreUnavailable):
            await revoke_key(config, made.key.key_id)


async def _is_wanted(config: Config) -> bool:
    """Whether the server will ask for keys. Never makes the first key: that would turn them on."""
    from penstock_server.access_admin import list_keys, revoke_key

    if config.security.keys == "off":
        return False
    keys = await list_keys(config)
    for key in keys:
        if key.description == _DESCRIPTION and key.is_valid(datetime.now(UTC)):
            await revoke_key(config, key.key_id)
    return bool(keys) or config.security.keys == "on"
