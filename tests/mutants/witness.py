"""A plugin of pytest that writes down what a run of tests really did, for the runner to judge.

The exit status alone does not tell a failed assertion from a broken import, nor this copy of the
product from an installed one.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Final

import pytest

OUTPUT: Final = "MUTANTS_WITNESS"
"""The environment variable with the path of the file to write."""
PACKAGES: Final = ("penstock", "penstock_server", "penstock_worker")

_reports: list[dict[str, Any]] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Notes how each phase of a test ended, and what a failed one raised."""
    report = yield
    raised = call.excinfo
    _reports.append(
        {
            "test": item.nodeid,
            "phase": report.when,
            "outcome": report.outcome,
            "raised": raised.typename if raised is not None else "",
            "said": raised.exconly(tryshort=True)[:500] if raised is not None else "",
        }
    )
    return report


def pytest_sessionfinish() -> None:
    """Writes what was noted, and where the packages of the product were loaded from."""
    loaded = {
        name: str(Path(str(module.__file__)).parent)
        for name in PACKAGES
        if (module := sys.modules.get(name)) is not None
    }
    text = json.dumps({"reports": _reports, "loaded": loaded})
    Path(os.environ[OUTPUT]).write_text(text, encoding="utf-8")
