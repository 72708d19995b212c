"""What must hold in a store between any two calls: every set agrees with every task record.

Reads the keys as they are, so that a mistake in a script cannot hide behind another one.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from penstock_server.model.lifecycle import TaskState as S
from penstock_server.store import decode, keys
from penstock_server.store.store import Store

Name = tuple[str, str]
"""Namespace and queue, or namespace and task id."""

_EPOCH_KINDS: Final = ("due", "expiring", "types")


@dataclass
class _Picture:
    """One partition as it is kept."""

    partition: int
    tasks: dict[Name, dict[bytes, Any]] = field(default_factory=dict)
    specs: dict[Name, int] = field(default_factory=dict)
    executions: dict[Name, list[bytes]] = field(default_factory=dict)
    queues: dict[Name, dict[bytes, bytes]] = field(default_factory=dict)
    sets: dict[str, dict[Name, dict[str, float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(dict))
    )
    """Kind → queue → member → score, of the present epoch."""
    ready: dict[tuple[str, str, str, str], dict[str, float]] = field(default_factory=dict)
    """Namespace, queue, type, group → member → score, of the present epoch."""
    groups: dict[tuple[str, str, str], dict[str, float]] = field(default_factory=dict)
    types: dict[Name, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    purged: set[Name] = field(default_factory=set)
    """Tasks in sets of earlier epochs."""


async def check_invariants(store: Store) -> None:
    """Raises AssertionError if anything in the store disagrees with anything else."""
    for partition in range(store.meta.partitions):
        picture = await _look(store, partition)
        await _check_tasks(store, picture)
        _check_ready(picture)
        _check_waiting(picture)
        await _check_running(store, picture)
        await _check_ended(store, picture)
        await _check_indexes(store, picture)
        await _check_backlog(store, picture)
        await _check_events(store, picture)


# ---- looking ------------------------------------------------------------------------------------


async def _look(store: Store, partition: int) -> _Picture:
    picture = _Picture(partition)
    prefix = keys.tag(partition) + ":"
    names = await _keys(store, prefix)
    for name in names:
        if name.startswith("queue:"):
            namespace, queue = name.split(":")[1:]
            picture.queues[namespace, queue] = await _hash(store, prefix + name)
    for name in names:
        await _take(store, picture, prefix, name)
    # Cancelled and retried since the purge: it waits anew, and the sweep will pass it by.
    for (namespace, *_), members in (*picture.ready.items(), *picture.sets["due"].items()):
        picture.purged -= {(namespace, member) for member in members}
    return picture


async def _keys(store: Store, prefix: str) -> list[str]:
    found: list[str] = []
    cursor = 0
    while True:
        cursor, names = await store.connection.read("SCAN", cursor, "MATCH", f"{prefix}*")
        found += [name.decode().removeprefix(prefix) for name in names]
        if int(cursor) == 0:
            return sorted(set(found))


async def _take(store: Store, picture: _Picture, prefix: str, name: str) -> None:
    kind, *parts = name.split(":")
    read, key = store.connection.read, prefix + name
    if kind == "task":
        picture.tasks[parts[0], parts[1]] = decode.fields_of(await read("GET", key))
    elif kind == "spec":
        picture.specs[parts[0], parts[1]] = int(await read("STRLEN", key))
    elif kind == "executions":
        picture.executions[parts[0], parts[1]] = await read("LRANGE", key, 0, -1)
    elif kind in ("leases", "dead"):
        picture.sets[kind][parts[0], parts[1]] = await _zset(store, key)
    elif kind in ("ready", "groups", *_EPOCH_KINDS):
        await _take_of_epoch(store, picture, key, kind, parts)


async def _take_of_epoch(
    store: Store, picture: _Picture, key: str, kind: str, parts: list[str]
) -> None:
    namespace, queue, epoch, *rest = parts
    now = picture.queues.get((namespace, queue), {}).get(b"e", b"?").decode() == epoch
    if kind == "types":
        if now:
            counts = await _hash(store, key)
            picture.types[namespace, queue] = {t.decode(): int(n) for t, n in counts.items()}
        return
    members = await _zset(store, key)
    if not now:
        if kind in ("ready", "due"):
            picture.purged |= {(namespace, member) for member in members}
    elif kind == "ready":
        picture.ready[namespace, queue, rest[0], ":".join(rest[1:])] = members
    elif kind == "groups":
        picture.groups[namespace, queue, rest[0]] = members
    else:
        picture.sets[kind][namespace, queue] = members


async def _hash(store: Store, key: str) -> dict[bytes, bytes]:
    return _named(await store.connection.read("HGETALL", key))


def _named(flat: Any) -> dict[bytes, bytes]:
    return flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))


async def _zset(store: Store, key: str) -> dict[str, float]:
    flat = await store.connection.read("ZRANGE", key, 0, -1, "WITHSCORES")
    return {m.decode(): float(s) for m, s in zip(flat[::2], flat[1::2], strict=True)}


# ---- checking -----------------------------------------------------------------------------------


async def _check_tasks(store: Store, picture: _Picture) -> None:
    for name, task in picture.tasks.items():
        ended = S(task[b"s"]).ended
        assert ended or name in picture.specs, f"{name} waits or runs without its spec"
        assert decode.home_of(name[1], store.meta.partitions) == picture.partition
        if name in picture.specs:
            assert picture.specs[name] == task[b"n"], f"{name}: another size than its spec"
            key = keys.key(picture.partition, "task", namespace=name[0], id=name[1])
            left = int(await store.connection.read("PTTL", key))
            assert left == -1, f"{name}: a full record has a lifetime"
        _check_executions(store, name, task, picture.executions.get(name, []))
    for name in (*picture.specs, *picture.executions):
        assert name in picture.tasks, f"{name}: kept without its task"


def _check_executions(store: Store, name: Name, task: dict[bytes, Any], kept: list[bytes]) -> None:
    records = [decode.execution(packed) for packed in kept]
    in_task = decode.last_execution(task, b"")
    records += [in_task] if in_task else []
    numbers = [record.number for record in records]
    assert numbers == sorted(set(numbers)), f"{name}: executions {numbers}"
    assert len(numbers) <= store.limits.executions_kept, f"{name}: too many executions are kept"
    if numbers:
        last = task[b"x"] - (task[b"s"] == S.RUNNING)
        assert numbers[-1] == last, f"{name}: execution {numbers[-1]} of {last} is the latest kept"
    fences = [record.fence for record in records if record.session_id]
    assert fences == sorted(set(fences)), f"{name}: fences {fences}"


def _check_ready(picture: _Picture) -> None:
    expected: dict[tuple[str, str, str, str], set[str]] = defaultdict(set)
    for (namespace, task_id), task in picture.tasks.items():
        if task[b"s"] == S.READY and (namespace, task_id) not in picture.purged:
            place = (namespace, task[b"q"], task[b"y"], task.get(b"g", ""))
            expected[place].add(task_id)
            score = picture.ready.get(place, {}).get(task_id)
            due = task.get(b"d", task[b"c"])
            assert score == (9 - task.get(b"p", 5)) * 1e13 + due, f"{task_id}: score {score}"
    assert {place: set(found) for place, found in picture.ready.items()} == dict(expected)
    groups: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    counts: dict[Name, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for (namespace, queue, task_type, group), members in expected.items():
        groups[namespace, queue, task_type].add(group)
        counts[namespace, queue][task_type] += len(members)
    assert {place: set(found) for place, found in picture.groups.items()} == dict(groups)
    assert {q: dict(types) for q, types in picture.types.items() if types} == counts


def _check_waiting(picture: _Picture) -> None:
    due: dict[Name, dict[str, float]] = defaultdict(dict)
    expiring: dict[Name, set[str]] = defaultdict(set)
    for (namespace, task_id), task in picture.tasks.items():
        if (namespace, task_id) in picture.purged:
            continue
        queue = (namespace, task[b"q"])
        if task[b"s"] == S.SCHEDULED:
            due[queue][task_id] = min(task[b"d"], task.get(b"tt", float("inf")))
        elif task[b"s"] == S.READY and (b"ts" in task or b"tt" in task):
            expiring[queue].add(task_id)
    assert _filled(picture.sets["due"]) == due
    assert {q: set(found) for q, found in _filled(picture.sets["expiring"]).items()} == expiring


async def _check_running(store: Store, picture: _Picture) -> None:
    running: dict[Name, set[str]] = defaultdict(set)
    held: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for (namespace, task_id), task in picture.tasks.items():
        if task[b"s"] == S.RUNNING:
            running[namespace, task[b"q"]].add(task_id)
            held[namespace][task[b"w"]] += 1
            assert len(task[b"t"]) == 16, f"{task_id} runs without a token"
            assert task[b"w"], f"{task_id} runs without a session"
            assert task[b"f"] > 0, f"{task_id} runs without a fence"
        else:
            assert b"cq" not in task, f"{task_id}: a cancel is under way, but it does not run"
    assert {q: set(found) for q, found in _filled(picture.sets["leases"]).items()} == running
    for namespace in {namespace for namespace, _ in picture.queues}:
        counts = await _hash(store, keys.key(picture.partition, "held", namespace=namespace))
        assert {session.decode(): int(n) for session, n in counts.items()} == held[namespace]


async def _check_ended(store: Store, picture: _Picture) -> None:
    ended: dict[str, int] = {}
    dead: dict[Name, dict[str, float]] = defaultdict(dict)
    for (namespace, task_id), task in picture.tasks.items():
        if S(task[b"s"]).ended and (namespace, task_id) in picture.specs:
            ended[f"{namespace}:{task_id}"] = task[b"e"]
            if task[b"s"] == S.FAILED:
                dead[namespace, task[b"q"]][task_id] = task[b"e"]
            assert (task[b"s"] == S.CANCELLED) == bool(task.get(b"cr")), f"{task_id}: cancel reason"
        if not S(task[b"s"]).ended:
            assert not {b"e", b"cr"} & set(task), f"{task_id} has not ended"
    found = await _zset(store, keys.key(picture.partition, "ended"))
    assert set(found) == set(ended)
    assert all(found[name] >= at for name, at in ended.items()), "a record goes before its end"
    assert _filled(picture.sets["dead"]) == dead


async def _check_indexes(store: Store, picture: _Picture) -> None:
    for index, kinds in {"due_queues": ("due", "expiring"), "lease_queues": ("leases",)}.items():
        known = await _zset(store, keys.key(picture.partition, index))
        for kind in kinds:
            for (namespace, queue), members in _filled(picture.sets[kind]).items():
                first = known.get(f"{namespace}:{queue}", float("inf"))
                assert first <= min(members.values()), f"{index} forgets {queue}"
    for namespace, queue in picture.queues:
        listed = keys.key(picture.partition, "queues", namespace=namespace)
        assert await store.connection.read("ZSCORE", listed, queue) is not None


async def _check_backlog(store: Store, picture: _Picture) -> None:
    expected: dict[str, int] = defaultdict(int)
    for (namespace, _), task in picture.tasks.items():
        if not S(task[b"s"]).ended:
            expected[f"{namespace}:n"] += 1
            expected[f"{namespace}:b"] += task[b"n"]
    found = await _hash(store, keys.key(picture.partition, "backlog"))
    assert {name.decode(): int(n) for name, n in found.items() if int(n)} == expected


async def _check_events(store: Store, picture: _Picture) -> None:
    entries = await store.connection.read("XRANGE", keys.key(picture.partition, "events"), "-", "+")
    numbers = []
    last: dict[Name, Any] = {}
    for _, fields in entries:
        named = _named(fields)
        numbers.append(int(named[b"n"]))
        for event in decode.events(named[b"d"]):
            name = (event.namespace, event.task_id)
            before = last.get(name)
            assert before is None or event.sequence > before.sequence, f"{name}: {before} {event}"
            last[name] = event
    count = int(await store.connection.read("GET", keys.key(picture.partition, "event_count")) or 0)
    assert numbers == list(range(count - len(numbers) + 1, count + 1)), "the counter has gaps"
    for name, task in picture.tasks.items():
        if name in last:
            event = last[name]
            assert (event.sequence, event.state) == (task[b"sq"], task[b"s"]), f"{name}: {event}"


def _filled(sets: dict[Name, dict[str, float]]) -> dict[Name, dict[str, float]]:
    return {queue: members for queue, members in sets.items() if members}
