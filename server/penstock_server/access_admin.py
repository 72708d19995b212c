"""API keys from the command line, on the store itself: also before any server runs.

Whoever can reach the store is its administrator; so the first key needs no key. An embedded store
that runs is used where it runs; one that does not is started for the moment.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from penstock_server.config import Config
from penstock_server.embedded import EmbeddedOptions, EmbeddedStore
from penstock_server.embedded.folder import DataFolder
from penstock_server.embedded.wire import NotListening, ask
from penstock_server.engine.access import AccessKeys, NewKey
from penstock_server.model.access import AccessKey, Role
from penstock_server.store.access_keys import RedisAccessKeys
from penstock_server.store.connection import Connection
from penstock_server.store.meta import open_meta


async def create_key(
    config: Config,
    *,
    role: Role,
    namespaces: frozenset[str] | None = None,
    description: str = "",
    lifetime: timedelta | None = None,
) -> NewKey:
    """Makes a key. `text` of what it gives is shown to nobody ever again: print it at once.

    `namespaces` None means everywhere, `lifetime` None means for ever. From the first key on,
    servers with `security.keys=auto` want one with every call. Raises FieldInvalid, LimitReached,
    StoreUnavailable, WrongStore, and the errors of `penstock_server.embedded`.
    """
    async with _access_keys(config) as keys:
        return await keys.create(
            role=role, namespaces=namespaces, description=description, lifetime=lifetime
        )


async def list_keys(config: Config) -> Sequence[AccessKey]:
    """Every key, oldest first, revoked and expired ones too. Raises as `create_key`."""
    async with _access_keys(config) as keys:
        return await keys.list()


async def revoke_key(config: Config, key_id: str) -> AccessKey | None:
    """Revokes a key; servers follow within 5 s. None if there is none with this id.

    Raises as `create_key`.
    """
    async with _access_keys(config) as keys:
        return await keys.revoke(key_id)


@asynccontextmanager
async def _access_keys(config: Config) -> AsyncIterator[AccessKeys]:
    async with _store_url(config) as url:
        connection = Connection(url)
        await connection.open()
        try:
            # Also marks a new store as ours, and keeps keys out of a store that is not.
            await open_meta(connection, config.store.partitions)
            yield AccessKeys(RedisAccessKeys(connection))
        finally:
            await connection.close()


@asynccontextmanager
async def _store_url(config: Config) -> AsyncIterator[str]:
    if not config.store.url.is_embedded:
        yield config.store.url.secret_text
        return
    folder = DataFolder(config.data)
    if await _is_running(folder):
        yield folder.url
        return
    options = EmbeddedOptions(folder=config.data, appendfsync=config.store.appendfsync)
    async with EmbeddedStore(options) as store:
        yield store.url


async def _is_running(folder: DataFolder) -> bool:
    try:
        return (await ask(folder.socket, "PING")).startswith("+PONG")
    except (NotListening, TimeoutError):
        return False
