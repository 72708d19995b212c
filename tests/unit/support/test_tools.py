from __future__ import annotations

import pytest

from support import tools


def test_a_tool_on_path_is_found():
    assert tools.require_tool("sh").name == "sh"


def test_a_missing_tool_skips_with_the_command_that_enables_the_test(monkeypatch):
    monkeypatch.delenv("PENSTOCK_CI", raising=False)
    monkeypatch.setitem(tools.REMEDIES, "no-such-tool", "`make no-such-tool`")

    with pytest.raises(pytest.skip.Exception) as skipped:
        tools.require_tool("no-such-tool")

    assert str(skipped.value) == (
        "no-such-tool is missing; to enable this test: `make no-such-tool`"
    )


def test_a_missing_tool_fails_where_no_skip_is_allowed(monkeypatch):
    monkeypatch.setenv("PENSTOCK_CI", "1")

    with pytest.raises(pytest.fail.Exception, match="allows no skips"):
        tools.require_tool("no-such-tool")


def test_programs_built_by_make_are_found_without_path(monkeypatch, tmp_path):
    program = tmp_path / "some-program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(tools, "FOLDERS", (tmp_path,))

    assert tools.find_tool("some-program") == program
