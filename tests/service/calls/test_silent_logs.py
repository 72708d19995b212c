"""A followed log says something even if its task does not."""

from __future__ import annotations

import pytest

from penstock_server.service import task_service
from support.service import App


async def test_a_silent_log_has_a_cursor_at_once_and_beats(
    app: App, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(task_service, "_BEAT", 1.5)  # longer than the second between two looks
    task_id = await app.submit()

    async with app.stream("TailLogs", task_id=task_id, follow=True) as tail:
        answers = [await tail.next() for _ in range(3)]

    assert all(answer.cursor for answer in answers)
    assert not any(answer.lines for answer in answers)
