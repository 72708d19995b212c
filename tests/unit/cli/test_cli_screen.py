"""Nothing that a task carries is taken for markup, or reaches the terminal as a command."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from penstock.cli import show
from penstock.cli.exits import CommandFailed
from penstock.cli.log_view import log_line
from penstock.cli.queue_view import print_queue
from penstock.cli.screen import Screen
from penstock.cli.session import Session
from penstock.cli.task_view import print_executions, print_task
from penstock.cli.watch import event_line
from penstock.cli.workers import row as worker_row
from penstock.v1.event_pb2 import TaskEvent
from penstock.v1.execution_pb2 import Execution, LogLine
from penstock.v1.queue_pb2 import Queue
from penstock.v1.queue_service_pb2 import PeekQueueResponse
from penstock.v1.task_pb2 import Failure, Task, TaskSpec
from penstock.v1.worker_pb2 import Worker, WorkerSession

#: Markup, a colour, a window title, a cursor jump, a bell, text turned around, and a link.
EVIL = "[bold]x[/bold] \x1b[31m \x1b]0;title\x07 \x9b2J \r \u202e [link=https://a.example]y[/]"


class Paper(Screen):
    """A screen whose text can be read: a colour terminal, as far as Rich knows."""

    def __init__(self) -> None:
        super().__init__()
        self.file = io.StringIO()
        self.console = Console(
            file=self.file,
            force_terminal=True,
            color_system=None,
            markup=False,
            highlight=False,
            emoji=False,
            width=400,
        )
        self.errors = self.console

    @property
    def text(self) -> str:
        return self.file.getvalue()


@pytest.fixture
def paper():
    return Paper()


@pytest.fixture
def session(paper):
    return Session(screen=paper)


def evil_task() -> Task:
    failure = Failure(kind=EVIL, message=f"{EVIL}\n{EVIL}", stack_trace=EVIL)
    failure.cause.CopyFrom(Failure(kind=EVIL, message=EVIL))
    spec = TaskSpec(
        task_type=EVIL,
        queue=EVIL,
        display_name=EVIL,
        description=EVIL,
        labels={EVIL: EVIL},
        headers={EVIL: EVIL},
        owner=EVIL,
    )
    spec.payload.data, spec.payload.content_type = EVIL.encode(), "text/plain"
    task = Task(task_id=EVIL, spec=spec, creator=EVIL, failure=failure, worker_session_id=EVIL)
    task.result.data, task.result.content_type = EVIL.encode(), "application/json"
    task.progress.message = EVIL
    return task


def assert_harmless(written: str) -> None:
    assert "[bold]x[/bold]" in written, "markup is shown as it is"
    for control in ("\x1b[31m", "\x1b]", "\x07", "\x9b", "\r", "\u202e", "\x1b]8;"):
        assert control not in written


def test_a_task_cannot_write_on_the_terminal(session, paper):
    print_task(session, evil_task())

    assert_harmless(paper.text)


def test_an_execution_cannot_write_on_the_terminal(session, paper):
    execution = Execution(number=1, worker_name=EVIL, failure=Failure(kind=EVIL, message=EVIL))

    print_executions(session, [execution])

    assert_harmless(paper.text)


def test_a_queue_cannot_write_on_the_terminal(session, paper):
    queue = Queue(queue=EVIL, pause_reason=EVIL, paused=True, health_reason=EVIL)
    queue.stats.ready_by_type[EVIL] = 3
    queue.stats.ready_count = 1
    queue.config.description = EVIL
    tasks = [evil_task()]

    print_queue(
        session, queue, PeekQueueResponse(ready=tasks, running=tasks, dead=tasks, scheduled=tasks)
    )

    assert_harmless(paper.text)


def test_a_log_line_cannot_write_on_the_terminal(paper):
    paper.console.print(log_line(LogLine(text=EVIL, logger=EVIL, level=EVIL), times=True))

    assert_harmless(paper.text)


def test_an_event_cannot_write_on_the_terminal(paper):
    event = TaskEvent(task_id=EVIL, queue=EVIL, task_type=EVIL, failure_summary=EVIL)
    event.progress.message = EVIL

    paper.console.print(event_line(event))

    assert_harmless(paper.text)


def test_a_worker_cannot_write_on_the_terminal(session):
    worker = Worker(session=WorkerSession(session_id=EVIL, display_name=EVIL), queues=[EVIL])

    from penstock.cli.screen import table

    session.screen.print(table(["A"] * 10, [worker_row(session, worker)]))

    assert_harmless(session.screen.text)


def test_an_error_of_the_server_cannot_write_on_the_terminal(paper):
    paper.fail(CommandFailed(EVIL, remedy=EVIL, reason=EVIL))

    assert_harmless(paper.text)


def test_a_word_that_this_version_does_not_know_is_shown_as_its_number():
    from penstock.v1.task_pb2 import TaskState

    assert show.word(TaskState, 99) == "#99"
    assert show.word(TaskState, 3) == "READY"


def test_a_binary_payload_is_described_and_not_printed():
    task = Task()
    task.spec.payload.data, task.spec.payload.content_type = b"\xff\x00", "image/png"

    assert show.payload_text(task.spec.payload) == "2 bytes of image/png"


def test_a_moment_is_shown_with_its_age():
    moment = datetime(2027, 1, 31, 12, 0, tzinfo=UTC)

    assert show.when(moment, now=moment).endswith("(0 ms ago)")
