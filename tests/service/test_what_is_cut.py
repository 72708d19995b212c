"""What may be long is cut and taken; what may be deep is readable wherever it is answered."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.struct_pb2 import Value

from support.scene import SESSION, TASK_TYPE, Scene
from support.wire import Wire


@pytest.fixture
def scene(wire: Wire) -> Scene:
    return Scene(wire)


def test_texts_of_a_failure_are_cut(scene: Scene):
    failure = {"kind": "k" * 200, "message": "é" * 9_000, "stack_trace": "s" * 99_000 + "end"}
    scene.report("running", fail={"failure": {**failure, "retryable": False}})

    task = scene.wire.call("GetTask", scene.about("GetTask", "running")).task

    assert task.failure.kind == "k" * 128
    assert len(task.failure.message.encode()) in range(4_093, 4_097)
    assert task.failure.message.endswith("é…")
    assert len(task.failure.stack_trace.encode()) == 16 << 10
    assert task.failure.stack_trace.endswith("send")


def test_causes_of_a_failure_are_cut_below_the_eighth(scene: Scene):
    failure: dict[str, Any] = {"kind": "innermost"}
    for depth in range(20, 0, -1):
        failure = {"kind": f"cause-{depth}", "cause": failure}
    scene.wire.call("EndTask", scene.about("EndTask", "running", failure=failure))

    failed = scene.wire.call("GetTask", scene.about("GetTask", "running")).task.failure

    kinds = []
    while failed.kind:
        kinds.append(failed.kind)
        failed = failed.cause
    assert kinds == [f"cause-{depth}" for depth in range(1, 10)]


def test_message_of_progress_is_cut(scene: Scene):
    scene.report("running", heartbeat={"progress": {"fraction": 0.5, "message": "m" * 9_000}})

    progress = scene.wire.call("GetTask", scene.about("GetTask", "running")).task.progress

    assert progress.message == "m" * 253 + "…"
    assert progress.fraction == 0.5


def test_text_of_a_log_line_is_cut(scene: Scene):
    scene.report("running", log_lines=[{"number": 2, "text": "t" * 20_000}])

    answers: Any = scene.wire.stream("TailLogs", scene.about("TailLogs", "running"))
    lines = [line for answer in answers for line in answer.lines]

    assert [line.number for line in lines] == [1, 2]
    assert lines[1].text == "t" * ((16 << 10) - 3) + "…"


def nested(levels: int) -> Value:
    value = inner = Value()
    for _ in range(levels):
        inner = inner.struct_value.fields["key"]
    inner.string_value = "x" * 200
    return value


def test_the_deepest_payload_that_is_taken_reaches_a_worker(scene: Scene):
    payload = {"json": nested(24)}
    spec = {"task_type": TASK_TYPE, "queue": "deep", "payload": payload}
    scene.wire.call("SubmitTasks", namespace=scene.namespace, items=[{"spec": spec}])

    (lease,) = scene.wire.call(
        "LeaseTasks",
        namespace=scene.namespace,
        session={"session_id": SESSION, "slots": 1},
        poll_seq=1_000,
        queues=["deep"],
        task_types=[TASK_TYPE],
        max_tasks=1,
    ).leases

    assert lease.spec.payload.json == nested(24)


@pytest.mark.parametrize("levels", [25, 28, 31])
def test_a_deeper_payload_is_refused(scene: Scene, levels: int):
    spec = {"task_type": TASK_TYPE, "payload": {"json": nested(levels)}}

    refusal = scene.wire.refusal("SubmitTask", namespace=scene.namespace, spec=spec)

    assert (refusal.reason, refusal.fields) == ("FIELD_INVALID", ["spec.payload.json"])


def test_a_request_deeper_than_any_parser_reads_is_refused(scene: Scene):
    data = b""
    for _ in range(200):
        data = b"\x32" + _varint(len(data)) + data  # Failure.cause

    refusal = scene.wire.raw("EndTask", b"\x22" + _varint(len(data)) + data)

    assert refusal is not None
    assert (refusal.reason, refusal.fields) == ("FIELD_INVALID", ["request"])


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
