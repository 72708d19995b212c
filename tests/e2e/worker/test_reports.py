"""What travels with reports: accepts, progress, log lines; and what happens when a call fails."""

from __future__ import annotations

import itertools

import pytest

from penstock.options import ClientOptions
from penstock.v1 import error_pb2, execution_pb2
from penstock_worker.errors import WorkerStartError
from penstock_worker.options import WorkerOptions
from penstock_worker.run import WorkerProcess
from support.fake_worker_service import FakeWorkerService
from support.running_worker import HANDLERS, eventually, running_worker

Stream = execution_pb2.LogStream


async def test_quick_execution_needs_no_accept_of_its_own(service: FakeWorkerService) -> None:
    async with running_worker(service.address):
        task = await service.submit("echo", 1)
        await task.ended.wait()

    assert task.kinds() == ["complete"]


async def test_slow_execution_is_accepted_and_renewed_at_a_third_of_its_term(
    service: FakeWorkerService,
) -> None:
    service.term = 0.6
    async with running_worker(service.address):
        task = await service.submit("sleep", 1.0)
        await task.ended.wait()

    kinds = task.kinds()
    assert kinds[0] == "accept"
    assert kinds[-1] == "complete"
    assert kinds.count("heartbeat") >= 2


async def test_lease_is_accepted_and_renewed_while_handlers_block_their_runner(
    service: FakeWorkerService,
) -> None:
    service.term = 0.6
    async with running_worker(service.address):
        task = await service.submit("block.loop", 1.0)
        await task.ended.wait()

    assert task.kinds()[0] == "accept"
    assert "heartbeat" in task.kinds()
    assert task.outcome == "SUCCEEDED"


async def test_progress_is_gathered_and_the_last_one_always_sent(
    service: FakeWorkerService,
) -> None:
    async with running_worker(service.address):
        task = await service.submit("progress", 1000)
        await task.ended.wait()

    beats = [item.heartbeat for item in task.items if item.HasField("heartbeat")]
    assert 1 <= len(beats) <= 3
    assert beats[-1].progress.fraction == 1.0
    assert beats[-1].progress.message == "step 1000"
    assert beats[-1].progress.details["step"] == 1000
    assert task.kinds()[-1] == "complete"


async def test_everything_that_a_handler_writes_is_a_numbered_line(
    service: FakeWorkerService,
) -> None:
    async with running_worker(service.address):
        task = await service.submit("talk")
        await task.ended.wait()

    assert [line.number for line in task.lines] == [1, 2, 3, 4, 5]
    assert [(line.stream, line.level, line.logger, line.text) for line in task.lines] == [
        (Stream.LOG_STREAM_STDOUT, "", "", "to stdout"),
        (Stream.LOG_STREAM_STDERR, "", "", "to stderr"),
        (Stream.LOG_STREAM_LOGGER, "WARNING", "handlers", "to the logger"),
        (Stream.LOG_STREAM_LOGGER, "INFO", "penstock.task", "to the context"),
        (Stream.LOG_STREAM_STDOUT, "", "", "no line end"),
    ]


async def test_lines_of_threads_go_to_their_own_executions(service: FakeWorkerService) -> None:
    async with running_worker(service.address):
        tasks = [await service.submit("talk.thread", name) for name in "abcdef"]
        for task in tasks:
            await task.ended.wait()

    for name, task in zip("abcdef", tasks, strict=True):
        assert task.texts == [f"{name} {number}" for number in range(5)]


async def test_isolated_execution_captures_its_child_processes(
    service: FakeWorkerService,
) -> None:
    async with running_worker(service.address):
        task = await service.submit("talk.isolated")
        await task.ended.wait()

    stdout = [line.text for line in task.lines if line.stream == Stream.LOG_STREAM_STDOUT]
    stderr = [line.text for line in task.lines if line.stream == Stream.LOG_STREAM_STDERR]
    assert stdout == ["from python", "from a child"]
    assert stderr == ["oops"]


async def test_last_words_of_a_dying_process_are_kept(service: FakeWorkerService) -> None:
    async with running_worker(service.address):
        task = await service.submit("die.isolated")
        await task.ended.wait()

    assert task.outcome == "CRASHED"
    assert task.texts == ["last words"]


async def test_too_much_output_is_cut_with_a_line_that_says_so(
    service: FakeWorkerService,
) -> None:
    async with running_worker(service.address, log_lines=2000):
        task = await service.submit("talk.much", 5000)
        await task.ended.wait()

    assert len(task.lines) == 2001
    assert task.texts[1999] == "line 1999"
    assert task.lines[-1].stream == Stream.LOG_STREAM_SYSTEM
    assert "2000 lines" in task.texts[-1]
    assert all(len(item.log_lines) <= 1000 for item in task.items)


