"""The table of mutants fits the product and its tests as they are now."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from mutants.mutant import ROOT, Mutant
from mutants.table import MUTANTS, PROMISES
from mutants.trial import Verdict, copy_of_repository, failures_without_mutants, try_mutant

SPOILED = Mutant(
    name="spoiled",
    promise="P9",
    mechanism="a session is silent after 30 s",
    file="server/penstock_server/engine/workers.py",
    old="    return now_ms - session.seen_ms > SILENT_AFTER / timedelta(milliseconds=1)\n",
    new="    return False\n",
    tests=("tests/unit/server_edge/test_worker_health.py",),
)


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, functions))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_what_a_mutant_switches_off_is_there_once(mutant: Mutant):
    text = (ROOT / mutant.file).read_text(encoding="utf-8")

    assert mutant.applied_to(text) != text


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_tests_of_a_mutant_exist(mutant: Mutant):
    assert mutant.tests
    for test in mutant.tests:
        path, _, name = test.partition("::")

        assert (ROOT / path).is_file()
        assert not name or name in names_in(path)


def test_every_promise_that_is_held_has_a_mutant():
    assert {mutant.promise for mutant in MUTANTS} == set(PROMISES)
    text = (ROOT / "docs/concepts/guarantees.md").read_text(encoding="utf-8")
    unheld = re.findall(r"^## (P\d+)[^#]*?Not held by a test", text, re.M)
    assert {*PROMISES, *unheld} == set(re.findall(r"^## (P\d+)", text, re.M))


def test_names_of_mutants_are_unique():
    names = [mutant.name for mutant in MUTANTS]

    assert len(set(names)) == len(names)


# ---- the runner itself ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy").resolve()
    copy_of_repository(folder)
    return folder


@pytest.mark.slow
def test_a_mutant_that_no_test_minds_survives(copy: Path):
    assert try_mutant(copy, SPOILED).verdict is Verdict.CAUGHT
    assert try_mutant(copy, replace(SPOILED, new=SPOILED.old + "  # as before\n")).verdict is (
        Verdict.SURVIVED
    )


@pytest.mark.slow
@pytest.mark.parametrize("new", ["    raise NameError('broken')\n", "    return (\n"])
def test_a_mutant_that_only_breaks_the_code_proves_nothing(copy: Path, new: str):
    assert try_mutant(copy, replace(SPOILED, new=new)).verdict is Verdict.BROKEN


@pytest.mark.slow
def test_a_mutant_in_code_that_its_tests_do_not_load_proves_nothing(copy: Path):
    elsewhere = replace(SPOILED, tests=("tests/unit/soak/test_judge.py",))

    assert try_mutant(copy, elsewhere).verdict is Verdict.BROKEN


@pytest.mark.slow
def test_the_copy_is_as_before_after_a_trial(copy: Path):
    try_mutant(copy, SPOILED)

    before = (ROOT / SPOILED.file).read_text(encoding="utf-8")
    assert (copy / SPOILED.file).read_text(encoding="utf-8") == before
    assert not failures_without_mutants(copy, [SPOILED])
