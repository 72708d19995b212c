"""Drafts of items that one look is enough for are those that a closer look would make."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.v1.task_pb2 import Payload, TaskSpec
from penstock.v1.task_service_pb2 import SubmitTasksItem, SubmitTasksRequest
from penstock_server.model.records import DEFAULT_POLICY
from penstock_server.service import validate
from penstock_server.service.convert.draft import draft, plain_draft
from penstock_server.service.drafts import Drafts
from support.messages import messages

LIMITS = validate.Limits(payload_bytes=1_000)
NAMES = {"task_type": ["a", "b" * 128, "c" * 129, "ä"], "queue": ["", "q", "q" * 128, "ä"]}
CONTENT_TYPES = {"content_type": ["", "text/plain", "ä" * 64, "ä" * 65, "t" * 129]}


@given(
    messages(SubmitTasksItem, NAMES | CONTENT_TYPES, most=3),
    st.sampled_from(["anonymous", "key:somebody"]),
)
def test_one_look_makes_the_draft_that_a_closer_look_makes(item: SubmitTasksItem, creator: str):
    request = SubmitTasksRequest(items=[item])

    plain = plain_draft(item, creator, LIMITS.payload_bytes)

    if plain is not None:
        assert validate.submit_tasks(request, LIMITS) == [None]
        assert plain == draft(request.items[0].spec, creator=creator, now_ms=0)


@pytest.mark.parametrize("queue", ["", "mail"])
@pytest.mark.parametrize("content_type", ["", "application/json"])
def test_one_look_is_enough_for_names_and_bytes(queue: str, content_type: str):
    payload = Payload(content_type=content_type, data=b"x" * 1_000)
    spec = TaskSpec(task_type="work", queue=queue, payload=payload)

    plain = plain_draft(SubmitTasksItem(spec=spec), "anonymous", LIMITS.payload_bytes)

    assert plain is not None
    assert (plain.queue, plain.task_type) == (queue or "default", "work")
    assert TaskSpec.FromString(plain.spec).payload == payload
    assert plain.policy is DEFAULT_POLICY


@pytest.mark.parametrize(
    "spec",
    [
        TaskSpec(),
        TaskSpec(queue="mail"),
        TaskSpec(task_type="work", priority=9),
        TaskSpec(task_type="work", payload=Payload(data=b"x" * 1_001)),
        TaskSpec(task_type="work", payload=Payload(metadata={"a": "b"})),
        TaskSpec(task_type="work", labels={"a": "b"}),
    ],
)
def test_anything_else_takes_a_closer_look(spec: TaskSpec):
    assert plain_draft(SubmitTasksItem(spec=spec), "anonymous", LIMITS.payload_bytes) is None


def test_an_item_without_a_queue_stays_as_it_came() -> None:
    item = SubmitTasksItem(spec=TaskSpec(task_type="t", payload=Payload(data=b"x")))
    before = item.SerializeToString()

    plain = plain_draft(item, "anonymous", LIMITS.payload_bytes)

    assert plain is not None
    assert plain.queue == "default"
    assert item.SerializeToString() == before


def test_every_item_of_an_all_or_none_batch_is_looked_at_also_where_other_batches_are_smaller() -> (
    None
):
    limits = validate.Limits(batch_items=1, atomic_items=3)
    item = SubmitTasksItem(spec=TaskSpec(task_type="t"))
    drafts = Drafts(None, None, limits)  # type: ignore[arg-type]  # neither is asked

    plain = drafts.plain(SubmitTasksRequest(items=[item] * 3, all_or_none=True))

    assert len(plain) == 3
