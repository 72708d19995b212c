"""What operators see of a worker session: well, silent or told to drain, and why."""

from __future__ import annotations

import pytest

from penstock.v1 import worker_pb2
from penstock_server.model.records import SessionRecord
from penstock_server.service.convert.worker import worker

SEEN_MS = 1_000_000


def session(*, draining: bool = False) -> SessionRecord:
    return SessionRecord("default", "s1", b"", ["q"], ["t"], SEEN_MS, SEEN_MS, draining)


@pytest.mark.parametrize("draining", [False, True])
def test_a_worker_that_was_not_heard_of_for_30_s_is_silent_and_says_so(draining: bool):
    shown = worker(session(draining=draining), SEEN_MS + 30_001)

    assert shown.health == worker_pb2.WORKER_HEALTH_SILENT
    assert shown.health_reason.startswith("not heard of for 30 s")


def test_a_worker_that_was_heard_of_within_30_s_is_healthy():
    shown = worker(session(), SEEN_MS + 30_000)

    assert (shown.health, shown.health_reason) == (worker_pb2.WORKER_HEALTH_HEALTHY, "")


def test_a_worker_that_was_told_to_drain_says_so():
    shown = worker(session(draining=True), SEEN_MS)

    assert shown.health == worker_pb2.WORKER_HEALTH_DRAINING
    assert shown.health_reason == "was told to drain"
