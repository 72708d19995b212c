"""Bounds on calls under way, lane by lane: polls and streams can never starve short calls."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from penstock_server.model.access import Principal
from penstock_server.model.errors import Overloaded
from penstock_server.service.interceptors.methods import Lane


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionLimits:
    """How many calls of each kind may be under way in one process."""

    calls: int = 4_096
    polls: int = 16_384
    streams: int = 4_096
    streams_per_principal: int = 1_024
    companions: int = 1_024


class Admission:
    """Counts calls in and out. Not for use from several threads."""

    def __init__(self, limits: AdmissionLimits) -> None:
        self._limits = {
            Lane.CALLS: limits.calls,
            Lane.REPORTS: limits.calls,
            Lane.POLLS: limits.polls,
            Lane.STREAMS: limits.streams,
            Lane.COMPANIONS: limits.companions,
        }
        self._streams_per_principal = limits.streams_per_principal
        self._under_way = dict.fromkeys(Lane, 0)
        self._streams: Counter[str] = Counter()

    def enter(self, lane: Lane) -> None:
        """Counts a call in. Raises Overloaded; then it is not counted."""
        if self._under_way[lane] >= self._limits[lane]:
            raise Overloaded(what=lane.value, limit=self._limits[lane])
        self._under_way[lane] += 1

    def leave(self, lane: Lane) -> None:
        """Counts a call out."""
        self._under_way[lane] -= 1

    def enter_stream(self, principal: Principal) -> None:
        """Counts a stream of the principal in. Raises Overloaded; then it is not counted."""
        if self._streams[principal.name] >= self._streams_per_principal:
            raise Overloaded(what=f"streams of {principal.name}", limit=self._streams_per_principal)
        self._streams[principal.name] += 1

    def leave_stream(self, principal: Principal) -> None:
        """Counts a stream of the principal out."""
        self._streams[principal.name] -= 1
        if not self._streams[principal.name]:
            del self._streams[principal.name]

    def under_way(self) -> Mapping[str, float]:
        """Calls under way, by lane; for the metrics page."""
        return {lane.value: number for lane, number in self._under_way.items()}
