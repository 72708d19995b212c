"""The Prometheus pages of a real server and a real worker, after some tasks."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from penstock import Client, RetryPolicy
from penstock.testing import Server
from support.tools import ROOT
from support.worker_process import WorkerProcess, worker_process

pytestmark = pytest.mark.slow  # the server looks at its queues every five seconds

HANDLERS = "support.worker_handlers:worker"


@dataclass(frozen=True)
class Page:
    """One look at a metrics page."""

    samples: dict[str, list[tuple[dict[str, str], float]]]
    kinds: dict[str, str]

    def value(self, name: str, **labels: str) -> float:
        """Sum of the samples whose labels fit; 0 if there is none."""
        return sum(
            value for found, value in self.samples.get(name, ()) if labels.items() <= found.items()
        )


def scrape(address: str) -> Page:
    # A proxy of the machine has no business between two of its own programs.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    samples: dict[str, list[tuple[dict[str, str], float]]] = {}
    kinds: dict[str, str] = {}
    for family in text_string_to_metric_families(text):
        kinds[family.name] = family.type
        for sample in family.samples:
            samples.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
    return Page(samples, kinds)


async def scrape_until(address: str, fits: Callable[[Page], bool]) -> Page:
    """Scrapes until the page fits; the timeout of the test bounds it."""
    while not fits(page := await asyncio.to_thread(scrape, address)):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    return page


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(arguments=["--metrics", "127.0.0.1:0"]) as server:
        yield server


@pytest.fixture(scope="module")
def server_page(server: Server) -> str:
    """Where the server serves its page."""
    return str(json.loads((server.folder / "ready.json").read_text())["metrics"])


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    async with Client(server.options(namespace=server.new_namespace())) as client:
        yield client


@pytest.fixture
async def worker(client: Client, tmp_path: Path) -> AsyncIterator[WorkerProcess]:
    namespace = {"PENSTOCK_NAMESPACE": client.options.namespace}
    flags = ("--metrics", "127.0.0.1:0", "--queue", "mail", "--slots", "7")
    address = client.options.address
    async with worker_process(address, HANDLERS, tmp_path, *flags, environ=namespace) as worker:
        yield worker


async def run_some(client: Client) -> None:
    """Four tasks that succeed and one that fails."""
    for number in range(4):
        assert await client.run("echo", number, queue="mail") == number
    once = RetryPolicy(max_attempts=1)
    failing = await client.submit("fail", "on purpose", queue="mail", retry=once)
    assert (await client.await_task(failing.task_id)).failure is not None


async def test_the_page_of_the_server_counts_what_happened(client, server_page, worker):
    here = {"namespace": client.options.namespace, "queue": "mail"}
    await run_some(client)

    page = await scrape_until(
        server_page, lambda page: page.value("penstock_queue_tasks", state="dead", **here) == 1
    )

    ended = {"namespace": client.options.namespace}
    assert page.value("penstock_tasks_submitted_total", **here) == 5
    assert page.value("penstock_leases_made_total", **here) == 5
    assert page.value("penstock_queue_wait_seconds_count", **here) == 5
    assert page.value("penstock_executions_ended_total", outcome="succeeded", **ended) == 4
    assert page.value("penstock_executions_ended_total", outcome="failed", **ended) == 1
    assert page.value("penstock_queue_tasks", state="ready", **here) == 0
    assert page.value("penstock_queue_unserved", **here) == 0
    assert page.value("penstock_store_up") == 1
    assert page.value("penstock_calls_under_way", lane="polls") >= 1, "the worker's own"
    assert page.value("penstock_store_call_duration_seconds_count", verb="complete") >= 1
    assert page.value("penstock_duty_duration_seconds_count", duty="reaper") >= 1
    assert page.value("rpc_server_call_duration_seconds_count", rpc_response_status_code="OK") >= 5


async def test_a_queue_that_no_worker_serves_shows_on_the_page(client, server_page):
    await client.submit("nobody.serves.this", queue="lonely")
    here = {"namespace": client.options.namespace, "queue": "lonely"}

    page = await scrape_until(
        server_page, lambda page: page.value("penstock_queue_unserved", **here) == 1
    )

    assert page.value("penstock_queue_tasks", state="ready", **here) == 1
    assert page.value("penstock_queue_oldest_ready_age_seconds", **here) > 0


async def test_the_page_of_the_worker_counts_what_it_ran(client, worker):
    await run_some(client)

    page = await scrape_until(
        worker.metrics, lambda page: page.value("penstock_worker_running") == 0
    )

    count = "penstock_worker_execution_duration_seconds_count"
    assert page.value(count, queue="mail", task_type="echo", outcome="succeeded") == 4
    assert page.value(count, queue="mail", task_type="fail", outcome="failed") == 1
    assert page.value("penstock_worker_execution_duration_seconds_sum", queue="mail") > 0
    assert page.value("penstock_worker_slots") == 7
    assert page.value("penstock_worker_leases_lost_total") == 0
    assert page.value("penstock_worker_runner_deaths_total") == 0


async def test_every_documented_metric_is_on_its_page(client, server_page, worker):
    await run_some(client)
    page = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
    _, server_part, worker_part = re.split(r"^## (?:Server|Worker)$", page, flags=re.M)

    await scrape_until(server_page, lambda page: page.value("penstock_store_up") == 1)

    for text, address in ((server_part, server_page), (worker_part, worker.metrics)):
        documented = set(re.findall(r"^\| `(\w+)` \| (?:counter|gauge|histogram)", text, re.M))
        shown = scrape(address).kinds
        assert documented
        assert {name.removesuffix("_total") for name in documented} <= set(shown)
        ours = {name for name in shown if name.startswith(("penstock_", "rpc_"))}
        # When each series began: the library shows it beside every counter.
        ours = {name for name in ours if not name.endswith("_created")}
        assert ours <= {name.removesuffix("_total") for name in documented}
