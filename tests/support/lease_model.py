"""A small model of the lease protocol: what becomes of a task, told without a store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from penstock_server.model.lifecycle import Outcome
from penstock_server.model.lifecycle import TaskState as S

ACCEPT_MS: Final = 10_000
TERM_MS: Final = 60_000
GRACE_MS: Final = 10_000


@dataclass
class Task:
    """What the model knows of a task."""

    task_id: str
    task_type: str
    priority: int
    due: int
    state: S
    attempt: int = 0
    crashes: int = 0
    releases: int = 0
    executions: int = 0
    forgiven: tuple[int, int] = (0, 0)
    """Attempts and crashes before the latest retry."""
    token: bytes | None = None
    session: str = ""
    leased: int = 0
    timer: int = 0
    accepted: bool = False
    cancel_by: int | None = None
    ended_as: Any = None
    """Outcome of the latest execution that ended."""
    purged: bool = False
    fences: list[int] = field(default_factory=list)

    @property
    def facts(self) -> tuple[Any, ...]:
        return (self.state, self.attempt, self.crashes, self.releases, self.executions)

    def end(self, state: S) -> None:
        self.state, self.purged = state, False

    def over(self, outcome: Any) -> bool:
        """Its execution is over; true if that was asked for."""
        self.ended_as = outcome
        if outcome is not Outcome.RELEASED:
            self.releases = 0
        cancelled, self.cancel_by = self.cancel_by is not None, None
        return cancelled

    def wait(self, now: int, delay: int) -> None:
        self.state = S.SCHEDULED if delay else S.READY
        if delay:
            self.due = now + delay

    def did_not_succeed(self, outcome: Outcome, now: int) -> None:
        if self.over(outcome) or outcome is Outcome.CANCELLED:
            return self.end(S.CANCELLED)
        crashed = outcome in (Outcome.CRASHED, Outcome.LOST)
        self.attempt += not crashed
        self.crashes += crashed
        attempts, crashes = self.attempt - self.forgiven[0], self.crashes - self.forgiven[1]
        if attempts >= 3 or crashes > 3:
            return self.end(S.FAILED)
        return self.wait(now, 0 if crashed else 1_000 * 2 ** (attempts - 1))

    def given_back(self, now: int) -> None:
        if self.over(Outcome.RELEASED):
            return self.end(S.CANCELLED)
        self.releases += 1
        if self.releases > 20:
            return self.end(S.FAILED)
        steps = self.releases - 3
        return self.wait(now, min(60_000, 1_000 * 2 ** (steps - 1)) if steps > 0 else 0)

    def leased_by(self, session: str, random: bytes, fence: int, now: int) -> None:
        """A session has it now."""
        assert all(fence > before for before in self.fences), "a fence does not rise"
        self.state, self.token, self.session = S.RUNNING, random, session
        self.leased, self.timer, self.accepted = now, now + ACCEPT_MS, False
        self.executions += 1
        self.fences.append(fence)

    def renewed(self, now: int) -> None:
        """Its lease was accepted, or its term begins anew."""
        self.accepted = True
        self.timer = min(now + TERM_MS, self.cancel_by or 1 << 60)

    def cancel_asked(self, now: int) -> None:
        """Somebody wants it cancelled, and it has not ended otherwise."""
        if self.state is not S.RUNNING:
            return self.end(S.CANCELLED)
        self.cancel_by = min(self.cancel_by or 1 << 60, now + GRACE_MS)
        self.timer = min(self.timer, self.cancel_by)
        return None

    def ran_out(self, now: int, *, session_lives: bool) -> None:
        """Its lease ended by the clock."""
        self.token = None
        if self.cancel_by is not None and self.cancel_by <= now:
            self.did_not_succeed(Outcome.CANCELLED, now)
        elif not self.accepted and session_lives:
            self.given_back(now)
        else:
            self.did_not_succeed(Outcome.LOST, now)
