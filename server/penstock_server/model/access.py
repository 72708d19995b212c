"""Who calls, and what it may do."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """What a principal may do; which calls each role covers stands in service/roles.py."""

    VIEWER = "viewer"
    """Looks at tasks, queues and workers."""
    SUBMITTER = "submitter"
    """Submits tasks and looks after them."""
    WORKER = "worker"
    """Leases tasks and reports on them, and nothing else."""
    OPERATOR = "operator"
    """Everything in its namespaces except leasing: ends, deletes, pauses, purges, drains."""
    ADMIN = "admin"
    """Everything."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a call. Its name becomes the creator of the tasks that it submits."""

    name: str
    """E.g. `key:ci-runner`, `certificate:worker-1.example.net` or `anonymous`."""
    role: Role
    namespaces: frozenset[str] | None = None
    """Where the role holds. None: everywhere."""

    def may_enter(self, namespace: str) -> bool:
        """True if the role holds in the namespace."""
        return self.namespaces is None or namespace in self.namespaces


ANONYMOUS = Principal("anonymous", Role.ADMIN)
"""Everybody, on a server where nobody has to say who they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """An API key as the store has it: its secret only as a hash."""

    key_id: str
    """Its public part, unique. Lower-case letters and digits."""
    digest: bytes = field(repr=False)
    """SHA-256 of the whole key."""
    role: Role
    namespaces: frozenset[str] | None
    """Where the role holds. None: everywhere."""
    description: str
    """What it is for; names the principal, if it is set."""
    create_time: datetime
    expire_time: datetime | None = None
    """When it ends. None: never."""
    revoke_time: datetime | None = None
    """When it was revoked. None: it was not."""

    def is_valid(self, now: datetime) -> bool:
        """True if the key opens anything at `now`."""
        return self.revoke_time is None and (self.expire_time is None or now < self.expire_time)

    @property
    def principal(self) -> Principal:
        """Who calls with this key."""
        return Principal(f"key:{self.description or self.key_id}", self.role, self.namespaces)
