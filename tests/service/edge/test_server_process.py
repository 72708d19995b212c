"""A server as it is run: a process with flags, signals, keys and certificates."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from penstock.v1 import worker_service_pb2, worker_service_pb2_grpc
from penstock.v1.worker_pb2 import WorkerSession
from penstock_server.access_admin import create_key, list_keys, revoke_key
from penstock_server.config import Config, load_config
from penstock_server.model.access import Role
from support.server_process import ServerEnded, ServerProcess, server_process

WITHIN = 20
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
NO_PROXY = (("grpc.enable_http_proxy", 0),)


def channel_to(address: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(address, options=NO_PROXY)


def health_of(channel: grpc.aio.Channel) -> Any:
    return health_pb2_grpc.HealthStub(channel)


def admin_config(folder: Path) -> Config:
    return load_config(flags={"data": str(folder / "data")}, environ={}, folder=folder)


async def test_it_serves_health_reflection_channelz_and_a_metrics_page(tmp_path: Path) -> None:
    async with server_process(tmp_path) as server, channel_to(server.address) as channel:
        health = await health_of(channel).Check(health_pb2.HealthCheckRequest())
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        listed = reflection.ServerReflectionInfo(
            iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        )
        services = [s.name for s in (await listed.read()).list_services_response.service]
        channelz: Any = channelz_pb2_grpc.ChannelzStub(channel)
        servers = await channelz.GetServers(channelz_pb2.GetServersRequest())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with await asyncio.to_thread(opener.open, f"http://{server.metrics}/metrics") as page:
            text = page.read().decode()
        listed.cancel()

    assert health.status == SERVING
    assert "grpc.health.v1.Health" in services
    assert len(servers.server) == 1
    assert "penstock_store_up 1.0" in text
    assert "process_resident_memory_bytes" in text


async def test_a_signal_drains_it_and_takes_the_store_along(tmp_path: Path) -> None:
    async with server_process(tmp_path) as server, channel_to(server.address) as channel:
        watch = health_of(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == SERVING
        children = psutil.Process(server.pid).children(recursive=True)

        server.process.send_signal(signal.SIGTERM)
        told = await asyncio.wait_for(watch.read(), WITHIN)
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await asyncio.wait_for(watch.read(), WITHIN)
        status = await asyncio.wait_for(server.process.wait(), WITHIN)

        assert told.status == NOT_SERVING
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
        assert status == 0
        assert len(children) == 1
        assert not any(child.is_running() for child in children)
        assert "server.stopped" in server.log.read_text()


async def test_a_poll_that_is_open_at_a_drain_is_told_to_reconnect(tmp_path: Path) -> None:
    async with server_process(tmp_path) as server, channel_to(server.address) as channel:
        stub: Any = worker_service_pb2_grpc.WorkerServiceStub(channel)
        watch = health_of(channel).Watch(health_pb2.HealthCheckRequest())
        await watch.read()
        request = worker_service_pb2.LeaseTasksRequest(
            session=WorkerSession(session_id="w1", slots=1),
            poll_seq=1,
            queues=["default"],
            task_types=["t"],
            max_tasks=1,
        )
        request.wait.FromSeconds(60)
        poll = asyncio.ensure_future(stub.LeaseTasks(request))
        await until_polls(server, 1)

        server.process.send_signal(signal.SIGTERM)
        told = (await asyncio.wait_for(watch.read(), WITHIN)).status
        answer = await asyncio.wait_for(poll, WITHIN)

        assert told == NOT_SERVING
        assert answer.directives[0].HasField("reconnect")
        assert await asyncio.wait_for(server.process.wait(), WITHIN) == 0


async def until_polls(server: ServerProcess, number: int) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    wanted = f'penstock_calls_under_way{{lane="polls"}} {number}.0'
    async with asyncio.timeout(WITHIN):
        while True:
            with await asyncio.to_thread(opener.open, f"http://{server.metrics}/metrics") as page:
                if wanted in page.read().decode():
                    return
            await asyncio.sleep(0.02)


async def refused(folder: Path, *flags: str, **environ: str) -> ServerEnded:
    with pytest.raises(ServerEnded) as caught:
        async with server_process(folder, *flags, environ=environ):
            pass
    return caught.value


async def test_a_taken_port_is_said_in_one_line_with_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        ended = await refused(tmp_path, "--listen", address)

    assert ended.status == 1
    last = ended.said.strip().splitlines()[-1]
    assert last.startswith(f"penstock: address {address} cannot be used")
    assert "--listen" in last


async def test_a_second_server_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    async with server_process(tmp_path) as first:
        other = tmp_path / "other"
        other.mkdir()

        ended = await refused(other, "--data", str(tmp_path / "data"))

        assert f"in use by process {first.pid}" in ended.said
        assert ended.status == 1


async def test_a_taken_metrics_port_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = await refused(tmp_path, "--metrics", f"127.0.0.1:{taken.getsockname()[1]}")

    assert "--metrics off" in ended.said
    assert "Traceback" not in ended.said


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--listen", "0.0.0.0:0"), "--insecure"),
        (("--set", "lease.tern=3s"), "`lease.term`"),
        (("--set", "lease.term"), "--set KEY=VALUE"),
        (("--config", "none.yaml"), "there is no such file"),
        (("--store", "embeded"), "`embedded`"),
    ],
)
async def test_wrong_settings_end_it_before_it_starts(
    tmp_path: Path, flags: tuple[str, ...], said: str
) -> None:
    ended = await refused(tmp_path, *flags)

    assert ended.status == 2
    assert said in ended.said
    assert "Traceback" not in ended.said
    assert not (tmp_path / "data").exists(), "nothing was touched"


@pytest.mark.slow
async def test_keys_made_on_the_store_open_and_close_a_running_server(tmp_path: Path) -> None:
    config = admin_config(tmp_path)
    async with server_process(tmp_path, "--set", "security.keys=on") as server:
        async with channel_to(server.address) as channel:
            stub: Any = channelz_pb2_grpc.ChannelzStub(channel)
            request = channelz_pb2.GetServersRequest()
            with pytest.raises(grpc.aio.AioRpcError) as without:
                await stub.GetServers(request)

            admin = await create_key(config, role=Role.ADMIN, description="root")
            viewer = await create_key(config, role=Role.VIEWER)
            answer = await until_known(stub, request, admin.text)
            with pytest.raises(grpc.aio.AioRpcError) as forbidden:
                await stub.GetServers(request, metadata=bearer(viewer.text))
            await revoke_key(config, admin.key.key_id)
            closed = await until_refused(stub, request, admin.text)
            health = await health_of(channel).Check(health_pb2.HealthCheckRequest())

        assert without.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert len(answer.server) == 1
        assert forbidden.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert closed is grpc.StatusCode.UNAUTHENTICATED
        assert health.status == SERVING, "balancers ask without a key"
        secrets = [key.text.rpartition("_")[2] for key in (admin, viewer)]
        log = server.log.read_text()
        assert not any(secret in log for secret in secrets)


def bearer(text: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {text}"),)


async def until_known(stub: Any, request: Any, text: str) -> Any:
    async with asyncio.timeout(WITHIN):
        while True:
            try:
                return await stub.GetServers(request, metadata=bearer(text))
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                    raise
            await asyncio.sleep(0.05)


async def until_refused(stub: Any, request: Any, text: str) -> grpc.StatusCode:
    async with asyncio.timeout(WITHIN):
        while True:
            try:
                await stub.GetServers(request, metadata=bearer(text))
            except grpc.aio.AioRpcError as error:
                return error.code()
            await asyncio.sleep(0.05)


async def test_the_first_key_can_be_made_before_any_server_runs(tmp_path: Path) -> None:
    config = admin_config(tmp_path)

    new = await create_key(config, role=Role.ADMIN, namespaces=frozenset({"dev"}))

    assert [key.key_id for key in await list_keys(config)] == [new.key.key_id]
    async with server_process(tmp_path) as server, channel_to(server.address) as channel:
        stub: Any = channelz_pb2_grpc.ChannelzStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetServers(channelz_pb2.GetServersRequest())
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.slow
async def test_several_processes_share_a_port_and_a_killed_one_comes_back(tmp_path: Path) -> None:
    async with server_process(tmp_path, "--processes", "2") as server:
        before = servers_of(server.pid)
        assert len(before) == 2

        os.kill(before[0], signal.SIGKILL)
        after = await until_replaced(server.pid, before[0])
        async with channel_to(server.address) as channel:
            health = await health_of(channel).Check(health_pb2.HealthCheckRequest())

        assert health.status == SERVING
        assert before[1] in after
        assert "process.died" in server.log.read_text()
        assert await server.end() == 0
        assert not any(psutil.pid_exists(pid) for pid in after)


@pytest.mark.slow
async def test_processes_do_not_outlive_a_parent_that_is_killed(tmp_path: Path) -> None:
    async with server_process(tmp_path, "--processes", "2") as server:
        children = [psutil.Process(pid) for pid in servers_of(server.pid)]
        assert len(children) == 2

        server.process.kill()
        _, alive = await asyncio.to_thread(psutil.wait_procs, children, WITHIN)

        assert alive == []


async def until_replaced(parent: int, dead: int) -> list[int]:
    async with asyncio.timeout(WITHIN):
        while True:
            after = servers_of(parent)
            if len(after) == 2 and dead not in after:
                return after
            await asyncio.sleep(0.05)


def servers_of(parent: int) -> list[int]:
    return [
        child.pid
        for child in psutil.Process(parent).children()
        if child.status() != psutil.STATUS_ZOMBIE and "penstock_server" in child.cmdline()
    ]
