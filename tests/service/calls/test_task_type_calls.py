"""TaskTypeService over the wire, and what its records do to submits."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import grpc

from support.service import App, app_on
from support.stores import StoreProgram

TYPE = "images.resize"
DEFAULTS: dict[str, Any] = {
    "description": "makes thumbnails",
    "priority": 7,
    "lease_duration": {"seconds": 90},
    "retry_policy": {"max_attempts": 9},
    "timeouts": {"start_to_close": {"seconds": 30}},
    "retention": {"seconds": 60},
}


async def spec_of_a_submit(app: App, **fields: Any) -> Any:
    """The spec of a new task as it was taken."""
    made = await app.call("SubmitTask", spec={"task_type": TYPE, **fields})
    return (await app.call("GetTask", task_id=made.task.task_id)).task.spec


async def test_a_record_lives_and_ends(app: App):
    made = (await app.call("CreateTaskType", task_type=TYPE, config=DEFAULTS)).task_type
    assert made.config.description == "makes thumbnails"
    again = await app.refusal("CreateTaskType", task_type=TYPE)
    assert (again.code, again.reason) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "TASK_TYPE_ALREADY_EXISTS",
    )

    changed = await app.call(
        "UpdateTaskType", task_type=TYPE, config={"priority": 0}, etag=made.etag
    )
    assert changed.task_type.config.priority == 0
    assert changed.task_type.config.HasField("priority")
    assert changed.task_type.config.description == "makes thumbnails"
    assert changed.task_type.create_time == made.create_time
    stale = await app.refusal("UpdateTaskType", task_type=TYPE, config=DEFAULTS, etag=made.etag)
    assert stale.reason == "ETAG_MISMATCH"
    mask = {"paths": ["priority", "description"]}
    bare = await app.call("UpdateTaskType", task_type=TYPE, config={}, update_mask=mask)
    assert not bare.task_type.config.HasField("priority")
    assert bare.task_type.config.retry_policy.max_attempts == 9
    assert (await app.call("GetTaskType", task_type=TYPE)).task_type == bare.task_type

    await app.call("DeleteTaskType", task_type=TYPE)
    for method in ("GetTaskType", "UpdateTaskType", "DeleteTaskType"):
        gone = await app.refusal(method, task_type=TYPE)
        assert (gone.code, gone.reason) == (grpc.StatusCode.NOT_FOUND, "TASK_TYPE_NOT_FOUND")


async def test_records_are_listed_page_by_page_in_their_namespace(app: App):
    await app.call("CreateNamespace", namespace={"namespace": "other"})
    for name in ("c", "a", "b"):
        await app.call("CreateTaskType", task_type=name)
    await app.call("CreateTaskType", namespace="other", task_type="d")

    first = await app.call("ListTaskTypes", page_size=2)
    rest = await app.call("ListTaskTypes", page_size=2, page_token=first.next_page_token)

    assert [t.task_type for t in (*first.task_types, *rest.task_types)] == ["a", "b", "c"]
    assert not rest.next_page_token
    assert (await app.refusal("GetTaskType", task_type="d")).reason == "TASK_TYPE_NOT_FOUND"


async def test_a_submit_takes_what_its_type_says_where_it_says_nothing_itself(app: App):
    await app.call("CreateTaskType", task_type=TYPE, config=DEFAULTS)

    plain = await spec_of_a_submit(app)
    own = await spec_of_a_submit(app, priority=1, retry_policy={"max_attempts": 2})

    assert (plain.priority, plain.retry_policy.max_attempts) == (7, 9)
    assert plain.lease_duration.seconds == 90
    assert plain.timeouts.start_to_close.seconds == 30
    assert plain.retention.seconds == 60
    assert (own.priority, own.retry_policy.max_attempts) == (1, 2)
    assert own.lease_duration.seconds == 90


async def test_a_type_goes_before_its_queue_and_the_queue_fills_the_rest(app: App):
    config = {"retry_policy": {"max_attempts": 4}, "retention": {"seconds": 5}}
    await app.call("UpdateQueue", queue="default", config=config)
    await app.call("CreateTaskType", task_type=TYPE, config={"retry_policy": {"max_attempts": 9}})

    spec = await spec_of_a_submit(app)

    assert spec.retry_policy.max_attempts == 9
    assert spec.retention.seconds == 5


async def test_tasks_in_a_batch_take_each_what_its_own_type_says(app: App):
    await app.call("CreateTaskType", task_type=TYPE, config={"priority": 9})
    items = [{"spec": {"task_type": TYPE}}, {"spec": {"task_type": "other"}}]

    answer = await app.call("SubmitTasks", items=items)
    tasks = [await app.call("GetTask", task_id=result.task_id) for result in answer.results]

    assert [found.task.spec.priority for found in tasks] == [9, 5]


async def test_tasks_that_were_submitted_keep_what_they_were_given(app: App):
    await app.call("CreateTaskType", task_type=TYPE, config=DEFAULTS)
    made = await app.call("SubmitTask", spec={"task_type": TYPE})

    await app.call("DeleteTaskType", task_type=TYPE)

    task = (await app.call("GetTask", task_id=made.task.task_id)).task
    assert task.spec.retry_policy.max_attempts == 9
    assert not (await spec_of_a_submit(app)).HasField("retry_policy")


async def test_a_namespace_holds_so_many_records_and_no_more(
    plain_program: StoreProgram, tmp_path: Path
):
    name = f"n{time.time_ns()}"
    async with app_on(plain_program, tmp_path, limits__task_types_per_namespace="2") as app:
        await app.call("CreateNamespace", namespace={"namespace": name})
        for task_type in ("a", "b"):
            await app.call("CreateTaskType", namespace=name, task_type=task_type)

        refusal = await app.refusal("CreateTaskType", namespace=name, task_type="c")

    assert refusal.reason == "LIMIT_REACHED"


async def test_a_namespace_takes_its_records_along_when_it_goes(app: App):
    given = {"namespace": "team"}
    await app.call("CreateNamespace", namespace=given)
    await app.call("CreateTaskType", namespace="team", task_type=TYPE)

    await app.call("DeleteNamespace", namespace="team")
    await app.call("CreateNamespace", namespace=given)

    assert not (await app.call("ListTaskTypes", namespace="team")).task_types
