"""One trace from the producer through the server to the worker: real processes, a real receiver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import TraceFlags, Tracer

from penstock import Client, RetryPolicy, TaskEventKind, TaskState, tracing
from penstock.testing import Server
from support.otlp_receiver import Link, OtlpReceiver, ReceivedSpan, Trace
from support.worker_process import worker_process

HANDLERS = "support.trace_handlers:worker"
SOON = {
    "OTEL_BSP_SCHEDULE_DELAY": "50",  # milliseconds between two batches of spans
    # Nothing listens there: spans for this machine must not look for a proxy.
    "http_proxy": "http://127.0.0.1:9",
    "no_proxy": "",
    "no_grpc_proxy": "",
}


@pytest.fixture(scope="module")
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def server(receiver: OtlpReceiver) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SOON.items():
            patch.setenv(name, value)
        server = Server(arguments=["--set", f"telemetry.otlp_endpoint={receiver.endpoint}"])
        with server:
            yield server


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    async with Client(server.options(namespace=server.new_namespace())) as client:
        yield client


class Producer:
    """The tracer of the program that submits."""

    def __init__(self, receiver: OtlpReceiver, patch: pytest.MonkeyPatch) -> None:
        self._endpoint = receiver.endpoint
        self._patch = patch
        self._provider: TracerProvider | None = None

    def tracer(self, sampler: Sampler) -> Tracer:
        resource = Resource.create({"service.name": "producer"})
        provider = self._provider = TracerProvider(sampler=sampler, resource=resource)
        direct: Any = (("grpc.enable_http_proxy", 0),)
        exporter = OTLPSpanExporter(self._endpoint, insecure=True, channel_options=direct)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        self._patch.setattr(tracing, "_tracer", provider.get_tracer("penstock"))
        self._patch.setattr(trace, "get_tracer_provider", lambda: provider)
        return provider.get_tracer("shop")

    def close(self) -> None:
        if self._provider is not None:
            self._provider.shutdown()


@pytest.fixture
def producer(receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Producer]:
    producer = Producer(receiver, monkeypatch)
    yield producer
    producer.close()


class Workers:
    """Starts traced workers in the namespace of the test."""

    def __init__(self, client: Client, receiver: OtlpReceiver, folder: Path) -> None:
        self._options = client.options
        self._folder = folder
        self._environ = {
            **SOON,
            "PENSTOCK_NAMESPACE": client.options.namespace,
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        }

    def start(self, *queues: str):
        flags = [flag for queue in queues for flag in ("--queue", queue)]
        return worker_process(
            self._options.address, HANDLERS, self._folder, *flags, environ=self._environ
        )


@pytest.fixture
def workers(client: Client, receiver: OtlpReceiver, tmp_path: Path) -> Workers:
    return Workers(client, receiver, tmp_path)


def trace_id_of(span: trace.Span) -> str:
    return f"{span.get_span_context().trace_id:032x}"


def link_to(span: ReceivedSpan) -> Link:
    return Link(span.trace_id, span.span_id)


def has(**counts: int):
    """Whether a trace holds so many spans of each name; `queue_wait` stands for `queue wait …`."""
    names = {name.replace("_", " "): count for name, count in counts.items()}

    def fits(trace: Trace) -> bool:
        return all(
            sum(span.name.startswith(f"{name} ") for span in trace.spans) >= count
            for name, count in names.items()
        )

    return fits


async def test_a_task_that_succeeds_is_one_trace_from_the_producer_to_the_worker(
    client, producer, receiver, workers
):
    tracer = producer.tracer(ALWAYS_ON)
    async with workers.start("orders"):
        with tracer.start_as_current_span("checkout") as checkout:
            assert await client.run("traced.double", 21, queue="orders") == 42
        whole = receiver.wait_for(
            lambda trace: has(send=1, queue_wait=1, process=1)(trace) and trace.named("checkout"),
            trace_id_of(checkout),
        )

    root, send = whole.one("checkout"), whole.one("send orders")
    waited, processed = whole.one("queue wait orders"), whole.one("process orders")
    assert len(whole.spans) == 4
    assert [span.kind for span in (send, waited, processed)] == ["PRODUCER", "INTERNAL", "CONSUMER"]
    assert [span.service for span in (root, send, waited, processed)] == [
        *("producer", "producer", "penstock-server", "penstock-worker"),
    ]
    assert send.parent_id == root.span_id
    assert waited.parent_id == processed.parent_id == send.span_id
    assert waited.attributes["messaging.message.id"] == processed.attributes["messaging.message.id"]
    assert processed.attributes["penstock.outcome"] == "SUCCEEDED"
    assert not any(span.failed for span in whole.spans)


async def test_the_process_span_links_to_the_call_that_received_the_task(
    client, producer, receiver, workers
):
    tracer = producer.tracer(ALWAYS_ON)
    async with workers.start():
        with tracer.start_as_current_span("checkout") as checkout:
            await client.run("traced.double", 1)
        whole = receiver.wait_for(has(send=1, process=1), trace_id_of(checkout))
        (link,) = whole.one("process default").links
        received = receiver.wait_for(has(receive=1), link.trace_id).one("receive default")

    assert received.kind == "CLIENT"
    assert received.span_id == link.span_id
    assert received.trace_id != whole.spans[0].trace_id
    assert link_to(whole.one("send default")) in received.links
    assert received.attributes["messaging.batch.message_count"] == 1


@pytest.mark.parametrize("kind", ["traced.where", "traced.where.thread", "traced.where.isolated"])
async def test_spans_of_a_handler_are_children_of_its_execution(
    client, producer, receiver, workers, kind
):
    tracer = producer.tracer(ALWAYS_ON)
    async with workers.start():
        with tracer.start_as_current_span("checkout") as checkout:
            parent_of_theirs = await client.run(kind)
        whole = receiver.wait_for(has(process=1), trace_id_of(checkout))

    assert whole.one("process default").span_id == parent_of_theirs


async def test_a_retry_shows_the_failed_lease_the_wait_and_the_second_execution(
    client, producer, receiver, workers
):
    tracer = producer.tracer(ALWAYS_ON)
    retry = RetryPolicy(initial_backoff=timedelta(milliseconds=200), jitter=0.0)
    async with workers.start():
        with tracer.start_as_current_span("checkout") as checkout:
            assert await client.run("traced.fail_once", retry=retry) == "there"
        whole = receiver.wait_for(
            has(lease=1, retry_wait=1, queue_wait=2, process=2, send=1), trace_id_of(checkout)
        )

    first, second = whole.named("process default")
    lease, waited = whole.one("lease default"), whole.one("retry wait default")
    assert first.failed
    assert first.attributes["error.type"] == "LookupError"
    assert not second.failed
    assert [span.attributes["penstock.execution"] for span in (first, second)] == [1, 2]
    assert lease.attributes["penstock.outcome"] == "failed"
    assert lease.failed
    assert waited.end_ns - waited.start_ns >= 200_000_000
    assert waited.start_ns == lease.end_ns
    assert {span.parent_id for span in (lease, waited, first, second)} == {
        whole.one("send default").span_id
    }


async def test_a_task_of_an_unsampled_trace_makes_no_spans_at_all(
    client, producer, receiver, workers
):
    async with workers.start():
        with producer.tracer(ALWAYS_OFF).start_as_current_span("quiet") as quiet:
            unsampled = await client.submit("traced.double", 1)
            await client.await_result(unsampled.task_id)
        # The spans of a task that came later are here: those of an earlier one would be, too.
        with producer.tracer(ALWAYS_ON).start_as_current_span("loud") as loud:
            await client.run("traced.double", 2)
        receiver.wait_for(has(send=1, queue_wait=1, process=1), trace_id_of(loud))

    ids = {span.attributes.get("messaging.message.id") for span in receiver.spans}
    assert unsampled.task_id not in ids
    assert trace_id_of(quiet) not in {span.trace_id for span in receiver.spans}
    task = await client.get(unsampled.task_id)
    carried = task.spec.trace_context.traceparent
    assert trace_id_of(quiet) in carried, "it travels on, so that nobody samples it anew"
    assert int(carried[-2:], 16) & TraceFlags.SAMPLED == 0


@pytest.mark.slow
async def test_a_trace_is_whole_although_the_worker_was_killed(
    client, producer, receiver, workers, tmp_path
):
    # given a task that runs on a worker
    tracer = producer.tracer(ALWAYS_ON)
    async with workers.start() as doomed:
        with tracer.start_as_current_span("checkout") as checkout:
            submitted = await client.submit("traced.hang_once", lease_duration=timedelta(seconds=5))
        await until(client, submitted.task_id, TaskEventKind.PROGRESSED)

        # when the worker is killed, and another one takes the task
        await doomed.kill()
    async with workers.start():
        assert await client.await_result(submitted.task_id) == "done"
        whole = receiver.wait_for(
            has(lease=1, queue_wait=2, process=1, send=1), trace_id_of(checkout)
        )

    # then the server itself tells of the execution that was lost
    lost = whole.one("lease default")
    assert lost.service == "penstock-server"
    assert lost.attributes["penstock.outcome"] == "lost"
    assert lost.failed
    second = whole.one("process default")
    assert second.attributes["penstock.execution"] == 2
    assert not second.failed
    assert second.start_ns > lost.end_ns


@pytest.mark.slow
async def test_a_trace_tells_of_the_loss_that_made_a_dead_letter(
    client, producer, receiver, workers
):
    # given a task that may not cost a worker, and runs on one
    tracer = producer.tracer(ALWAYS_ON)
    async with workers.start() as doomed:
        with tracer.start_as_current_span("checkout") as checkout:
            submitted = await client.submit(
                "traced.hang_once",
                lease_duration=timedelta(seconds=5),
                retry=RetryPolicy(max_crashes=0),
            )
        await until(client, submitted.task_id, TaskEventKind.PROGRESSED)

        # when it does
        await doomed.kill()
        dead = await client.await_task(submitted.task_id)

    # then the trace says so, although nothing was leased since
    assert dead.state is TaskState.FAILED
    whole = receiver.wait_for(has(lease=1, queue_wait=1, send=1), trace_id_of(checkout))
    lost = whole.one("lease default")
    assert lost.attributes["penstock.outcome"] == "lost"
    assert lost.attributes["penstock.execution"] == 1


async def until(client: Client, task_id: str, kind: TaskEventKind) -> None:
    """Waits for an event of a task; one that has come before counts."""
    async for update in client.watch(task_ids=[task_id]):
        if any(task.progress is not None for task in update.tasks):
            return
        if any(event.kind is kind for event in update.events):
            return
