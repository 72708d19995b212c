"""Every command says what it does and shows how, and help does not wait for gRPC."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from penstock.cli import reference
from penstock.cli.app import app

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "cli.md"
COMMANDS = dict(reference._commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_help_and_an_example_that_begins_with_its_name(path):
    one = COMMANDS[path]

    assert one.help[0].isupper()
    assert path in one.epilog


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_can_answer_as_json(path):
    assert "json" in {parameter.name for parameter in COMMANDS[path].params}


def test_every_option_says_what_it_is_for():
    silent = [
        f"{path} {parameter.name}"
        for path, one in COMMANDS.items()
        for parameter in one.params
        if not parameter.help
    ]

    assert silent == []


def test_the_reference_page_is_what_the_commands_say():
    written = PAGE.read_text(encoding="utf-8")

    assert written == reference.page(), (
        "run: python -m penstock.cli.reference > docs/reference/cli.md"
    )


def test_help_loads_neither_grpc_nor_the_server():
    code = (
        "import sys; sys.argv = ['penstock', '--help']\n"
        "from penstock.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'grpc', 'google.protobuf', 'pydantic', 'redis', 'asyncio'}\n"
        "print('LOADED', sorted(heavy & set(sys.modules)))"
    )

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.rstrip().endswith("LOADED []")
    assert "Give it work" in ran.stdout
