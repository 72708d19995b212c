"""Who may call what."""

from __future__ import annotations

import pytest

from penstock.v1 import (
    namespace_service_pb2,
    queue_service_pb2,
    task_service_pb2,
    task_type_service_pb2,
    worker_service_pb2,
)
from penstock.v1.namespace_pb2 import Namespace
from penstock_server.model.access import ANONYMOUS, Principal, Role
from penstock_server.model.errors import PermissionDenied
from penstock_server.service.authorizer import RoleAuthorizer
from penstock_server.service.interceptors.methods import CallTimes, Lane, contract_method
from penstock_server.service.roles import PUBLIC, ROLES, roles_of

FILES = (
    task_service_pb2,
    worker_service_pb2,
    queue_service_pb2,
    task_type_service_pb2,
    namespace_service_pb2,
)
METHODS = {
    f"/{service.full_name}/{method.name}": method
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


def may(role: Role, method: str) -> bool:
    return role in roles_of(f"/penstock.v1.{method}")


def test_every_method_of_the_contract_has_its_roles_and_none_is_public() -> None:
    assert {path for path in ROLES if path.startswith("/penstock.")} == set(METHODS)
    assert not PUBLIC & set(METHODS)


def test_an_administrator_may_call_everything() -> None:
    assert all(Role.ADMIN in roles for roles in ROLES.values())


def test_a_method_that_the_table_does_not_know_is_for_administrators() -> None:
    assert roles_of("/penstock.v1.SecretService/GetSecret") == {Role.ADMIN}


def test_a_worker_leases_and_reports_and_does_nothing_else() -> None:
    allowed = {path for path, roles in ROLES.items() if Role.WORKER in roles}

    assert {path.rpartition("/")[2] for path in allowed} == {
        "LeaseTasks",
        "ReportExecutions",
        "GetNamespace",
        "ListNamespaces",
    }


def test_a_viewer_changes_nothing() -> None:
    allowed = {path.rpartition("/")[2] for path, roles in ROLES.items() if Role.VIEWER in roles}

    assert all(
        name.startswith(("Get", "List", "Peek", "Watch", "Tail", "Await")) for name in allowed
    )


@pytest.mark.parametrize(
    ("role", "method", "allowed"),
    [
        (Role.SUBMITTER, "TaskService/SubmitTask", True),
        (Role.SUBMITTER, "TaskService/CancelTask", True),
        (Role.SUBMITTER, "TaskService/DeleteTask", False),
        (Role.SUBMITTER, "TaskService/EndTask", False),
        (Role.SUBMITTER, "QueueService/PauseQueue", False),
        (Role.OPERATOR, "QueueService/PurgeQueue", True),
        (Role.OPERATOR, "WorkerService/DrainWorker", True),
        (Role.OPERATOR, "WorkerService/LeaseTasks", False),
        (Role.OPERATOR, "NamespaceService/CreateNamespace", False),
        (Role.VIEWER, "TaskService/SubmitTask", False),
    ],
)
def test_roles_cover_what_their_names_say(role: Role, method: str, allowed: bool) -> None:
    assert may(role, method) is allowed


def test_a_role_holds_in_its_namespaces_only() -> None:
    check = RoleAuthorizer().check
    principal = Principal("key:ci", Role.VIEWER, frozenset({"dev"}))
    method = "/penstock.v1.TaskService/GetTask"

    check(principal, method, roles_of(method), "dev")
    with pytest.raises(PermissionDenied) as caught:
        check(principal, method, roles_of(method), "prod")

    assert caught.value.facts == {
        "principal": "key:ci",
        "role": "viewer",
        "method": "GetTask",
        "namespace": "prod",
    }


def test_anonymous_may_do_everything_where_nobody_has_to_say_who_they_are() -> None:
    RoleAuthorizer().check(ANONYMOUS, "m", frozenset({Role.ADMIN}), "anything")


@pytest.mark.parametrize(
    ("path", "request_of", "namespace"),
    [
        ("TaskService/GetTask", task_service_pb2.GetTaskRequest(), "default"),
        ("TaskService/GetTask", task_service_pb2.GetTaskRequest(namespace="a"), "a"),
        ("NamespaceService/ListNamespaces", namespace_service_pb2.ListNamespacesRequest(), None),
        (
            "NamespaceService/DeleteNamespace",
            namespace_service_pb2.DeleteNamespaceRequest(namespace="b"),
            "b",
        ),
        (
            "NamespaceService/CreateNamespace",
            namespace_service_pb2.CreateNamespaceRequest(namespace=Namespace(namespace="c")),
            "c",
        ),
    ],
)
def test_the_namespace_is_read_wherever_a_request_names_it(
    path: str, request_of: object, namespace: str | None
) -> None:
    method = contract_method(METHODS[f"/penstock.v1.{path}"], CallTimes())

    assert method.namespace_of(request_of) == namespace


def test_waiting_calls_streams_and_reports_have_lanes_of_their_own() -> None:
    lanes = {
        name.rpartition("/")[2]: contract_method(m, CallTimes()).lane for name, m in METHODS.items()
    }

    assert {name for name, lane in lanes.items() if lane is Lane.POLLS} == {
        "LeaseTasks",
        "RunTask",
        "AwaitTask",
    }
    assert {name for name, lane in lanes.items() if lane is Lane.STREAMS} == {
        "WatchTasks",
        "TailLogs",
    }
    assert {name for name, lane in lanes.items() if lane is Lane.REPORTS} == {"ReportExecutions"}


def test_a_waiting_call_is_given_its_longest_wait_on_top_of_the_bound() -> None:
    times = CallTimes()
    lease = contract_method(METHODS["/penstock.v1.WorkerService/LeaseTasks"], times)
    watch = contract_method(METHODS["/penstock.v1.TaskService/WatchTasks"], times)

    assert lease.longest is not None
    assert lease.longest.total_seconds() == times.short.total_seconds() + 60
    assert watch.longest is None
