"""The one table of states: complete, and with the numbers of the contract."""

from __future__ import annotations

from enum import IntEnum

import pytest

from penstock.v1 import error_pb2, event_pb2, execution_pb2, task_pb2
from penstock_server.model import errors
from penstock_server.model.lifecycle import (
    MOVES,
    CancelReason,
    EventKind,
    Move,
    Outcome,
    ReleaseReason,
    TaskState,
)

ENUMS = [
    (TaskState, task_pb2.TaskState, "TASK_STATE"),
    (CancelReason, task_pb2.CancelReason, "CANCEL_REASON"),
    (Outcome, execution_pb2.ExecutionOutcome, "EXECUTION_OUTCOME"),
    (ReleaseReason, execution_pb2.ReleaseReason, "RELEASE_REASON"),
    (EventKind, event_pb2.TaskEventKind, "TASK_EVENT_KIND"),
]


@pytest.mark.parametrize(("ours", "contract", "prefix"), ENUMS, ids=[e[2] for e in ENUMS])
def test_numbers_are_those_of_the_contract(ours: type[IntEnum], contract, prefix: str):
    told = {name.removeprefix(f"{prefix}_"): number for name, number in contract.items()}

    assert {member.name: member.value for member in ours} | {"UNSPECIFIED": 0} == told


def test_every_move_is_in_the_table_and_begins_somewhere():
    assert set(MOVES) == set(Move)
    assert all(MOVES.values())


def test_every_state_can_be_reached_and_left():
    reached = {after for leads in MOVES.values() for after in leads.values()}
    left = {before for leads in MOVES.values() for before in leads}

    # What makes a task wait for others comes with pipelines.
    assert reached - {None} == set(TaskState) - {TaskState.BLOCKED}
    assert left == set(TaskState)


def test_ended_states_are_left_only_by_an_operator():
    for state in TaskState:
        moves = {move for move, leads in MOVES.items() if state in leads}
        if state.ended:
            assert moves == {Move.RETRY, Move.RETRY_LATER, Move.DELETE}
        else:
            assert {Move.CANCEL, Move.SUCCEED, Move.BURY} <= moves


def test_only_a_lease_leads_to_running():
    leading = {m for m, leads in MOVES.items() if TaskState.RUNNING in leads.values()}

    assert leading == {Move.LEASE}


def test_every_error_of_the_model_has_a_reason_of_the_contract():
    reasons = {name.removeprefix("ERROR_REASON_") for name, _ in error_pb2.ErrorReason.items()}

    found = [kind.reason for kind in vars(errors).values() if hasattr(kind, "reason")]
    assert set(found) <= reasons
    assert len(found) == len(set(found)) > 20
