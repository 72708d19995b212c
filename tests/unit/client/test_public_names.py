"""The public surface: what can be imported, and what importing costs."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest

import penstock
from penstock import enums
from penstock.blocking import (
    BlockingClient,
    BlockingNamespaces,
    BlockingQueues,
    BlockingWorkers,
)
from penstock.client import Client
from penstock.error_mapping import BY_REASON, reason_name
from penstock.services import Namespaces, Queues, Workers
from penstock.spec import ConflictPolicy, TaskFields, TaskRequest
from penstock.v1 import error_pb2, event_pb2, execution_pb2, task_pb2, task_service_pb2

TWINS = [
    (Client, BlockingClient),
    (Queues, BlockingQueues),
    (Workers, BlockingWorkers),
    (Namespaces, BlockingNamespaces),
]


def test_public_names_are_sorted_and_can_be_imported():
    assert penstock.__all__ == sorted(penstock.__all__)
    assert set(penstock.__all__) == set(penstock._HOMES)
    for name in penstock.__all__:
        assert getattr(penstock, name) is getattr(
            importlib.import_module(penstock._HOMES[name]), name
        )


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Clinet'"):
        penstock.Clinet  # noqa: B018


@pytest.mark.parametrize(
    "statement",
    [
        "import penstock.v1.task_pb2",
        "import penstock.errors",
        "import penstock.payload",
        "from penstock import RetryPolicy, TaskRequest, Task",
    ],
)
def test_what_a_handler_process_imports_loads_no_grpc(statement):
    code = f"{statement}; import sys; sys.exit('grpc' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], check=False)

    assert done.returncode == 0


def test_every_reason_of_the_contract_has_one_exception_class():
    reasons = {reason_name(number) for number in error_pb2.ErrorReason.values() if number}

    assert set(BY_REASON) == reasons
    for reason, kind in BY_REASON.items():
        assert kind.reason == reason
        assert kind.__name__.upper() == reason.replace("_", "")


@pytest.mark.parametrize(
    ("ours", "theirs", "prefix"),
    [
        (enums.TaskState, task_pb2.TaskState, "TASK_STATE_"),
        (enums.CancelReason, task_pb2.CancelReason, "CANCEL_REASON_"),
        (enums.ExecutionOutcome, execution_pb2.ExecutionOutcome, "EXECUTION_OUTCOME_"),
        (enums.ReleaseReason, execution_pb2.ReleaseReason, "RELEASE_REASON_"),
        (enums.LogStream, execution_pb2.LogStream, "LOG_STREAM_"),
        (enums.TaskEventKind, event_pb2.TaskEventKind, "TASK_EVENT_KIND_"),
    ],
)
def test_enums_are_those_of_the_contract(ours, theirs, prefix):
    assert {prefix + member.name: member.value for member in ours} == dict(theirs.items())


def test_conflict_policies_are_those_of_the_contract():
    theirs = {n: v for n, v in task_service_pb2.ConflictPolicy.items() if v}

    assert {f"CONFLICT_POLICY_{m.name}": m.value for m in ConflictPolicy} == theirs


def test_an_enum_number_from_a_newer_server_reads_as_unspecified():
    assert enums.TaskEventKind(9_999) is enums.TaskEventKind.UNSPECIFIED


def test_the_keywords_of_submit_are_the_fields_of_a_task_request():
    fields = set(TaskRequest.__dataclass_fields__) - {"task_type", "payload"}

    assert set(TaskFields.__annotations__) == fields


def test_a_task_request_can_say_everything_that_a_spec_can():
    contract = {field.name for field in task_pb2.TaskSpec.DESCRIPTOR.fields}
    renamed = {"schedule_time": "run_at", "retry_policy": "retry"}

    assert {renamed.get(name, name) for name in contract} <= set(TaskRequest.__dataclass_fields__)


@pytest.mark.parametrize(("asynchronous", "blocking"), TWINS)
def test_every_method_has_a_blocking_twin_with_the_same_parameters(asynchronous, blocking):
    names = [
        name
        for name, member in inspect.getmembers(asynchronous, inspect.isfunction)
        if not name.startswith("_")
    ]

    assert names
    for name in names:
        ours = inspect.signature(getattr(asynchronous, name))
        theirs = inspect.signature(getattr(blocking, name))
        assert list(ours.parameters.values()) == list(theirs.parameters.values()), name
        answer = str(ours.return_annotation).replace("AsyncGenerator", "Generator")
        assert _blocking(answer) == str(theirs.return_annotation), name


def _blocking(annotation: str) -> str:
    """An async generator names one type less than a plain one, and modules go by other names."""
    if annotation.startswith("Generator["):
        annotation = annotation.removesuffix("]") + ", None]"
    return annotation.replace("queues_pb.PeekQueueResponse", "PeekQueueResponse")
