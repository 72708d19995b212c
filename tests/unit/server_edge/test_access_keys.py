"""API keys: what they open, and what happens when the store cannot be asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from penstock_server.engine.access import AccessKeys, KeyRing, digest_of, make_key
from penstock_server.model.access import ANONYMOUS, AccessKey, Role
from penstock_server.model.errors import FieldInvalid, StoreUnavailable, Unauthenticated
from penstock_server.service.interceptors.authentication import (
    Authenticator,
    CertificateRule,
    bearer_of,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Keys:
    """A store of keys that can be out of reach."""

    def __init__(self) -> None:
        self.kept: dict[str, AccessKey] = {}
        self.away = False

    async def all_keys(self) -> Sequence[AccessKey]:
        if self.away:
            raise StoreUnavailable
        return list(self.kept.values())

    async def put_key(self, key: AccessKey) -> None:
        if self.away:
            raise StoreUnavailable
        self.kept[key.key_id] = key


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        return self.time


class Call:
    """As much of a call as says who makes it."""

    def __init__(self, key: str | None = None, names: Sequence[str] = ()) -> None:
        self._metadata = () if key is None else (("authorization", f"Bearer {key}"),)
        self._names = [name.encode() for name in names]

    def invocation_metadata(self):
        return self._metadata

    def auth_context(self):
        return {"x509_subject_alternative_name": self._names}


async def test_a_key_gives_its_role_and_namespaces_to_who_calls_with_it() -> None:
    store = Keys()
    new = await AccessKeys(store).create(
        role=Role.SUBMITTER, namespaces=frozenset({"dev"}), description="ci-runner"
    )

    principal = await KeyRing(store, "on").principal_of(new.text)

    assert (principal.name, principal.role) == ("key:ci-runner", Role.SUBMITTER)
    assert principal.may_enter("dev")
    assert not principal.may_enter("prod")


async def test_the_secret_is_kept_nowhere() -> None:
    store = Keys()

    new = await AccessKeys(store).create(role=Role.VIEWER)

    secret = new.text.rpartition("_")[2]
    assert len(secret) >= 52
    assert secret not in f"{store.kept} {new}"
    assert store.kept[new.key.key_id].digest == digest_of(new.text)


@pytest.mark.parametrize("text", [None, "", "psk_a_b", "nonsense"])
async def test_no_key_and_unknown_keys_are_refused(text: str | None) -> None:
    ring = KeyRing(Keys(), "on")

    with pytest.raises(Unauthenticated):
        await ring.principal_of(text)


async def test_an_expired_key_opens_nothing() -> None:
    store, clock = Keys(), Clock()
    new = await AccessKeys(store, now=clock).create(role=Role.ADMIN, lifetime=timedelta(hours=1))
    ring = KeyRing(store, "on", now=clock)
    await ring.principal_of(new.text)

    clock.time += timedelta(hours=1)

    with pytest.raises(Unauthenticated, match="expired"):
        await ring.principal_of(new.text)


async def test_a_revoked_key_opens_nothing_after_the_next_look() -> None:
    store = Keys()
    keys, ring = AccessKeys(store), KeyRing(store, "on")
    new = await keys.create(role=Role.ADMIN)
    await ring.principal_of(new.text)

    await keys.revoke(new.key.key_id)
    await ring.refresh()

    with pytest.raises(Unauthenticated, match="revoked"):
        await ring.principal_of(new.text)


async def test_a_new_key_opens_at_once() -> None:
    store, clock = Keys(), Clock()
    ring = KeyRing(store, "on", now=clock)
    await ring.refresh()
    new = await AccessKeys(store).create(role=Role.ADMIN)

    clock.time += timedelta(seconds=2)

    assert (await ring.principal_of(new.text)).role is Role.ADMIN


async def test_without_any_key_nobody_needs_one_until_the_first_is_made() -> None:
    store = Keys()
    ring = KeyRing(store, "auto")
    await ring.refresh()
    assert ring.is_open
    assert await ring.principal_of(None) is ANONYMOUS

    await AccessKeys(store).create(role=Role.ADMIN)
    await ring.refresh()

    assert not ring.is_open


async def test_revoking_the_last_key_does_not_open_the_doors() -> None:
    store = Keys()
    keys, ring = AccessKeys(store), KeyRing(store, "auto")
    new = await keys.create(role=Role.ADMIN)

    await keys.revoke(new.key.key_id)
    await ring.refresh()

    assert not ring.is_open


async def test_nobody_gets_in_before_the_keys_were_read() -> None:
    store = Keys()
    store.away = True
    ring = KeyRing(store, "auto")
    await ring.refresh()

    assert not ring.is_open
    with pytest.raises(StoreUnavailable):
        await ring.principal_of(None)


async def test_what_was_read_last_holds_while_the_store_is_away() -> None:
    store = Keys()
    new = await AccessKeys(store).create(role=Role.ADMIN)
    ring = KeyRing(store, "on")
    await ring.refresh()

    store.away = True
    await ring.refresh()

    assert (await ring.principal_of(new.text)).role is Role.ADMIN


async def test_keys_are_refused_with_every_mistake_at_once() -> None:
    with pytest.raises(FieldInvalid) as caught:
        make_key(
            role=Role.ADMIN, namespaces=frozenset(), description="x\n", now=NOW, expire_time=NOW
        )

    assert {v.field for v in caught.value.violations} == {
        "description",
        "namespaces",
        "expire_time",
    }


async def test_keys_are_listed_oldest_first_and_revoking_an_unknown_one_says_so() -> None:
    store, clock = Keys(), Clock()
    keys = AccessKeys(store, now=clock)
    first = await keys.create(role=Role.ADMIN)
    clock.time -= timedelta(hours=1)
    older = await keys.create(role=Role.ADMIN)

    assert [key.key_id for key in await keys.list()] == [older.key.key_id, first.key.key_id]
    assert await keys.revoke("nosuch") is None


RULES = [
    CertificateRule("admin.test", Role.ADMIN),
    CertificateRule("*.workers.test", Role.WORKER, frozenset({"prod"})),
]


async def test_a_client_certificate_names_its_holder() -> None:
    ring = KeyRing(Keys(), "off")
    authenticator = Authenticator(ring, certificates=RULES, certificate_required=True)

    principal = await authenticator.principal_of(Call(names=["w1.workers.test"]))

    assert principal.name == "certificate:w1.workers.test"
    assert principal.role is Role.WORKER
    assert principal.namespaces == frozenset({"prod"})


async def test_a_certificate_without_a_role_is_refused_where_one_is_required() -> None:
    authenticator = Authenticator(
        KeyRing(Keys(), "off"), certificates=RULES, certificate_required=True
    )

    assert authenticator.at_once() is None
    with pytest.raises(Unauthenticated):
        await authenticator.principal_of(Call(names=["stranger.test"]))


async def test_a_key_outweighs_a_certificate() -> None:
    store = Keys()
    new = await AccessKeys(store).create(role=Role.VIEWER, description="v")
    authenticator = Authenticator(KeyRing(store, "on"), certificates=RULES)

    principal = await authenticator.principal_of(Call(new.text, ["admin.test"]))

    assert principal.name == "key:v"


async def test_a_wrong_key_is_refused_even_beside_a_right_certificate() -> None:
    authenticator = Authenticator(KeyRing(Keys(), "on"), certificates=RULES)

    with pytest.raises(Unauthenticated):
        await authenticator.principal_of(Call("psk_x_y", ["admin.test"]))


@pytest.mark.parametrize(
    ("value", "key"),
    [("Bearer abc", "abc"), ("bearer  abc ", "abc"), ("Basic abc", None), ("", None)],
)
def test_credentials_are_a_bearer_token(value: str, key: str | None) -> None:
    assert bearer_of([("user-agent", "x"), ("authorization", value)]) == key
