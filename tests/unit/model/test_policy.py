"""The head of a stored spec, which scripts read: it says what is special, and nothing else."""

from __future__ import annotations

from dataclasses import fields

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from penstock_server.model.records import DEFAULT_POLICY, Policy
from penstock_server.store import policy as head

POLICIES = st.builds(
    Policy,
    max_attempts=st.integers(1, 1_000),
    initial_backoff_ms=st.integers(0, 1 << 40),
    multiplier=st.floats(1, 100),
    jitter=st.floats(0, 1),
    non_retryable_kinds=st.lists(st.text(max_size=20), max_size=4).map(tuple),
    creator=st.text(min_size=1, max_size=40),
)


@given(POLICIES, st.binary(max_size=200))
def test_what_was_written_behind_the_head_is_found_again(policy: Policy, spec: bytes):
    stored = head.with_policy(policy, spec)

    assert head.spec_of(stored) == spec
    assert head.creator_of(stored) == policy.creator


@given(POLICIES)
def test_the_head_names_what_differs_from_the_default(policy: Policy):
    stored = head.with_policy(policy, b"")
    given = msgpack.unpackb(stored[2:]) if len(stored) > 2 else [None] * len(head.NAMES)

    for name, value in zip(head.NAMES, given, strict=True):
        known = getattr(policy, name)
        assert value == (None if known == getattr(DEFAULT_POLICY, name) else _listed(known))


def test_an_ordinary_task_has_an_empty_head():
    assert head.with_policy(DEFAULT_POLICY, b"spec") == b"\0\0spec"
    assert head.with_policy(Policy(), b"spec") == b"\0\0spec"


def test_every_field_of_a_policy_has_its_place():
    assert set(head.NAMES) == {field.name for field in fields(Policy)}
    for name in head.NAMES:
        assert name in head.lua_source()


def _listed(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
