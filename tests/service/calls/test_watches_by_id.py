"""Watches by id end when there is nothing more to tell, whatever became of their tasks."""

from __future__ import annotations

from support.service import App, kinds_of


async def test_a_watch_of_a_task_that_its_filter_leaves_out_ends_at_once(app: App):
    task_id = await app.submit("q")

    async with app.stream("WatchTasks", task_ids=[task_id], queues=["another"]) as watch:
        answers = await watch.rest()

    assert [list(answer.tasks) for answer in answers] == [[]]


async def test_a_watch_resumed_after_its_task_was_deleted_tells_all_that_was_missed(app: App):
    task_id = await app.submit()
    async with app.stream("WatchTasks", task_ids=[task_id]) as watch:
        cursor = (await watch.next()).cursor
    await app.call("CancelTask", task_id=task_id)
    await app.call("DeleteTask", task_id=task_id)

    async with app.stream("WatchTasks", task_ids=[task_id], cursor=cursor) as watch:
        answers = await watch.rest()

    events = [event for answer in answers for event in answer.events]
    assert kinds_of(events) == ["CANCELLED", "DELETED"]


async def test_a_watch_of_an_unknown_task_is_refused(app: App):
    async with app.stream("WatchTasks", task_ids=["0" * 26]) as watch:
        assert (await watch.refusal()).reason == "TASK_NOT_FOUND"
