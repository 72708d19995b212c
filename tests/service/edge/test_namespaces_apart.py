"""What happens in one namespace is neither seen nor felt in another, also under the same names."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from support.scene import TASK_TYPE, Scene, nothing_changes
from support.validators import request_type
from support.wire import Wire


@pytest.fixture(scope="module")
def other(wire: Wire) -> Scene:
    """A second namespace with the same names in it."""
    return Scene(wire)


def poll(scene: Scene, session: str, sequence: int, **fields: Any) -> Any:
    given = {"queues": ["polled"], "max_tasks": 1, "wait": {"seconds": 10}} | fields
    request = request_type("LeaseTasks")(
        namespace=scene.namespace,
        session={"session_id": session, "slots": 10},
        poll_seq=sequence,
        task_types=[TASK_TYPE],
        **given,
    )
    return scene.wire.call("LeaseTasks", request)


def told_of(scene: Scene, responses: list[Any]) -> set[str]:
    return {event.namespace for response in responses for event in response.events}


def test_a_watch_tells_of_its_own_namespace_also_behind_the_cursor_of_another(
    scene: Scene, other: Scene
) -> None:
    watch = request_type("WatchTasks")
    first: Any = next(scene.wire.stream("WatchTasks", watch(namespace=scene.namespace)))
    for _ in range(5):
        scene.submit("watched")
    mark = other.submit("watched")

    seen: list[Any] = []
    request = watch(namespace=other.namespace, cursor=first.cursor)
    for response in scene.wire.stream("WatchTasks", request):
        seen.append(response)
        if any(event.task_id == mark for event in seen[-1].events):
            break

    assert told_of(scene, seen) == {other.namespace}


def test_a_watch_behind_a_cursor_tells_nothing_of_tasks_of_another_namespace(
    scene: Scene, other: Scene
) -> None:
    watch = request_type("WatchTasks")
    first: Any = next(scene.wire.stream("WatchTasks", watch(namespace=scene.namespace)))
    theirs = scene.submit("watched")
    mine = other.submit("watched")

    request = watch(namespace=other.namespace, cursor=first.cursor, task_ids=[theirs, mine])
    for response in scene.wire.stream("WatchTasks", request):
        told = {event.task_id for event in response.events}  # type: ignore[attr-defined]
        assert theirs not in told
        if mine in told:
            break


def test_a_log_cursor_of_a_task_opens_no_log_of_another_namespace(
    scene: Scene, other: Scene
) -> None:
    (answer,) = scene.wire.stream("TailLogs", scene.about("TailLogs", "running"))
    request = request_type("TailLogs")(
        namespace=other.namespace,
        task_id=scene.tasks["running"],
        cursor=answer.cursor,  # type: ignore[attr-defined]
    )

    assert scene.wire.refusal("TailLogs", request).reason == "TASK_NOT_FOUND"


def test_workers_are_listed_and_drained_in_their_own_namespace_alone(
    scene: Scene, other: Scene
) -> None:
    session = uuid4().hex
    poll(scene, session, 1, max_tasks=0, wait={"nanos": 1_000_000})

    listed = other.wire.call("ListWorkers", namespace=other.namespace, page_size=1_000)
    drain = request_type("DrainWorker")(namespace=other.namespace, session_id=session)

    assert session not in {worker.session.session_id for worker in listed.workers}
    assert other.wire.refusal("DrainWorker", drain).reason == "WORKER_NOT_FOUND"


def test_a_session_of_the_same_name_neither_ends_a_poll_nor_takes_its_task(
    scene: Scene, other: Scene
) -> None:
    session = uuid4().hex
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(poll, scene, session, 1)
        theirs = poll(other, session, 2, wait={"nanos": 300_000_000})
        task_id = scene.submit("polled")
        mine = waiting.result()

    assert not theirs.leases
    assert not mine.superseded
    assert [lease.task_id for lease in mine.leases] == [task_id]


def test_a_session_of_the_same_name_neither_gets_nor_acknowledges_a_directive(
    scene: Scene, other: Scene
) -> None:
    session = uuid4().hex
    task_id = scene.submit("directed")
    (lease,) = poll(scene, session, 1, queues=["directed"]).leases
    scene.result_of(lease.lease_token, session=session, accept={})
    scene.wire.call("CancelTask", namespace=scene.namespace, task_id=task_id)
    (directive,) = poll(scene, session, 2, max_tasks=0).directives

    theirs = poll(
        other,
        session,
        3,
        max_tasks=0,
        wait={"nanos": 100_000_000},
        acknowledged_directive_ids=[directive.directive_id],
    )
    again = poll(scene, session, 3, max_tasks=0)

    assert not theirs.directives
    assert [each.directive_id for each in again.directives] == [directive.directive_id]


@pytest.mark.parametrize("name", ["request_id", "idempotency"])
def test_the_same_request_or_key_is_another_task_in_another_namespace(
    scene: Scene, other: Scene, name: str
) -> None:
    key = str(uuid4())
    tasks = []
    for each in (scene, other):
        spec: dict[str, Any] = {"task_type": TASK_TYPE, "queue": "same"}
        fields: dict[str, Any] = {"namespace": each.namespace, "spec": spec}
        if name == "request_id":
            fields["request_id"] = key
        else:
            fields["idempotency"] = {"key": key}
        tasks.append(each.wire.call("SubmitTask", **fields).task)

    assert tasks[0].task_id != tasks[1].task_id
    assert [task.namespace for task in tasks] == [scene.namespace, other.namespace]


@pytest.mark.parametrize("method", ["PauseQueue", "PurgeQueue"])
def test_a_queue_of_the_same_name_is_another_queue(scene: Scene, other: Scene, method: str) -> None:
    for each in (scene, other):
        each.submit("named-alike")

    with nothing_changes(other):
        scene.wire.call(method, namespace=scene.namespace, queue="named-alike")
