"""Bounds on calls, and what health says."""

from __future__ import annotations

import pytest
from grpc_health.v1 import health_pb2

from penstock_server.model.access import Principal, Role
from penstock_server.model.errors import Overloaded, StoreUnavailable
from penstock_server.service.companions import Health
from penstock_server.service.interceptors.admission import Admission, AdmissionLimits
from penstock_server.service.interceptors.methods import Lane

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def test_polls_at_their_bound_keep_out_polls_and_nothing_else() -> None:
    admission = Admission(AdmissionLimits(polls=2, calls=2))
    admission.enter(Lane.POLLS)
    admission.enter(Lane.POLLS)

    with pytest.raises(Overloaded) as caught:
        admission.enter(Lane.POLLS)
    admission.enter(Lane.CALLS)
    admission.enter(Lane.REPORTS)

    assert caught.value.facts == {"what": "polls", "limit": "2"}
    assert caught.value.retry_delay is not None


def test_who_leaves_makes_room() -> None:
    admission = Admission(AdmissionLimits(calls=1))
    admission.enter(Lane.CALLS)

    admission.leave(Lane.CALLS)
    admission.enter(Lane.CALLS)

    assert admission.under_way()["calls"] == 1


def test_one_principal_cannot_take_every_stream() -> None:
    admission = Admission(AdmissionLimits(streams_per_principal=1))
    greedy, modest = Principal("key:a", Role.VIEWER), Principal("key:b", Role.VIEWER)
    admission.enter_stream(greedy)

    with pytest.raises(Overloaded):
        admission.enter_stream(greedy)
    admission.enter_stream(modest)
    admission.leave_stream(greedy)
    admission.enter_stream(greedy)

    with pytest.raises(Overloaded, match="key:b"):
        admission.enter_stream(modest)


class Store:
    def __init__(self) -> None:
        self.answers = True

    async def probe(self) -> None:
        if not self.answers:
            raise StoreUnavailable


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


async def status_of(health: Health, service: str = "") -> int:
    answer = await health.servicer.Check(health_pb2.HealthCheckRequest(service=service), None)
    return int(answer.status)


async def test_nothing_is_served_before_the_store_has_answered() -> None:
    store = Store()
    health = Health(store.probe, clock=Clock())
    await health.begin(["penstock.v1.TaskService"])
    assert await status_of(health) == NOT_SERVING

    await health.probe_once()

    assert await status_of(health) == SERVING
    assert await status_of(health, "penstock.v1.TaskService") == SERVING


async def test_a_short_outage_of_the_store_is_not_told_and_a_longer_one_is() -> None:
    store, clock = Store(), Clock()
    heard: list[bool] = []
    health = Health(store.probe, clock=clock, on_change=heard.append)
    await health.begin([])
    await health.probe_once()

    store.answers = False
    clock.seconds += 2.9
    await health.probe_once()
    assert await status_of(health) == SERVING
    clock.seconds += 0.1
    await health.probe_once()
    assert await status_of(health) == NOT_SERVING
    store.answers = True
    await health.probe_once()

    assert await status_of(health) == SERVING
    assert heard == [True, False, True]


async def test_a_draining_server_stays_not_serving_whatever_the_store_does() -> None:
    store, clock = Store(), Clock()
    health = Health(store.probe, clock=clock)
    await health.begin([])
    await health.probe_once()

    await health.drain()
    store.answers = False
    clock.seconds += 10
    await health.probe_once()
    store.answers = True
    await health.probe_once()

    assert not health.is_serving
    assert await status_of(health) == NOT_SERVING
