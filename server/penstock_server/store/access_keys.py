"""API keys in the store: one hash in partition 0, key id → msgpack of the record."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgpack

from penstock_server.model.access import AccessKey, Role
from penstock_server.store.connection import Connection
from penstock_server.store.keys import key as spell

HASH: Final = spell(0, "access_keys")


class RedisAccessKeys:
    """Keeps API keys. Every write is one command, so writers cannot tear each other's records."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def all_keys(self) -> Sequence[AccessKey]:
        """Every key, revoked and expired ones too. Raises StoreUnavailable."""
        answer = await self._connection.read("HGETALL", HASH)
        pairs = answer.items() if isinstance(answer, dict) else _pairs(answer)
        return [_decode(key_id.decode(), data) for key_id, data in pairs]

    async def put_key(self, key: AccessKey) -> None:
        """Keeps a key; one with the same id is replaced. Raises StoreUnavailable."""
        await self._connection.write("HSET", HASH, key.key_id, _encode(key))


def _pairs(flat: Sequence[bytes]) -> Iterable[tuple[bytes, bytes]]:
    """The fields and values of a hash that came as one flat list."""
    return zip(flat[::2], flat[1::2], strict=True)


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
