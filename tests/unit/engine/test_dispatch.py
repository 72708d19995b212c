"""The dispatcher: every poll one turn, in one call at a time, and no lease for nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from penstock_server.engine.dispatch import MOST_LEASES, Delivery, Dispatcher, Poll
from penstock_server.model.errors import StoreUnavailable
from penstock_server.model.records import Directive, LeaseKind, LeaseRecord
from penstock_server.store.leases import PollAnswer, PollOffer

DIRECTIVE = Directive("d1", "drain", "", 0)


def lease(name: str) -> LeaseRecord:
    return LeaseRecord(name, b"", b"", LeaseKind(1, 1, 1, 0, 0, 0, 60_000))


class Store:
    """Answers lease calls as the test says, one after another; empty when it says nothing."""

    def __init__(self) -> None:
        self.calls: list[list[PollOffer]] = []
        self.answers: list[Any] = []
        self.gates: list[asyncio.Event] = []

    async def lease(
        self, namespace: str, queue: str, server: str, offers: Sequence[PollOffer]
    ) -> tuple[int, list[PollAnswer]]:
        self.calls.append(list(offers))
        if self.gates:
            await self.gates.pop(0).wait()
        answer = self.answers.pop(0) if self.answers else [PollAnswer([], [], False)] * len(offers)
        if isinstance(answer, Exception):
            raise answer
        return 1, answer

    def hold(self) -> asyncio.Event:
        gate = asyncio.Event()
        self.gates.append(gate)
        return gate


class Scene:
    """A dispatcher or two over one scripted store."""

    def __init__(self) -> None:
        self.store = Store()
        self.given_back: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def dispatcher(self, queue: str = "q") -> Dispatcher:
        store: Any = self.store
        return Dispatcher("default", queue, "server", store, self._spawn, self._give_back)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _give_back(self, _namespace: str, leases: Sequence[LeaseRecord]) -> None:
        self.given_back += [lease.task_id for lease in leases]

    def poll(self, session: str, slots: int = 1, *dispatchers: Dispatcher, seq: int = 1) -> Poll:
        poll = Poll("default", session, seq, queues=("q",), task_types=("t",), slots=slots)
        for dispatcher in dispatchers:
            dispatcher.polls[poll] = None
        return poll

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def scene() -> Scene:
    return Scene()


async def test_polls_that_wait_share_one_call(scene: Scene):
    dispatcher = scene.dispatcher()
    one, two = scene.poll("a", 1, dispatcher), scene.poll("b", 2, dispatcher)
    scene.store.answers = [
        [PollAnswer([lease("x")], [], False), PollAnswer([lease("y"), lease("z")], [], False)]
    ]

    dispatcher.kick()
    await scene.settle()

    assert [(offer.session_id, offer.slots) for offer in scene.store.calls[0]] == [
        ("a", 1),
        ("b", 2),
    ]
    assert [lease.task_id for lease in one.answer.result().leases] == ["x"]
    assert [lease.task_id for lease in two.answer.result().leases] == ["y", "z"]
    assert scene.given_back == []


@pytest.mark.parametrize("slots", [100, MOST_LEASES, 1_000])
async def test_an_empty_queue_is_asked_once_for_everybody_however_many_slots_wait(
    scene: Scene, slots: int
):
    dispatcher = scene.dispatcher()
    polls = [scene.poll(f"s{n}", slots, dispatcher) for n in range(5)]

    dispatcher.kick()
    await scene.settle()

    asked = [offer.session_id for call in scene.store.calls for offer in call]
    assert asked == [poll.session_id for poll in polls]
    assert all(sum(offer.slots for offer in call) <= MOST_LEASES for call in scene.store.calls)


async def test_a_kick_during_a_look_makes_another_look(scene: Scene):
    dispatcher = scene.dispatcher()
    scene.poll("a", 1, dispatcher)
    gate = scene.store.hold()
    dispatcher.kick()
    await scene.settle()
    dispatcher.kick()
    dispatcher.kick()

    gate.set()
    await scene.settle()

    assert len(scene.store.calls) == 2


async def test_a_poll_belongs_to_one_call_at_a_time(scene: Scene):
    one, two = scene.dispatcher("q1"), scene.dispatcher("q2")
    poll = scene.poll("a", 1, one, two)
    gate = scene.store.hold()

    one.kick()
    two.kick()
    await scene.settle()
    assert len(scene.store.calls) == 1
    gate.set()
    await scene.settle()

    assert len(scene.store.calls) == 2, "the other queue had its turn afterwards"
    assert not poll.busy


async def test_leases_for_a_call_that_has_gone_are_given_back(scene: Scene):
    dispatcher = scene.dispatcher()
    poll = scene.poll("a", 1, dispatcher)
    scene.store.answers = [[PollAnswer([lease("x")], [], False)]]
    gate = scene.store.hold()
    dispatcher.kick()
    await scene.settle()
    poll.answer.cancel()

    gate.set()
    await scene.settle()

    assert scene.given_back == ["x"]


@pytest.mark.parametrize(("slots", "given_back"), [(1, []), (0, ["x"])])
async def test_a_newer_poll_of_the_session_gets_what_the_older_one_was_about_to_lease(
    scene: Scene, slots: int, given_back: list[str]
):
    dispatcher = scene.dispatcher()
    older, newer = scene.poll("a", 1, dispatcher), scene.poll("a", slots, seq=2)
    scene.store.answers = [[PollAnswer([lease("x")], [], False)]]
    gate = scene.store.hold()
    dispatcher.kick()
    await scene.settle()
    older.heir = newer

    gate.set()
    await scene.settle()

    assert older.answer.result().superseded
    assert newer.answer.done() == bool(slots)
    assert scene.given_back == given_back


async def test_a_wait_that_ran_out_during_a_call_ends_with_what_that_brings(scene: Scene):
    dispatcher = scene.dispatcher()
    empty, lucky = scene.poll("a", 1, dispatcher), scene.poll("b", 1, dispatcher)
    scene.store.answers = [[PollAnswer([], [], False), PollAnswer([lease("x")], [], False)]]
    gate = scene.store.hold()
    dispatcher.kick()
    await scene.settle()
    empty.expired = lucky.expired = True

    gate.set()
    await scene.settle()

    assert empty.answer.result() == Delivery()
    assert [lease.task_id for lease in lucky.answer.result().leases] == ["x"]


async def test_directives_end_a_wait(scene: Scene):
    dispatcher = scene.dispatcher()
    poll = scene.poll("a", 1, dispatcher)
    scene.store.answers = [[PollAnswer([], [DIRECTIVE], False)]]

    dispatcher.kick()
    await scene.settle()

    assert poll.answer.result().directives == [DIRECTIVE]


async def test_a_directive_that_came_during_a_call_is_looked_for_afterwards(scene: Scene):
    dispatcher = scene.dispatcher()
    poll = scene.poll("a", 1, dispatcher)
    scene.store.answers = [[PollAnswer([], [], False)], [PollAnswer([], [DIRECTIVE], False)]]
    gate = scene.store.hold()
    dispatcher.kick()
    await scene.settle()
    poll.told = True

    gate.set()
    await scene.settle()

    assert poll.answer.result().directives == [DIRECTIVE]


async def test_a_poll_that_the_store_knows_as_superseded_ends(scene: Scene):
    dispatcher = scene.dispatcher()
    poll = scene.poll("a", 1, dispatcher)
    scene.store.answers = [[PollAnswer([], [], True)]]

    dispatcher.kick()
    await scene.settle()

    assert poll.answer.result().superseded


@pytest.mark.parametrize("error", [StoreUnavailable(), ValueError("a fault of ours")])
async def test_an_error_reaches_the_polls_and_ends_nothing_else(scene: Scene, error: Exception):
    dispatcher = scene.dispatcher()
    poll = scene.poll("a", 1, dispatcher)
    scene.store.answers = [error]
    dispatcher.kick()
    await scene.settle()
    assert poll.answer.exception() is error
    del dispatcher.polls[poll]

    later = scene.poll("b", 1, dispatcher)
    scene.store.answers = [[PollAnswer([lease("x")], [], False)]]
    dispatcher.kick()
    await scene.settle()

    assert [lease.task_id for lease in later.answer.result().leases] == ["x"]


# ---- polls held for a call that submits ---------------------------------------------------------


async def test_polls_are_held_for_a_submit_up_to_its_tasks_and_only_those_that_fit(scene: Scene):
    dispatcher = scene.dispatcher()
    other = scene.poll("other", 9, dispatcher)
    other.task_types = ("u",)
    one, two, three = (scene.poll(name, 2, dispatcher) for name in ("a", "b", "c"))

    turn = dispatcher.begin({"t"}, 3)

    assert turn is not None
    assert [(offer.session_id, offer.slots) for offer in turn.offers] == [("a", 2), ("b", 1)]
    assert [poll.busy for poll in (one, two, three, other)] == [True, True, False, False]
    turn.deliver(1, [PollAnswer([lease("x")], [], False), PollAnswer([], [], False)])
    assert [lease.task_id for lease in one.answer.result().leases] == ["x"]
    assert not two.answer.done()
    assert not two.busy


async def test_no_poll_is_held_for_a_submit_while_a_look_is_under_way(scene: Scene):
    dispatcher = scene.dispatcher()
    scene.poll("a", 1, dispatcher)
    scene.store.hold()
    dispatcher.kick()

    assert dispatcher.begin({"t"}, 1) is None


async def test_polls_of_a_submit_that_failed_look_for_themselves(scene: Scene):
    dispatcher = scene.dispatcher()
    patient, expired = scene.poll("a", 1, dispatcher), scene.poll("b", 1, dispatcher)
    turn = dispatcher.begin({"t"}, 2)
    assert turn is not None
    expired.expired = True

    turn.abandon()
    await scene.settle()

    assert expired.answer.result() == Delivery()
    assert not patient.answer.done()
    assert [offer.session_id for call in scene.store.calls for offer in call] == ["a"]


async def test_a_look_that_found_its_polls_held_is_made_afterwards(scene: Scene):
    dispatcher = scene.dispatcher()
    scene.poll("a", 1, dispatcher)
    turn = dispatcher.begin({"t"}, 1)
    assert turn is not None
    dispatcher.kick()
    await scene.settle()
    assert scene.store.calls == []

    turn.deliver(1, [PollAnswer([], [], False)])
    await scene.settle()

    assert len(scene.store.calls) == 1
