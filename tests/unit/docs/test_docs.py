"""The documentation says what is true: written pages, names of tests, paths, lines to try."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from penstock_server.store import keys
from support.tools import ROOT

PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
PROMISES = [f"P{number}" for number in range(1, 13)]
ROWS = [f"M{number}" for number in range(1, 33)]


def every_test() -> set[str]:
    """Names of all test functions."""
    return {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_pages_that_code_writes_are_as_the_code_is():
    check = subprocess.run(
        [sys.executable, "tools/write_pages.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stdout + check.stderr


def test_every_test_that_a_page_names_exists():
    named = {
        (str(page.relative_to(ROOT)), name)
        for page in PAGES
        for name in re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8"))
    }
    known = every_test()

    assert named
    assert not sorted((page, name) for page, name in named if name not in known)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_of_the_repository_that_a_page_names_exists(page):
    roots = "clients|docs|examples|proto|server|tests|tools|worker"
    named = re.findall(rf"`((?:{roots})/[\w./-]+)`", page.read_text(encoding="utf-8"))

    assert not [name for name in named if not (ROOT / name.rstrip("/")).exists()]


def test_every_promise_names_its_test_or_says_that_it_has_none():
    text = (ROOT / "docs/concepts/guarantees.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (P\d+)[^\n]*\n(.*?)(?=^## |\Z)", text, re.M | re.S))

    assert list(sections) == PROMISES
    for promise, words in sections.items():
        assert re.search(r"`test_\w+`|Not held by a test", words), promise


def test_every_wished_for_feature_has_its_row():
    text = (ROOT / "docs/features.md").read_text(encoding="utf-8")

    assert re.findall(r"^\| (M\d+) \|", text, re.M) == ROWS


def test_every_key_that_the_architecture_names_is_a_key():
    text = (ROOT / "docs/concepts/architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`\{p0\}:(\w+)", text)

    assert named
    assert set(named) <= set(keys.TEMPLATES)


def test_every_page_that_the_readme_leads_to_exists():
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / "README.md").read_text(encoding="utf-8"))

    assert links
    assert not [link for link in links if not (ROOT / link).exists()]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
