"""Accept and renew: how long a lease lasts, and what comes with a renewal."""

from __future__ import annotations

from support.stores import NAMESPACE, Bench, draft, token_of


async def test_an_accepted_lease_lasts_its_term_from_then_on(bench: Bench):
    await bench.add()
    lease = await bench.lease()
    bench.clock.advance(seconds=5)

    renewal = await bench.accept(lease)

    assert (renewal.term_ms, renewal.cancel_requested) == (60_000, False)
    assert (await bench.task(lease.task_id)).expire_ms == bench.clock.ms + 60_000


async def test_an_expired_lease_that_was_not_taken_away_can_be_renewed(bench: Bench):
    await bench.add()
    lease = await bench.lease()
    bench.clock.advance(minutes=5)

    assert await bench.accept(lease)
    assert await bench.reap() == []


async def test_progress_is_kept_and_told(bench: Bench):
    await bench.add()
    lease = await bench.lease()

    await bench.accept(lease, progress=b"half")

    task = await bench.task(lease.task_id)
    assert task.progress == (bench.clock.ms, b"half")
    assert task.sequence == 3
    assert (await bench.events())[-1].extra == b"half"


async def test_renewals_of_many_leases_are_answered_one_by_one(bench: Bench):
    await bench.submit(*(draft() for _ in range(300)))
    leases = await bench.lease_all(300)
    wrong = leases[7]._replace(random=bytes(16))

    answers = await bench.store.leases.renew(
        "s1", [(NAMESPACE, token_of(lease), b"") for lease in [*leases, wrong]]
    )

    assert len(answers) == 301
    assert [answer is None for answer in answers] == [False] * 300 + [True]
