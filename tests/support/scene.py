"""A namespace with a task in every state, and what can be said of it before and after.

Tests of refusals take a picture, ask for what must be refused, and take another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import unified_diff
from typing import Any, Final
from uuid import uuid4

from google.protobuf.message import Message

from penstock.v1 import error_pb2
from penstock.v1.task_pb2 import TaskState
from support.validators import request_type
from support.wire import Wire

TASK_TYPE: Final = "scene.task"
SESSION: Final = "scene-worker"
LATER_SESSION: Final = "later-worker"

#: What changes as time passes, although nobody did anything. What workers say of themselves becomes
#: known a little later than their leases.
_RESTLESS: Final = {"oldest_ready_age", "worker_count", "health", "health_reason"}


class Scene:
    """Tasks by the name of their state, each in a queue of that name, and the leases of two of
    them."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.namespace = f"scene-{uuid4().hex[:12]}"
        wire.call("CreateNamespace", namespace={"namespace": self.namespace})
        self.tasks: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        """Leases by the name of their task; of `leased-again` the first lease, given back since."""
        self._set_up()

    def _set_up(self) -> None:
        for state in ("ready", "running", "succeeded", "failed", "cancelled", "leased-again"):
            self.tasks[state] = self.submit(state)
        self.tasks["scheduled"] = self.submit("scheduled", delay={"seconds": 86_400})
        self.wire.call("CancelTask", self.about("CancelTask", "cancelled"))
        for state in ("running", "succeeded", "failed", "leased-again"):
            self.tokens[state] = self.lease(state)
        self.report("running", accept={}, log_lines=[{"number": 1, "text": "a line"}])
        self.report("succeeded", complete={"result": {"data": b"done"}})
        self.report("failed", fail={"failure": {"kind": "Scene", "retryable": False}})
        self.report("leased-again", release={"reason": "RELEASE_REASON_SHUTDOWN"})
        self.later_token = self.lease("leased-again", LATER_SESSION)
        self.result_of(self.later_token, session=LATER_SESSION, accept={})

    def submit(self, queue: str, **fields: Any) -> str:
        """Submits a task that runs at most for an hour, and gives its id."""
        spec = {
            "task_type": TASK_TYPE,
            "queue": queue,
            "lease_duration": {"seconds": 3_600},
            "payload": {"data": b"input"},
            "labels": {"scene": queue},
            **fields,
        }
        task = self.wire.call("SubmitTask", namespace=self.namespace, spec=spec).task
        return str(task.task_id)

    def lease(self, queue: str, session: str = SESSION) -> str:
        """Leases the first task of a queue and gives the lease token."""
        answer = self.wire.call(
            "LeaseTasks",
            namespace=self.namespace,
            session={"session_id": session, "slots": 10},
            poll_seq=self._next_poll(),
            queues=[queue],
            task_types=[TASK_TYPE],
            max_tasks=1,
            wait={"seconds": 10},
        )
        (lease,) = answer.leases
        return str(lease.lease_token)

    def report(self, state: str, **report: Any) -> Any:
        """Reports on the lease of a task, and gives the answer; fails if the report is refused."""
        result = self.result_of(self.tokens[state], **report)
        assert not result.HasField("error"), result.error
        return result

    def result_of(self, token: str, *, session: str = SESSION, **report: Any) -> Any:
        """Reports on a lease, and gives the answer to the one item."""
        (result,) = self.wire.call(
            "ReportExecutions",
            namespace=self.namespace,
            session_id=session,
            items=[{"lease_token": token, **report}],
        ).results
        return result

    def about(self, method: str, state: str, **fields: Any) -> Any:
        """A request about the task in a state."""
        message = request_type(method)
        return message(namespace=self.namespace, task_id=self.tasks[state], **fields)

    def state_of(self, name: str) -> str:
        """Name of the state that a task is in now."""
        task = self.wire.call("GetTask", self.about("GetTask", name)).task
        return TaskState.Name(task.state).removeprefix("TASK_STATE_")

    def picture(self) -> str:
        """Everything that the server says of this namespace, but for what time alone changes."""
        parts: list[Message] = []
        for name in self.tasks:
            parts.append(self.wire.call("GetTask", self.about("GetTask", name)))
            parts.append(self.wire.call("ListExecutions", self.about("ListExecutions", name)))
            parts.extend(self.wire.stream("TailLogs", self.about("TailLogs", name)))
        parts.append(self.wire.call("ListQueues", namespace=self.namespace, page_size=1_000))
        parts.append(self.wire.call("ListNamespaces", page_size=1_000))
        return "\n".join(_shown(part) for part in parts)

    def _next_poll(self) -> int:
        self._polls = getattr(self, "_polls", 0) + 1
        return self._polls


def _shown(message: Message) -> str:
    lines = str(message).splitlines()
    return "\n".join(line for line in _settled(lines))


def _settled(lines: list[str]) -> list[str]:
    """Leaves out fields that change with time, and the messages in them."""
    kept: list[str] = []
    depth = 0
    for line in lines:
        name = line.strip().partition(":")[0].partition(" ")[0]
        if depth or name in _RESTLESS:
            depth += line.rstrip().endswith("{")
            depth -= line.strip() == "}"
            continue
        kept.append(line)
    return kept


@contextmanager
def nothing_changes(scene: Scene) -> Iterator[None]:
    """Holds that nothing in the scene is different when the block is left."""
    before = scene.picture()
    yield
    after = scene.picture()
    changes = unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="")
    assert after == before, "\n".join(changes)


def reason_of(result: Any) -> str:
    """Why an item was refused."""
    assert result.HasField("error"), "the item was taken"
    return error_pb2.ErrorReason.Name(result.error.reason).removeprefix("ERROR_REASON_")


def fields_with(method: str, name: str, *, repeated: bool = False) -> bool:
    """True if requests of a method have a field of this name that is no message."""
    field = request_type(method).DESCRIPTOR.fields_by_name.get(name)
    return field is not None and field.is_repeated == repeated and field.message_type is None


def in_scene(request: Any, scene: Scene) -> Any:
    """The request, in the namespace of the scene if it has one."""
    if fields_with(request.DESCRIPTOR.name.removesuffix("Request"), "namespace"):
        request.namespace = scene.namespace
    return request
