"""Drafts of specs: most are told by the size of the spec, and come out like all others."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from penstock.v1.task_pb2 import Payload, TaskSpec
from penstock_server.model.records import DEFAULT_POLICY
from penstock_server.service.convert.draft import draft
from penstock_server.service.validate import Limits
from penstock_server.service.validate.found import Found
from penstock_server.service.validate.spec import task_spec
from support.messages import messages

SPECS = messages(TaskSpec, {"task_type": ["a", "b" * 128], "queue": ["", "q", "q" * 128]}, most=2)
CREATORS = st.sampled_from(["anonymous", "key:somebody"])


@given(SPECS, CREATORS)
def test_a_draft_is_the_same_whether_or_not_it_is_told_by_its_size(spec: TaskSpec, creator: str):
    spec.task_type = spec.task_type or "a"
    found = Found(Limits())
    task_spec(spec, "spec", found)
    assume(not found.wrong)
    looked_at = TaskSpec.FromString(spec.SerializeToString())
    looked_at.description = "in no draft but as a part of the spec, and never told by its size"

    quick = draft(spec, creator=creator, now_ms=0)
    thorough = draft(looked_at, creator=creator, now_ms=0)

    assert TaskSpec.FromString(quick.spec) == spec
    quick.spec = thorough.spec
    assert quick == thorough


def test_a_task_of_nobody_in_particular_has_the_default_policy():
    made = draft(TaskSpec(task_type="a", payload=Payload(data=b"x")), creator="anonymous", now_ms=0)

    assert made.policy is DEFAULT_POLICY
    assert made.queue == "default"
