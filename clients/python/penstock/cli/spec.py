"""The options that say what a task is to be, and the TaskSpec that they make."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from penstock.cli.command import to_span
from penstock.cli.exits import usage
from penstock.cli.text import one_line, parse_time

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from penstock.v1.task_pb2 import Payload, TaskSpec
    from penstock.v1.task_service_pb2 import Idempotency, SubmitTaskRequest

_WHEN: Final = "Order and time"
_RETRY: Final = "Retries and limits"
_ABOUT: Final = "About the task"
_ONCE: Final = "Submit once"


class OnConflict(StrEnum):
    """What to do when an idempotency key is known."""

    existing = "existing"
    reject = "reject"
    replace_ = "replace"


def _option(text: str, metavar: str, panel: str, *, default: str = "") -> Any:
    shown: str | bool = default or False
    return typer.Option(help=text, metavar=metavar, rich_help_panel=panel, show_default=shown)


@dataclass(frozen=True, kw_only=True)
class SpecOptions:
    """What `submit` and `run` know about a task besides its type and payload."""

    queue: Annotated[str, _option("Queue to wait in.", "NAME", _WHEN, default="default")] = ""
    priority: Annotated[
        int | None,
        typer.Option(
            help="0 (last) to 9 (first).",
            show_default="5",
            min=0,
            metavar="N",
            max=9,
            rich_help_panel=_WHEN,
        ),
    ] = None
    delay: Annotated[
        str | None, _option("Wait so long before the first execution, e.g. 10m.", "SPAN", _WHEN)
    ] = None
    at: Annotated[
        str | None, _option("Run no earlier than this: 2027-01-31T09:30, or +2h.", "TIME", _WHEN)
    ] = None
    fairness_key: Annotated[
        str, _option("Tasks of one queue with different keys take turns.", "KEY", _WHEN)
    ] = ""
    max_attempts: Annotated[
        int | None,
        _option("Executions that may fail, the first included.", "N", _RETRY, default="3"),
    ] = None
    backoff: Annotated[
        str | None, _option("Wait after the first failure.", "SPAN", _RETRY, default="1s")
    ] = None
    max_backoff: Annotated[
        str | None, _option("Longest wait between attempts.", "SPAN", _RETRY, default="10m")
    ] = None
    multiplier: Annotated[
        float | None, _option("Each wait is the one before times this.", "X", _RETRY, default="2")
    ] = None
    max_crashes: Annotated[
        int | None, _option("Crashes of workers it may cause.", "N", _RETRY, default="3")
    ] = None
    execution_timeout: Annotated[
        str | None, _option("Longest time of one execution.", "SPAN", _RETRY)
    ] = None
    start_timeout: Annotated[str | None, _option("Longest wait for a worker.", "SPAN", _RETRY)] = (
        None
    )
    total_timeout: Annotated[
        str | None, _option("Longest time from submit to end.", "SPAN", _RETRY)
    ] = None
    heartbeat_timeout: Annotated[
        str | None, _option("Longest silence of the handler.", "SPAN", _RETRY)
    ] = None
    lease: Annotated[
        str | None, _option("Term of the lease, 5s to 1h.", "SPAN", _RETRY, default="60s")
    ] = None
    cancel_grace: Annotated[
        str | None, _option("Time to end in when cancelled.", "SPAN", _RETRY, default="10s")
    ] = None
    retention: Annotated[
        str | None, _option("How long the record stays after the end.", "SPAN", _RETRY)
    ] = None
    label: Annotated[
        list[str] | None, _option("Label, for searching. Repeat it for more.", "KEY=VALUE", _ABOUT)
    ] = None
    header: Annotated[
        list[str] | None,
        _option("Header, for the handler. Repeat it for more.", "KEY=VALUE", _ABOUT),
    ] = None
    owner: Annotated[str, _option("Person or team that answers for it.", "NAME", _ABOUT)] = ""
    name: Annotated[str, _option("Short name for people.", "TEXT", _ABOUT)] = ""
    description: Annotated[str, _option("Longer text for people.", "TEXT", _ABOUT)] = ""
    content_type: Annotated[
        str, _option("What the payload is. Anything but JSON is sent as it is.", "TYPE", _ABOUT)
    ] = "application/json"
    idempotency_key: Annotated[
        str, _option("Submit at most once under this key.", "KEY", _ONCE)
    ] = ""
    idempotency_window: Annotated[
        str | None, _option("How long the key is remembered.", "SPAN", _ONCE, default="24h")
    ] = None
    on_conflict: Annotated[
        OnConflict,
        typer.Option(
            help="When the key is known: answer that task, reject, or replace it if it waits.",
            rich_help_panel=_ONCE,
        ),
    ] = OnConflict.existing
    request_id: Annotated[
        str, _option("Makes the call safe to repeat.", "ID", _ONCE, default="a new one")
    ] = ""

    def spec(self, task_type: str, payload: str | None, *, now: datetime) -> TaskSpec:
        """The TaskSpec. Raises a usage error that names the option at fault."""
        from penstock.v1.task_pb2 import TaskSpec

        spec = TaskSpec(
            task_type=task_type,
            queue=self.queue,
            fairness_key=self.fairness_key,
            labels=pairs(self.label, "--label"),
            headers=pairs(self.header, "--header"),
            owner=self.owner,
            display_name=self.name,
            description=self.description,
        )
        if payload is not None:
            spec.payload.CopyFrom(read_payload(payload, self.content_type))
        self._set_times(spec, now)
        self._set_retry(spec)
        self._set_limits(spec)
        return spec

    def _set_times(self, spec: TaskSpec, now: datetime) -> None:
        if self.priority is not None:
            spec.priority = self.priority
        if self.delay and self.at:
            raise usage("--delay and --at exclude each other", remedy="give one of them")
        set_span(spec, "delay", self.delay, "--delay")
        if self.at:
            try:
                spec.schedule_time.FromDatetime(parse_time(self.at, now=now).astimezone(UTC))
            except ValueError as error:
                raise usage(f"--at: {error}") from None

    def _set_retry(self, spec: TaskSpec) -> None:
        policy = spec.retry_policy
        set_span(policy, "initial_backoff", self.backoff, "--backoff")
        set_span(policy, "max_backoff", self.max_backoff, "--max-backoff")
        for field in ("max_attempts", "multiplier", "max_crashes"):
            set_number(policy, field, getattr(self, field), f"--{field.replace('_', '-')}")

    def _set_limits(self, spec: TaskSpec) -> None:
        set_span(spec.timeouts, "start_to_close", self.execution_timeout, "--execution-timeout")
        set_span(spec.timeouts, "schedule_to_start", self.start_timeout, "--start-timeout")
        set_span(spec.timeouts, "total", self.total_timeout, "--total-timeout")
        set_span(spec.timeouts, "heartbeat", self.heartbeat_timeout, "--heartbeat-timeout")
        set_span(spec, "lease_duration", self.lease, "--lease")
        set_span(spec, "cancel_grace", self.cancel_grace, "--cancel-grace")
        set_span(spec, "retention", self.retention, "--retention")

    def idempotency(self) -> Idempotency | None:
        """The wish to submit once, where there is one."""
        from penstock.v1.task_service_pb2 import ConflictPolicy, Idempotency

        if not self.idempotency_key:
            return None
        policies = {
            OnConflict.existing: ConflictPolicy.CONFLICT_POLICY_RETURN_EXISTING,
            OnConflict.reject: ConflictPolicy.CONFLICT_POLICY_REJECT,
            OnConflict.replace_: ConflictPolicy.CONFLICT_POLICY_REPLACE_WAITING,
        }
        wish = Idempotency(key=self.idempotency_key, conflict_policy=policies[self.on_conflict])
        set_span(wish, "window", self.idempotency_window, "--idempotency-window")
        return wish

    def request(
        self, namespace: str, task_type: str, payload: str | None, *, now: datetime
    ) -> SubmitTaskRequest:
        """The whole request to submit one task."""
        from penstock.v1.task_service_pb2 import SubmitTaskRequest

        return SubmitTaskRequest(
            namespace=namespace,
            spec=self.spec(task_type, payload, now=now),
            idempotency=self.idempotency(),
            request_id=self.request_id or str(uuid.uuid4()),
        )


def pairs(texts: Sequence[str] | None, option: str) -> dict[str, str]:
    """`KEY=VALUE` options as a dictionary."""
    split = [text.partition("=") for text in texts or ()]
    for key, equals, _ in split:
        if not key or not equals:
            raise usage(f"{option} {one_line(key)!r} is not KEY=VALUE")
    return {key: value for key, _, value in split}


def read_payload(source: str, content_type: str) -> Payload:
    """A payload from text, from a file (`@path`) or from standard input (`-`).

    JSON is checked before it is sent.
    """
    from penstock.v1.task_pb2 import Payload

    data = read_source(source)
    if content_type == "application/json":
        check_json(data)
    return Payload(content_type=content_type, data=data)


def read_source(source: str) -> bytes:
    """What an argument means: itself, `@path` a file, `-` standard input, `@@x` the text `@x`."""
    if source == "-":
        return sys.stdin.buffer.read()
    if source.startswith("@@"):
        return source[1:].encode()
    if source.startswith("@"):
        try:
            return Path(source[1:]).read_bytes()
        except OSError as error:
            raise usage(f"{source[1:]} cannot be read: {error.strerror}") from None
    return source.encode("utf-8", "surrogateescape")


def check_json(data: bytes) -> Any:
    """The value in `data`; a usage error that shows where it is not JSON."""
    try:
        return json.loads(data)
    except UnicodeDecodeError:
        raise usage(
            "the payload is not UTF-8 text", remedy="say what it is with --content-type"
        ) from None
    except json.JSONDecodeError as error:
        raise usage(
            f"the payload is not JSON: {error.msg} at line {error.lineno}, column {error.colno}",
            remedy='quote it for the shell, as in \'{"path": "a.txt"}\', or give --content-type',
        ) from None


def set_number(message: Message, field: str, value: float | None, option: str) -> None:
    """Sets a numeric field if it is given; a value that does not fit its type is a usage error."""
    if value is None:
        return
    try:
        setattr(message, field, value)
    except ValueError:
        raise usage(f"{option}: {value} is out of range") from None


def set_span(message: Any, field: str, text: str | None, option: str) -> None:
    """Sets a span if it is given; a text that is none is a usage error."""
    if text is not None:
        value: timedelta = to_span(text, option)
        getattr(message, field).FromTimedelta(value)
