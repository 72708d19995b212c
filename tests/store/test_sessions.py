"""Worker sessions, what they are told, and namespaces."""

from __future__ import annotations

import pytest

from penstock_server.model.errors import (
    EtagMismatch,
    NamespaceAlreadyExists,
    NamespaceNotFound,
    WorkerNotFound,
)
from penstock_server.model.records import NamespaceRecord, SessionRecord
from support.stores import NAMESPACE, Bench, draft


def session(name: str = "s1", queues: tuple[str, ...] = ("q",)) -> SessionRecord:
    return SessionRecord(
        namespace=NAMESPACE,
        session_id=name,
        session=b"about",
        queues=queues,
        task_types=["work"],
        create_ms=0,
        seen_ms=0,
        draining=False,
    )


async def test_sessions_are_listed_newest_first_and_forgotten(bench: Bench):
    await bench.store.sessions.touch([session("a")])
    bench.clock.advance(seconds=1)
    await bench.store.sessions.touch([session("b"), session("a", queues=("other",))])

    found = await bench.store.sessions.recent(NAMESPACE)

    assert [record.session_id for record in found] == ["b", "a"]
    assert (found[1].queues, found[1].session) == (["other"], b"about")
    assert found[1].seen_ms - found[1].create_ms == 1_000
    bench.clock.advance(minutes=11)
    await bench.store.sessions.touch([session("c")])
    assert [r.session_id for r in await bench.store.sessions.recent(NAMESPACE)] == ["c"]


async def test_a_drain_is_told_until_it_is_acknowledged(bench: Bench):
    await bench.store.sessions.touch([session()])
    await bench.store.sessions.drain(NAMESPACE, "s1", "new version")
    for _ in range(2):
        (told,) = await bench.store.sessions.directives(NAMESPACE, "s1", [])
        assert (told.kind, told.reason) == ("drain", "new version")

    await bench.store.sessions.acknowledge(NAMESPACE, "s1", [told.directive_id], [])

    assert await bench.store.sessions.directives(NAMESPACE, "s1", []) == []
    assert (await bench.store.sessions.get(NAMESPACE, "s1")).draining


async def test_an_unknown_session_is_not_found(bench: Bench):
    with pytest.raises(WorkerNotFound):
        await bench.store.sessions.get(NAMESPACE, "nobody")


async def test_a_cancel_is_told_until_it_is_acknowledged_or_void(bench: Bench):
    await bench.submit(draft(), draft())
    leases = await bench.lease_all(2)
    for lease in leases:
        await bench.store.tasks.cancel(NAMESPACE, lease.task_id)
    told = await bench.store.sessions.directives(NAMESPACE, "s1", [bench.home])
    assert (
        len(told) == len(await bench.store.sessions.directives(NAMESPACE, "s1", [bench.home])) == 2
    )

    await bench.store.sessions.acknowledge(NAMESPACE, "s1", [told[0].directive_id], [bench.home])
    assert await bench.store.sessions.directives(NAMESPACE, "s1", [bench.home]) == told[1:]
    for lease in leases:
        await bench.complete(lease)

    assert await bench.store.sessions.directives(NAMESPACE, "s1", [bench.home]) == []


async def test_namespaces_are_made_changed_and_removed(bench: Bench):
    namespaces = bench.store.namespaces
    record = NamespaceRecord("team", b"about", 1, 1, 1)
    await namespaces.create(record)
    with pytest.raises(NamespaceAlreadyExists):
        await namespaces.create(record)
    changed = NamespaceRecord("team", b"more", 1, 2, 2)
    with pytest.raises(EtagMismatch):
        await namespaces.update(changed, version=7)
    await namespaces.update(changed, version=1)
    assert await namespaces.get("team") == changed

    task_id = await bench.add(namespace="team", queue="team-q")
    assert not await namespaces.delete("team")
    await bench.store.tasks.cancel("team", task_id)
    assert await namespaces.delete("team")

    with pytest.raises(NamespaceNotFound):
        await namespaces.get("team")


async def test_a_namespace_that_is_made_again_begins_without_queues(bench: Bench):
    record = NamespaceRecord("team", b"", 1, 1, 1)
    await bench.store.namespaces.create(record)
    for queue in ("q1", "q2", "q3"):
        task_id = await bench.add(namespace="team", queue=queue)
        await bench.store.tasks.cancel("team", task_id)

    await bench.store.namespaces.delete("team")

    assert await bench.store.queues.names("team") == []
