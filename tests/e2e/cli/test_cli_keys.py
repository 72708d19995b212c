"""Keys are made without a server, and from the first one on the server wants one."""

from __future__ import annotations

import json

import pytest
from e2e.cli.harness import Up, penstock

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_from_the_first_key_on_callers_need_one_with_a_fitting_role(tmp_path):
    data = tmp_path / "data"
    made = penstock("keys", "create", "--role", "viewer", "--data", str(data), "--json")
    viewer = json.loads(made.stdout)

    with Up(data, "--no-builtin") as up:
        without = up.penstock("queues", "list")
        reading = up.penstock("queues", "list", PENSTOCK_API_KEY=viewer["key"])
        writing = up.penstock("submit", "later", PENSTOCK_API_KEY=viewer["key"])
        listed = penstock("keys", "list", "--data", str(data))
        revoked = penstock("keys", "revoke", viewer["keyId"], "--yes", "--data", str(data))

    assert without.returncode == 4
    assert "PENSTOCK_API_KEY" in without.stderr
    assert reading.returncode == 0, reading.stderr
    assert writing.returncode == 4
    assert "PERMISSION_DENIED" in writing.stderr
    assert viewer["keyId"] in listed.stdout
    assert viewer["key"] not in listed.stdout
    assert revoked.returncode == 0, revoked.stderr


def test_the_workers_of_up_have_a_key_of_their_own_while_it_runs(tmp_path):
    data = tmp_path / "data"
    made = penstock("keys", "create", "--role", "submitter", "--data", str(data), "--json")
    key = json.loads(made.stdout)["key"]

    with Up(data) as up:
        ran = up.penstock("run", "shell", '{"command": "true"}', PENSTOCK_API_KEY=key)
        during = json.loads(penstock("keys", "list", "--data", str(data), "--json").stdout)
    after = json.loads(penstock("keys", "list", "--data", str(data), "--json").stdout)

    assert ran.returncode == 0, ran.stderr
    assert [item["role"] for item in during] == ["submitter", "worker"]
    assert [item["revokeTime"] is None for item in after] == [True, False]


def test_a_key_that_is_not_there_cannot_be_revoked(tmp_path):
    ran = penstock("keys", "revoke", "nosuch", "--yes", "--data", str(tmp_path / "data"))

    assert ran.returncode == 1
    assert "keys list" in ran.stderr
