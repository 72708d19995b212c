"""The views of tasks, executions, events and log lines."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta

import pytest

from penstock import Execution, Failure, LogLine, Progress, Task, TaskEvent, TaskState, Usage
from penstock.v1 import event_pb2, execution_pb2, task_pb2

# Fields that a view leaves to `pb`, because few programs need them.
LEFT_OUT = {Usage: {"read_bytes", "write_bytes"}, Execution: {"namespace"}}
VIEWS = [
    (Task, task_pb2.Task),
    (Failure, task_pb2.Failure),
    (Progress, task_pb2.Progress),
    (Execution, execution_pb2.Execution),
    (Usage, execution_pb2.Usage),
    (LogLine, execution_pb2.LogLine),
    (TaskEvent, event_pb2.TaskEvent),
]


@pytest.mark.parametrize(("view", "message"), VIEWS)
def test_a_view_names_every_field_of_its_message_as_the_contract_does(view, message):
    properties = {name for name, _ in inspect.getmembers(view, lambda m: isinstance(m, property))}

    contract = {field.name for field in message.DESCRIPTOR.fields}
    assert contract - properties == LEFT_OUT.get(view, set())


@pytest.mark.parametrize(("view", "message"), VIEWS)
def test_every_property_of_an_empty_message_can_be_read(view, message):
    seen = view(message())

    for name, _ in inspect.getmembers(view, lambda m: isinstance(m, property)):
        getattr(seen, name)
    assert repr(seen)


def test_times_are_in_utc_and_unset_ones_are_none():
    message = task_pb2.Task(state=task_pb2.TASK_STATE_SUCCEEDED)
    message.end_time.FromJsonString("2026-01-02T03:04:05.678901Z")
    task = Task(message)

    assert task.end_time == datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
    assert task.start_time is None
    assert task.state is TaskState.SUCCEEDED
    assert task.ended


def test_spans_numbers_and_structures_are_python_values():
    usage = execution_pb2.Usage(peak_memory_bytes=0)
    usage.wall_time.FromMilliseconds(1_500)
    failure = task_pb2.Failure(kind="E", retryable=False, cause=task_pb2.Failure(kind="C"))
    failure.details.update({"path": "a", "sizes": [1, 2]})

    assert Usage(usage).wall_time == timedelta(seconds=1.5)
    assert Usage(usage).cpu_time is None
    assert Usage(usage).peak_memory_bytes == 0
    assert Failure(failure).details == {"path": "a", "sizes": [1, 2]}
    assert not Failure(failure).retryable
    cause = Failure(failure).cause
    assert cause is not None
    assert (cause.kind, cause.cause, cause.retryable) == ("C", None, True)


def test_payloads_logs_and_results_do_not_show_in_a_repr():
    spec = task_pb2.TaskSpec(task_type="t", payload=task_pb2.Payload(data=b"secret"))
    shown = [
        repr(Task(task_pb2.Task(spec=spec, result=spec.payload))),
        repr(LogLine(execution_pb2.LogLine(text="secret"))),
        repr(Execution(execution_pb2.Execution(result=spec.payload))),
    ]

    assert all("secret" not in text for text in shown)
