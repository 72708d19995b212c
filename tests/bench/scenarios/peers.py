"""Peers: flow, drain, single submits and round trip of other libraries, in two forms each.

Counted as Penstock's own are: from the first submit to the last end (`peer_flow`), from the first
end to the last with the backlog there before (`peer_drain`), one submit after the other
(`peer_singles`), and from the submit to the result (`peer_round_trip`, where results are kept).
A library without a call for many tasks submits its own quickest way, see bench/peers/programs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from bench.figures import Figure, percentiles
from bench.peers.peer import FORMS, PEERS, Form, Peer
from bench.peers.place import PeerPlace, peer_place
from bench.scenario import Amount, Probe, Scenario, TooFew, measured
from bench.store import Countdown

_WARM_UP = 1_000
_WARM_UP_TRIPS = 100

Run = Callable[[Peer, Form, Amount, Probe], Sequence[Figure]]


def flow(peer: Peer, form: Form, amount: Amount, probe: Probe) -> Sequence[Figure]:
    """Tasks per second while a producer submits in bulk, and what a task costs in each part."""
    amount = amount.of(peer.share)
    with peer_place(peer, form) as place:
        place.start_worker()
        _submit(place, _WARM_UP, amount)
        _when_empty(place)
        with measured(place, probe) as result:
            told = _submit(place, amount.tasks, amount)
            end = _when_empty(place)
            result.tasks = told["tasks"]
    submitted = told["tasks"] / (told["end"] - told["begin"])
    return [
        Figure("rate", told["tasks"] / (end - told["begin"]), "tasks/s"),
        Figure("submitted", submitted, "tasks/s"),
        *result.cpu,
    ]


def drain(peer: Peer, form: Form, amount: Amount, probe: Probe) -> Sequence[Figure]:
    """Tasks per second of a backlog, and what a task costs in each part."""
    amount = amount.of(peer.share)
    with peer_place(peer, form) as place:
        tasks = int(_submit(place, amount.tasks, amount)["tasks"])
        place.start_worker()
        first, left = next((now, left) for now, left in _samples(place) if left < tasks)
        if left == 0:
            raise TooFew(f"{tasks} tasks ended before they could be timed: give more with --tasks")
        with measured(place, probe) as result:
            last = _when_empty(place)
            result.tasks = left
    return [Figure("rate", left / (last - first), "tasks/s"), *result.cpu]


def singles(peer: Peer, form: Form, amount: Amount, probe: Probe) -> Sequence[Figure]:
    """Submits per second, one after the other, while nobody executes."""
    with peer_place(peer, form) as place, measured(place, probe) as result:
        told = _submit(place, amount.calls, amount, do="one_by_one")
        result.tasks = told["tasks"]
    rate = told["tasks"] / (told["end"] - told["begin"])
    return [Figure("rate", rate, "submits/s"), *result.cpu]


def round_trip(peer: Peer, form: Form, amount: Amount, probe: Probe) -> Sequence[Figure]:
    """From the submit to the result, one after the other."""
    with peer_place(peer, form) as place:
        place.start_worker()
        place.order("round_trips", tasks=_WARM_UP_TRIPS, seconds=amount.seconds)
        place.answer()
        with measured(place, probe) as result:
            place.order("round_trips", tasks=amount.calls, seconds=amount.seconds)
            times = place.answer()["times"]
            result.tasks = len(times)
    return [*percentiles(times), *result.cpu]


def _submit(place: PeerPlace, tasks: int, amount: Amount, *, do: str = "bulk") -> dict[str, Any]:
    place.order(do, tasks=tasks, seconds=amount.seconds)
    return place.answer()


def _samples(place: PeerPlace) -> Iterator[tuple[float, int]]:
    return Countdown(place).samples()


def _when_empty(place: PeerPlace) -> float:
    return next(now for now, left in _samples(place) if left == 0)


def _scenarios(name: str, run: Run, forms: Sequence[Form]) -> list[Scenario]:
    return [
        Scenario(
            name=name,
            variant=f"{peer.name} {form}",
            executor=f"{peer.name}'s own workers; {FORMS[form]}",
            run=partial(run, peer, form),
        )
        for peer in PEERS
        for form in forms
    ]


SCENARIOS = [
    *_scenarios("peer_flow", flow, ["kept", "fast"]),
    *_scenarios("peer_drain", drain, ["kept", "fast"]),
    *_scenarios("peer_singles", singles, ["kept"]),
    *_scenarios("peer_round_trip", round_trip, ["kept"]),
]
