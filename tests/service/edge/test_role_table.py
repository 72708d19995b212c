"""Who may call what, cell by cell; and that permission comes before existence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import grpc
import pytest
from grpc_channelz.v1 import channelz_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from penstock.testing import Server
from penstock_server.access_admin import create_key
from penstock_server.config import load_config
from penstock_server.model.access import Role
from support.scene import fields_with
from support.validators import METHODS, valid_request
from support.wire import Refusal, Wire, refusal_in

ROLES: Final = tuple(Role)
HOME: Final = "home"
"""The one namespace that the keys of the table are for."""

# Columns: viewer, submitter, worker, operator, admin. Written by hand from the contract;
# the server's own table is not looked at.
TABLE: Final = {
    "SubmitTask": ". s . o a",
    "SubmitTasks": ". s . o a",
    "RunTask": ". s . o a",
    "AwaitTask": "v s . o a",
    "GetTask": "v s . o a",
    "UpdateTask": ". s . o a",
    "CancelTask": ". s . o a",
    "EndTask": ". . . o a",
    "RetryTask": ". s . o a",
    "DeleteTask": ". . . o a",
    "ListExecutions": "v s . o a",
    "GetExecution": "v s . o a",
    "WatchTasks": "v s . o a",
    "TailLogs": "v s . o a",
    "LeaseTasks": ". . w . a",
    "ReportExecutions": ". . w . a",
    "ListWorkers": "v s . o a",
    "DrainWorker": ". . . o a",
    "GetQueue": "v s . o a",
    "ListQueues": "v s . o a",
    "UpdateQueue": ". . . o a",
    "PauseQueue": ". . . o a",
    "ResumeQueue": ". . . o a",
    "PurgeQueue": ". . . o a",
    "PeekQueue": "v s . o a",
    "CreateTaskType": ". . . o a",
    "GetTaskType": "v s . o a",
    "ListTaskTypes": "v s . o a",
    "UpdateTaskType": ". . . o a",
    "DeleteTaskType": ". . . o a",
    "CreateNamespace": ". . . . a",
    "GetNamespace": "v s w o a",
    "ListNamespaces": "v s w o a",
    "UpdateNamespace": ". . . . a",
    "DeleteNamespace": ". . . . a",
}
IN_A_NAMESPACE: Final = [method for method in TABLE if method != "ListNamespaces"]

CHANNELZ: Final = "/grpc.channelz.v1.Channelz/"
OF_THE_SERVER: Final = {
    "GetTopChannels": channelz_pb2.GetTopChannelsRequest(),
    "GetServers": channelz_pb2.GetServersRequest(),
    "GetServer": channelz_pb2.GetServerRequest(server_id=1),
    "GetServerSockets": channelz_pb2.GetServerSocketsRequest(server_id=1),
    "GetChannel": channelz_pb2.GetChannelRequest(channel_id=1),
    "GetSubchannel": channelz_pb2.GetSubchannelRequest(subchannel_id=1),
    "GetSocket": channelz_pb2.GetSocketRequest(socket_id=1),
}
HEALTH: Final = "/grpc.health.v1.Health/"
REFLECTION: Final = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


class Doors:
    """A server that wants keys, and a way in for every role."""

    def __init__(self, server: Server) -> None:
        self.address = server.address
        folder = server.folder
        config = load_config(flags={"data": str(folder / "data")}, environ={}, folder=folder)

        def key(role: Role, namespaces: frozenset[str] | None) -> str:
            made = create_key(config, role=role, namespaces=namespaces, description=role.value)
            return asyncio.run(made).text

        self.root = Wire(server.address, log=server.log, key=key(Role.ADMIN, None))
        self.root_key = key(Role.ADMIN, None)
        self.keys = {role: key(role, frozenset({HOME})) for role in ROLES}
        self.home = {role: Wire(server.address, key=text) for role, text in self.keys.items()}
        self.stranger = Wire(server.address)

    def close(self) -> None:
        for wire in (self.root, self.stranger, *self.home.values()):
            wire.close()


@pytest.fixture(scope="module")
def doors() -> Iterator[Doors]:
    with (
        Server(arguments=["--set", "security.keys=on"]) as server,
        closing(Doors(server)) as doors,
    ):
        until_known(doors.root)
        for name in (HOME, "elsewhere"):
            doors.root.call("CreateNamespace", namespace={"namespace": name})
        # A task that is there, so that the namespace cannot be removed by the table.
        doors.root.call("SubmitTask", namespace=HOME, spec={"task_type": "never", "queue": "kept"})
        for wire in doors.home.values():
            until_known(wire)
        yield doors


def until_known(wire: Wire) -> None:
    """Waits until the server has read a key that was made a moment ago."""
    refused = grpc.StatusCode.UNAUTHENTICATED
    while code_of(wire.outcome("ListNamespaces", request_in("ListNamespaces", ""))) is refused:
        time.sleep(0.1)


def request_in(method: str, namespace: str) -> Any:
    """A request that would be taken, in a namespace."""
    request = valid_request(method)
    if fields_with(method, "namespace"):
        request.namespace = namespace
    elif "namespace" in request.DESCRIPTOR.fields_by_name:
        request.namespace.namespace = namespace
    if "wait" in request.DESCRIPTOR.fields_by_name:
        request.wait.FromMilliseconds(1)
    return request


def code_of(outcome: Any) -> grpc.StatusCode:
    return outcome.code if isinstance(outcome, Refusal) else grpc.StatusCode.OK


def may(method: str, role: Role) -> bool:
    return TABLE[method].split()[ROLES.index(role)] != "."


def test_every_method_has_a_row() -> None:
    assert TABLE.keys() == METHODS.keys()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("method", TABLE)
def test_role_may_call_what_its_cell_says(doors: Doors, method: str, role: Role) -> None:
    outcome = doors.home[role].outcome(method, request_in(method, HOME))

    if may(method, role):
        assert code_of(outcome) not in (
            grpc.StatusCode.PERMISSION_DENIED,
            grpc.StatusCode.UNAUTHENTICATED,
        )
    else:
        assert isinstance(outcome, Refusal)
        assert (outcome.code, outcome.reason) == (
            grpc.StatusCode.PERMISSION_DENIED,
            "PERMISSION_DENIED",
        )
        assert outcome.facts["role"] == role.value


@pytest.mark.parametrize("method", TABLE)
def test_without_a_key_nothing_of_the_contract_is_answered(doors: Doors, method: str) -> None:
    refusal = doors.stranger.refusal(method, request_in(method, HOME))

    assert refusal.code is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("method", IN_A_NAMESPACE)
def test_nobody_learns_whether_a_namespace_is_there_that_is_not_theirs(
    doors: Doors, method: str, role: Role
) -> None:
    there = doors.home[role].refusal(method, request_in(method, "elsewhere"))
    nowhere = doors.home[role].refusal(method, request_in(method, "nowhere"))

    assert there.code is nowhere.code is grpc.StatusCode.PERMISSION_DENIED
    assert there.text.replace("elsewhere", "nowhere") == nowhere.text
    assert there.facts | {"namespace": "nowhere"} == nowhere.facts


@pytest.mark.parametrize("role", ROLES)
def test_only_own_namespaces_are_listed(doors: Doors, role: Role) -> None:
    answer = doors.home[role].call("ListNamespaces")

    assert [each.namespace for each in answer.namespaces] == [HOME]
    assert answer.next_page_token == ""


# ---- companions --------------------------------------------------------------------------------


def companion(doors: Doors, path: str, request: Any, key: str = "") -> grpc.StatusCode:
    """Code that a companion's method is answered with; of a stream that of its first answer."""
    metadata = (("authorization", f"Bearer {key}"),) if key else ()
    data = request.SerializeToString()
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(doors.address, options=options) as opened:
        channel: Any = opened
        try:
            if path == REFLECTION:
                next(channel.stream_stream(path)(iter([data]), timeout=10, metadata=metadata))
            elif path.endswith("/Watch"):
                next(channel.unary_stream(path)(data, timeout=10, metadata=metadata))
            else:
                channel.unary_unary(path)(data, timeout=10, metadata=metadata)
        except grpc.RpcError as error:
            return refusal_in(error).code
    return grpc.StatusCode.OK


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("method", OF_THE_SERVER)
def test_sockets_and_peers_are_no_matter_of_a_namespace(
    doors: Doors, method: str, role: Role
) -> None:
    code = companion(doors, CHANNELZ + method, OF_THE_SERVER[method], doors.keys[role])

    assert code is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("method", OF_THE_SERVER)
def test_administrators_of_the_whole_server_see_sockets_and_peers(
    doors: Doors, method: str
) -> None:
    code = companion(doors, CHANNELZ + method, OF_THE_SERVER[method], doors.root_key)
    stranger = companion(doors, CHANNELZ + method, OF_THE_SERVER[method])

    assert code in (grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND)
    assert stranger is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("role", [None, *ROLES])
def test_everybody_may_ask_for_health_and_for_the_contract(doors: Doors, role: Role | None) -> None:
    key = doors.keys[role] if role else ""
    check = health_pb2.HealthCheckRequest()
    listing = reflection_pb2.ServerReflectionRequest(list_services="")

    codes = {
        companion(doors, HEALTH + "Check", check, key),
        companion(doors, HEALTH + "Watch", check, key),
        companion(doors, REFLECTION, listing, key),
    }

    refused = {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED}
    assert codes == {grpc.StatusCode.OK}
    assert companion(doors, HEALTH + "List", health_pb2.HealthListRequest(), key) not in refused
