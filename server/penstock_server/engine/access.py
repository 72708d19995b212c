"""API keys: how they are made, and who calls with one.

A key is `psk_<id>_<secret>`. The secret has 256 random bits, so a plain SHA-256 of the key is all
that the store needs, and finding a key by its digest gives nothing away.
"""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, Protocol

from penstock_server.model.access import ANONYMOUS, AccessKey, Principal, Role
from penstock_server.model.errors import (
    FieldInvalid,
    LimitReached,
    PenstockError,
    StoreUnavailable,
    Unauthenticated,
    Violation,
)
from penstock_server.telemetry import events
from penstock_server.telemetry.logging import get_logger

PREFIX: Final = "psk"
MOST_KEYS: Final = 1_000
REFRESH_EVERY: Final = timedelta(seconds=3)

_ID_BYTES: Final = 5
_SECRET_BYTES: Final = 32
# An unknown key makes the ring read the store at once, but not more often than this.
_LOOK_AGAIN_AFTER: Final = timedelta(seconds=1)

_log = get_logger(__name__)


class AccessKeyStore(Protocol):
    """Where keys are kept. Every method raises StoreUnavailable."""

    async def all_keys(self) -> Sequence[AccessKey]:
        """Every key, revoked and expired ones too."""

    async def put_key(self, key: AccessKey) -> None:
        """Keeps a key; one with the same id is replaced."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made. `text` exists only here, and is not shown when this is printed."""

    text: str = field(repr=False)
    key: AccessKey


def digest_of(text: str) -> bytes:
    """What the store keeps of a key."""
    return hashlib.sha256(text.encode()).digest()


def make_key(
    *,
    role: Role,
    namespaces: frozenset[str] | None,
    description: str,
    now: datetime,
    expire_time: datetime | None = None,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> NewKey:
    """Makes a key. Raises FieldInvalid."""
    _check(description, namespaces, now, expire_time)
    key_id = _letters(random_bytes(_ID_BYTES))
    text = f"{PREFIX}_{key_id}_{_letters(random_bytes(_SECRET_BYTES))}"
    key = AccessKey(
        key_id=key_id,
        digest=digest_of(text),
        role=role,
        namespaces=namespaces,
        description=description,
        create_time=now,
        expire_time=expire_time,
    )
    return NewKey(text, key)


def _check(
    description: str,
    namespaces: frozenset[str] | None,
    now: datetime,
    expire_time: datetime | None,
) -> None:
    wrong = []
    if len(description.encode()) > 64 or not description.isprintable():
        wrong.append(Violation("description", "at most 64 bytes of printable text"))
    if namespaces is not None and not namespaces:
        wrong.append(Violation("namespaces", "at least one, or all"))
    if expire_time is not None and expire_time <= now:
        wrong.append(Violation("expire_time", "must lie ahead"))
    if wrong:
        raise FieldInvalid(wrong)


def _letters(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()


class AccessKeys:
    """Makes, lists and revokes keys."""

    def __init__(
        self, store: AccessKeyStore, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._store = store
        self._now = now

    async def create(
        self,
        *,
        role: Role,
        namespaces: frozenset[str] | None = None,
        description: str = "",
        lifetime: timedelta | None = None,
    ) -> NewKey:
        """Makes a key and keeps it. Raises FieldInvalid, LimitReached, StoreUnavailable."""
        now = self._now()
        keys = await self._store.all_keys()
        if len(keys) >= MOST_KEYS:
            raise LimitReached(what="access keys", limit=MOST_KEYS)
        new = make_key(
            role=role,
            namespaces=namespaces,
            description=description,
            now=now,
            expire_time=None if lifetime is None else now + lifetime,
        )
        await self._store.put_key(new.key)
        return new

    async def list(self) -> Sequence[AccessKey]:
        """Every key, oldest first, revoked and expired ones too. Raises StoreUnavailable."""
        return sorted(await self._store.all_keys(), key=lambda key: key.create_time)

    async def revoke(self, key_id: str) -> AccessKey | None:
        """Revokes a key, and gives it; None if there is no such key. Raises StoreUnavailable.

        A revoked key is kept: on a server with `security.keys=auto`, taking the last key away must
        not open the doors.
        """
        found = next((k for k in await self._store.all_keys() if k.key_id == key_id), None)
        if found is None or found.revoke_time is not None:
            return found
        revoked = replace(found, revoke_time=self._now())
        await self._store.put_key(revoked)
        return revoked


class KeyRing:
    """The keys as this process knows them: at most `REFRESH_EVERY` old while the store answers.

    Fails closed: as long as the keys could not be read even once, nobody gets in. While the store
    is away later, what was read last holds.
    """

    def __init__(
        self,
        store: AccessKeyStore,
        mode: Literal["auto", "on", "off"],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._mode = mode
        self._now = now
        self._by_digest: Mapping[bytes, tuple[AccessKey, Principal]] | None = None
        self._looked = datetime.min.replace(tzinfo=UTC)
        self._reading = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """True if nobody needs a key."""
        return self._mode == "off" or (self._mode == "auto" and self._by_digest == {})

    async def principal_of(self, text: str | None) -> Principal:
        """Who calls with the key, or without one.

        Raises Unauthenticated, and StoreUnavailable as long as no keys were read.
        """
        if self._by_digest is None:
            await self._read()
        if self.is_open:
            return ANONYMOUS
        if text is None:
            raise Unauthenticated("this server needs an API key")
        found = await self._find(digest_of(text))
        if found is None:
            raise Unauthenticated("the API key is not known")
        key, principal = found
        if not key.is_valid(self._now()):
            raise Unauthenticated("the API key is revoked or has expired")
        return principal

    async def _find(self, digest: bytes) -> tuple[AccessKey, Principal] | None:
        known = (self._by_digest or {}).get(digest)
        # It may have been made a moment ago.
        if known is None and self._now() - self._looked > _LOOK_AGAIN_AFTER:
            await self._read()
            known = (self._by_digest or {}).get(digest)
        return known

    async def _read(self) -> None:
        async with self._reading:
            self._looked = self._now()
            keys = await self._store.all_keys()
            ring = {key.digest: (key, key.principal) for key in keys}
            if self._by_digest is not None and ring.keys() != self._by_digest.keys():
                _log.info(events.KEYS_CHANGED, count=len(ring))
            self._by_digest = ring

    async def run(self) -> None:
        """Reads the keys again and again, until it is cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH_EVERY.total_seconds())

    async def refresh(self) -> None:
        """Reads the keys once. What was read before holds if the store does not answer."""
        if self._mode == "off":
            return
        try:
            await self._read()
        except StoreUnavailable as error:
            _log.warning(events.KEYS_UNREADABLE, error=error.message)
        except PenstockError as error:
            _log.error(events.KEYS_UNREADABLE, error=error.message)