async def test_reports_survive_an_outage(service: FakeWorkerService) -> None:
    async with running_worker(service.address):
        task = await service.submit("sleep", 0.2)
        await task.leased.wait()

        service.unavailable = True
        await eventually(lambda: len(service.reports) >= 3)
        service.unavailable = False
        await task.ended.wait()

    assert task.outcome == "SUCCEEDED"


async def test_worker_finds_a_server_that_was_restarted() -> None:
    service = FakeWorkerService()
    await service.listen("127.0.0.1:0")
    async with running_worker(service.address):
        first = await service.submit("echo", 1)
        await first.ended.wait()

        await service.close()
        await service.listen(service.address)
        second = await service.submit("echo", 2)
        await second.ended.wait()
    await service.close()

    assert second.result == 2


async def test_at_most_one_report_of_a_lease_is_under_way(service: FakeWorkerService) -> None:
    async with running_worker(service.address):
        task = await service.submit("sleep", 0.3)
        await task.leased.wait()
        service.hold_reports.clear()
        await eventually(lambda: len(service.reports) == 1)

        other = await service.submit("echo", 1)
        await eventually(lambda: len(service.reports) == 2)
        service.hold_reports.set()
        await task.ended.wait()
        await other.ended.wait()

    tokens = [[item.lease_token for item in report.items] for report in service.reports]
    assert tokens[:2] == [[task.token], [other.token]]
    assert task.kinds() == ["accept", "complete"]


async def test_result_that_the_server_refuses_becomes_a_final_failure(
    service: FakeWorkerService,
) -> None:
    service.refuse_items["complete"] = error_pb2.ERROR_REASON_TOO_LARGE
    async with running_worker(service.address):
        task = await service.submit("echo", "x" * 100)
        await task.ended.wait()

    assert task.outcome == "FAILED"
    assert task.failure.kind == "penstock_worker.ReportRefused.TOO_LARGE"
    assert task.failure.retryable is False


async def test_result_too_large_for_any_call_is_a_final_failure(
    service: FakeWorkerService,
) -> None:
    async with running_worker(service.address):
        task = await service.submit("echo", "x" * 3_600_000)
        await task.ended.wait()

    assert task.failure.kind == "penstock_worker.errors.ResultError"
    assert task.failure.retryable is False


async def test_busy_worker_asks_for_leases_in_its_reports(service: FakeWorkerService) -> None:
    tasks = [await service.submit("echo", n) for n in range(200)]
    async with running_worker(service.address, slots=10):
        for task in tasks:
            await task.ended.wait()

    assert any(report.max_tasks > 0 for report in service.reports)


async def test_worker_polls_for_tasks_again_once_a_report_has_brought_none(
    service: FakeWorkerService,
) -> None:
    async with running_worker(service.address, slots=1):
        first = await service.submit("sleep", 0.2)
        await first.leased.wait()
        await service.until(lambda: service.polls[-1].max_tasks == 0)
        await first.ended.wait()

        await service.until(lambda: service.polls[-1].max_tasks == 1)
        second = await service.submit("echo", 1)
        await second.ended.wait()

    assert second.outcome == "SUCCEEDED"


async def test_quiet_worker_does_not_ask_twice(service: FakeWorkerService) -> None:
    async with running_worker(service.address):
        for number in range(5):
            task = await service.submit("echo", number)
            await task.ended.wait()

    assert [report.max_tasks for report in service.reports] == [0] * 5


async def test_polls_name_who_asks_and_number_themselves(service: FakeWorkerService) -> None:
    async with running_worker(service.address, queues=("a", "b"), labels={"gpu": "yes"}, slots=7):
        await service.until(lambda: service.polls)
        task = await service.submit("echo", 1)
        await task.ended.wait()

    poll = service.polls[0]
    assert list(poll.queues) == ["a", "b"]
    assert "echo" in poll.task_types
    assert poll.session.display_name == "test-worker"
    assert poll.session.slots == 7
    assert poll.session.labels == {"gpu": "yes"}
    assert poll.session.runtime.startswith("penstock-python/")
    numbers = [poll.poll_seq for poll in service.polls]
    assert all(earlier < later for earlier, later in itertools.pairwise(numbers))


async def test_worker_that_is_not_let_in_ends_with_the_reason(
    service: FakeWorkerService,
) -> None:
    service.refuse_reason = error_pb2.ERROR_REASON_UNAUTHENTICATED
    options = WorkerOptions(client=ClientOptions(address=service.address))

    with pytest.raises(WorkerStartError, match="UNAUTHENTICATED"):
        await WorkerProcess(HANDLERS, options).run()
