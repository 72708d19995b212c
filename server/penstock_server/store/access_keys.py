"""API keys in the store: one hash in partition 0, key id → msgpack of the record."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

import msgpack
from redis.asyncio import Redis
from redis.exceptions import RedisError

from penstock_server.model.access import AccessKey, Role
from penstock_server.model.errors import StoreUnavailable
from penstock_server.store.keys import key as spell

HASH: Final = spell(0, "access_keys")


class RedisAccessKeys:
    """Keeps API keys. Every write is one command, so writers cannot tear each other's records.

    `client` must answer with bytes.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def all_keys(self) -> Sequence[AccessKey]:
        """Every key, revoked and expired ones too. Raises StoreUnavailable."""
        try:
            records = cast(dict[bytes, bytes], await self._client.hgetall(HASH))
        except RedisError as error:
            raise StoreUnavailable from error
        return [_decode(key_id.decode(), data) for key_id, data in records.items()]

    async def put_key(self, key: AccessKey) -> None:
        """Keeps a key; one with the same id is replaced. Raises StoreUnavailable."""
        try:
            await self._client.hset(HASH, key.key_id, _encode(key))
        except RedisError as error:
            raise StoreUnavailable from error


def _encode(key: AccessKey) -> bytes:
    record = {
        "digest": key.digest,
        "role": key.role.value,
        "namespaces": None if key.namespaces is None else sorted(key.namespaces),
        "description": key.description,
        "create_ms": _to_ms(key.create_time),
        "expire_ms": _to_ms(key.expire_time),
        "revoke_ms": _to_ms(key.revoke_time),
    }
    return bytes(msgpack.packb(record))


def _decode(key_id: str, data: bytes) -> AccessKey:
    record: dict[str, Any] = msgpack.unpackb(data)
    namespaces = record["namespaces"]
    return AccessKey(
        key_id=key_id,
        digest=record["digest"],
        role=Role(record["role"]),
        namespaces=None if namespaces is None else frozenset(namespaces),
        description=record["description"],
        create_time=_from_ms(record["create_ms"]) or datetime.min.replace(tzinfo=UTC),
        expire_time=_from_ms(record["expire_ms"]),
        revoke_time=_from_ms(record["revoke_ms"]),
    )


def _to_ms(time: datetime | None) -> int:
    return 0 if time is None else round(time.timestamp() * 1000)


def _from_ms(milliseconds: int) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
