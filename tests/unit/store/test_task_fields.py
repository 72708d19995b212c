"""What scripts do with the fields of a task agrees with the lists that its record is packed by."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgpack
import pytest

from penstock_server.store import decode, keys, script_library

SCRIPTS: Final = sorted(Path(script_library.__file__).with_name("scripts").rglob("*.lua"))
OWN: Final = {
    "namespace",
    "id",
    "key",
    "rare",
    "shared",
    "changed",
    "cancelled",
    "told",
    "term",
    "expiry",
}
"""What scripts note in the table of a task for themselves."""

ASSIGNED: Final = re.compile(r"\b(task\.\w+(?:, task\.\w+)*) = (.+)")
SET: Final = r"\b(?:set|alter)\(task, '(\w+)'"


def names_in(text: str, pattern: str) -> set[str]:
    return set(re.findall(pattern, text))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_names_no_field_that_is_in_no_list(path: Path) -> None:
    named = names_in(path.read_text(), r"\btask\.(\w+)")

    assert named <= {*keys.TASK_FIELDS, *keys.RARE_TASK_FIELDS, *OWN}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_rare_field_is_changed_by_set_only_and_no_other_one_is(path: Path) -> None:
    text = path.read_text()
    assigned = {
        name for left, _ in ASSIGNED.findall(text) for name in names_in(left, r"task\.(\w+)")
    }

    assert not assigned & set(keys.RARE_TASK_FIELDS)
    assert names_in(text, SET) <= set(keys.RARE_TASK_FIELDS)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_field_is_never_made_nil(path: Path) -> None:
    values = [right for _, right in ASSIGNED.findall(path.read_text())]

    assert not [value for value in values if re.search(r"\bnil\b", value)]


def test_how_a_field_is_packed_is_said_of_fields_that_there_are() -> None:
    assert not keys.OWN_TASK_FIELDS.keys() & keys.SHARED_TASK_FIELDS.keys()
    assert keys.SHARED_TASK_FIELDS.keys() > keys.ALWAYS_THERE


def test_no_field_has_the_name_of_what_scripts_note_beside_it() -> None:
    fields = {*keys.TASK_FIELDS, *keys.RARE_TASK_FIELDS}

    assert not fields & OWN
    assert max(map(len, fields)) == 2


def test_the_checks_see_both_ways_to_change_a_field() -> None:
    texts = [path.read_text() for path in SCRIPTS]

    assert sum(len(ASSIGNED.findall(text)) for text in texts) > 10
    assert sum(len(names_in(text, SET)) for text in texts) > 10


def test_a_record_of_another_number_of_fields_is_refused() -> None:
    values = [None] * len(keys.TASK_FIELDS)

    assert decode.fields_of(b"".join(map(msgpack.packb, [*values, {b"tt": 7}]))) == {b"tt": 7}
    with pytest.raises(msgpack.ExtraData):
        decode.fields_of(b"".join(map(msgpack.packb, [*values, None, None])))
