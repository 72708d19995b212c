"""Ends executions and leases what takes their place, in one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from penstock_server.model.errors import StoreUnavailable
from penstock_server.model.lifecycle import EventKind, TaskState
from penstock_server.model.records import LeaseRecord
from penstock_server.store.leases import Completion, PollOffer
from penstock_server.store.refill import Refill
from support.stores import NAMESPACE, QUEUE, TYPE, Bench, draft, token_of


def refill(bench: Bench, slots: int) -> Refill:
    """For a report of the usual session that asks for so many tasks."""
    return bench.store.refill(NAMESPACE, QUEUE, PollOffer("s1", -1, slots, 3_500_000, (TYPE,)))


def done(leases: Sequence[LeaseRecord]) -> list[Completion]:
    """Reports that they have succeeded."""
    return [(NAMESPACE, token_of(lease), b"done") for lease in leases]


def calls_of(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The verbs that the store is asked for from now on."""
    verbs: list[str] = []
    run = bench.store.connection.run

    async def noted(script: Any, partition: int, value: object) -> Any:
        verbs.append(script.name)
        return await run(script, partition, value)

    monkeypatch.setattr(bench.store.connection, "run", noted)
    return verbs


async def running(bench: Bench, count: int) -> list[LeaseRecord]:
    """So many tasks that run, and as many that wait."""
    await bench.submit(*[draft()] * count)
    await bench.submit(*[draft()] * count)
    return await bench.lease_all(count)


async def test_what_ends_is_replaced_in_one_call(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    leases = await running(bench, 40)
    verbs, report = calls_of(bench, monkeypatch), refill(bench, 40)

    assert await report.complete(done(leases)) == [True] * 40

    assert verbs == ["refill"]
    assert len(report.leases) == 40
    ended, replaced = leases[0].task_id, report.leases[0].task_id
    assert (await bench.task(ended)).state is TaskState.SUCCEEDED
    assert (await bench.task(replaced)).state is TaskState.RUNNING
    assert await bench.complete(report.leases[0])


async def test_a_large_report_is_cut_into_calls_that_share_what_it_asks_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    leases = [lease for _ in range(2) for lease in await running(bench, 150)]
    verbs, report = calls_of(bench, monkeypatch), refill(bench, 300)

    assert await report.complete(done(leases)) == [True] * 300

    assert verbs == ["refill", "refill"]
    assert len({lease.task_id for lease in report.leases}) == 300


@pytest.mark.parametrize("slots", [1, 3, 299])
async def test_a_report_leases_no_more_than_it_asks_for(bench: Bench, slots: int):
    leases = [lease for _ in range(2) for lease in await running(bench, 150)]
    report = refill(bench, slots)

    assert await report.complete(done(leases)) == [True] * 300

    assert len(report.leases) == slots


@pytest.mark.parametrize(("most_bytes", "leased"), [(64 << 10, 1), (3_500_000, 2)])
async def test_large_tasks_come_as_the_bytes_of_an_answer_allow(
    bench: Bench, most_bytes: int, leased: int
):
    leases = await running(bench, 40)
    await bench.poll(40)
    await bench.submit(*[draft(spec=b"x" * 1_600_000) for _ in range(4)])
    offer = PollOffer("s1", -1, 300, most_bytes, (TYPE,))
    report = bench.store.refill(NAMESPACE, QUEUE, offer)

    assert await report.complete(done(leases)) == [True] * 40

    assert len(report.leases) == leased


async def test_few_ends_may_ask_for_many_tasks(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    leases = (await running(bench, 200))[:100]
    await bench.submit(*[draft()] * 200)
    verbs, report = calls_of(bench, monkeypatch), refill(bench, 400)

    assert await report.complete(done(leases)) == [True] * 100

    assert verbs == ["refill", "refill"]
    assert len(report.leases) == 400


async def test_a_report_of_many_large_results_leases_with_two_of_its_calls(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    leases = await running(bench, 6)
    verbs, report = calls_of(bench, monkeypatch), refill(bench, 6)
    rows = [(namespace, token, b"r" * 400_000) for namespace, token, _ in done(leases)]

    assert await report.complete(rows) == [True] * 6

    assert sorted(verbs) == ["complete", "refill", "refill"]
    assert len(report.leases) == 6


async def test_a_lost_lease_in_a_report_leaves_the_others_and_what_replaces_them_alone(
    bench: Bench,
):
    leases = await running(bench, 40)
    assert await bench.complete(leases[3], b"before")
    wrong = leases[5]._replace(random=b"0" * 16)
    report = refill(bench, 40)

    taken = await report.complete(done([*leases[:5], wrong, *leases[6:]]))

    # The fourth is told again: the same end.
    assert taken == [True] * 5 + [False] + [True] * 34
    assert len(report.leases) == 40
    assert (await bench.task(wrong.task_id)).state is TaskState.RUNNING


async def test_ends_are_told_before_the_leases_that_replace_them(bench: Bench):
    leases = await running(bench, 2)
    told = len(await bench.events())

    await refill(bench, 2).complete(done(leases))

    kinds = [event.kind for event in (await bench.events())[told:]]
    assert kinds == [EventKind.SUCCEEDED] * 2 + [EventKind.LEASED] * 2


async def test_ends_are_taken_where_the_store_refuses_to_do_both(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    leases = await running(bench, 40)
    run = bench.store.connection.run

    async def refuse(script: Any, partition: int, value: object) -> Any:
        if script.name == "refill":
            raise RuntimeError("the script has failed")
        return await run(script, partition, value)

    monkeypatch.setattr(bench.store.connection, "run", refuse)
    report = refill(bench, 40)

    assert await report.complete(done(leases)) == [True] * 40
    assert report.leases == []


async def test_what_was_leased_is_known_though_a_part_of_the_report_has_failed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    leases = [lease for _ in range(2) for lease in await running(bench, 150)]
    run, calls = bench.store.connection.run, iter([False, True])

    async def fail_once(script: Any, partition: int, value: object) -> Any:
        if next(calls):
            raise StoreUnavailable
        return await run(script, partition, value)

    monkeypatch.setattr(bench.store.connection, "run", fail_once)
    report = refill(bench, 300)

    with pytest.raises(StoreUnavailable):
        await report.complete(done(leases))

    assert len(report.leases) == 150
