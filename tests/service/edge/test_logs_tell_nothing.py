"""Payloads, results, keys and lease tokens are in no log, whatever level it has."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from penstock import Client, ClientOptions, PenstockError, RetryPolicy, TaskFailed
from penstock.v1 import worker_service_pb2 as pb
from penstock.v1.worker_service_pb2_grpc import WorkerServiceStub
from penstock_server.access_admin import create_key
from penstock_server.config import load_config
from penstock_server.model.access import Role
from support.server_process import server_process

pytestmark = pytest.mark.slow

TESTS: Final = Path(__file__).parents[3]
ONCE: Final = RetryPolicy(max_attempts=1)
MARK: Final = "xyzzyplugh"
"""In every payload, result, header, label, log line, progress and failure; and in no log."""

# Runs a worker whose own log has every line that there is.
WORKER: Final = """
import logging, sys, structlog
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
from penstock_worker.run import run_worker
run_worker("support.worker_handlers:worker")
"""


@asynccontextmanager
async def worker(address: str, key: str, log: Path) -> AsyncIterator[None]:
    environ = {
        "PENSTOCK_ADDRESS": address,
        "PENSTOCK_API_KEY": key,
        "PYTHONPATH": str(TESTS / "tests"),
    }
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", WORKER),
            env={**os.environ, **environ},
            stdout=output,
            stderr=output,
        )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def traffic(client: Client) -> None:
    """Everything that carries user data, taken and refused."""
    headers, labels = {MARK: MARK}, {"label": MARK}
    await client.run("echo", {MARK: MARK}, headers=headers, labels=labels)
    await client.run("echo.isolated", f"{MARK} in a process")
    await client.run("talk.thread", MARK)
    for task_type in ("fail", "facts", "die.isolated", "unencodable"):
        with pytest.raises(TaskFailed):
            await client.run(task_type, MARK, retry=RetryPolicy(max_attempts=1, max_crashes=0))
    sleeping = await client.submit("sleep", 30, headers=headers, description=MARK)
    await client.cancel(sleeping.task_id)
    await client.await_task(sleeping.task_id)
    with pytest.raises(PenstockError):
        await client.submit("no such type!", MARK * 100_000)
    with pytest.raises(PenstockError):
        await client.submit("echo", MARK, labels={"": MARK}, queue=MARK + "!")


async def tokens_of(client: Client, address: str, key: str) -> Iterator[str]:
    """Leases by hand, reports rightly and wrongly; answers the tokens."""
    metadata = (("authorization", f"Bearer {key}"),)
    await client.submit("by.hand", MARK)
    request = pb.LeaseTasksRequest(poll_seq=1, queues=["default"], task_types=["by.hand"])
    request.session.session_id, request.session.slots, request.max_tasks = "by-hand", 1, 1
    request.wait.FromSeconds(10)
    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = WorkerServiceStub(channel)
        (lease,) = (await stub.LeaseTasks(request, metadata=metadata)).leases
        token = lease.lease_token
        report = pb.ReportExecutionsRequest(session_id="by-hand")
        report.items.add(lease_token=token).complete.result.data = MARK.encode()
        for wrong in (token, token[:-4] + "AAAA", token + "x", MARK):
            report.items.add(lease_token=wrong).heartbeat.progress.message = MARK
        await stub.ReportExecutions(report, metadata=metadata)
        for method in (stub.LeaseTasks, stub.ReportExecutions):
            with pytest.raises(grpc.aio.AioRpcError):
                await method(request, metadata=(("authorization", f"Bearer {key}x"),))
    return iter((token,))


async def test_no_log_has_user_data_keys_or_lease_tokens(tmp_path: Path) -> None:
    config = load_config(flags={"data": str(tmp_path / "data")}, environ={}, folder=tmp_path)
    key = (await create_key(config, role=Role.ADMIN, description="traffic")).text
    log = tmp_path / "worker.log"
    flags = ("--log-level", "debug", "--set", "security.keys=on")
    async with server_process(tmp_path, *flags) as server:
        options = ClientOptions(address=server.address, api_key=key)
        async with worker(server.address, key, log), Client(options) as client:
            await traffic(client)
            (token,) = await tokens_of(client, server.address, key)
    texts = {"server": server.log.read_text(), "worker": log.read_text()}

    like_a_token = re.compile(rf"(?<![\w-])[\w-]{{{len(token)}}}(?![\w-])")
    for name, text in texts.items():
        assert len(text.splitlines()) > 5, name
        assert MARK not in text, name
        assert key.rpartition("_")[2] not in text, name
        assert token not in text, name
        assert not like_a_token.findall(text), name
