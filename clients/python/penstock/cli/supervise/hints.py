"""The lines to try once everything runs. Each works as it is printed; a test runs them."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from penstock.cli.screen import Screen

if TYPE_CHECKING:
    from penstock_server.config import Config

#: What the lines submit: it writes a line each second, so that there is something to watch.
_COMMAND: Final = "for i in 1 2 3 4 5; do echo line $i; sleep 1; done"
_SERVICE: Final = "penstock.v1.TaskService"


def print_hints(screen: Screen, address: str, metrics: str, config: Config) -> None:
    """Addresses, and commands for another terminal."""
    if screen.as_json:
        screen.json_line({"serving": address, "metrics": metrics, "data": str(config.data)})
        return
    if not config.security.tls:
        for title, lines in hints(address):
            screen.line()
            screen.line(f"# {title}", "dim")
            for line in lines:
                screen.line(line)
    screen.line()
    screen.line(f"serving on {address}; Ctrl-C ends", "bold green")


def hints(address: str) -> Iterator[tuple[str, list[str]]]:
    """Titles, and under each the commands to try in order, in one shell."""
    penstock = _program("penstock") or "penstock"
    where = "" if address == "127.0.0.1:7700" else f" --address {address}"
    yield "in another terminal, with the command line:", list(_penstock_lines(penstock, where))
    buf = _program("buf")
    if buf:
        yield "the same with buf curl, from the contract alone:", list(_buf_lines(buf, address))
    yield _grpcurl_title(), list(_grpcurl_lines(_program("grpcurl") or "grpcurl", address))


def _penstock_lines(penstock: str, where: str) -> Iterator[str]:
    shell = shlex.quote(json.dumps({"command": "echo hello; sleep 1; echo done"}))
    yield f"{penstock} run shell {shell}{where}"
    yield f"{penstock} top{where}"


def _buf_lines(buf: str, address: str) -> Iterator[str]:
    base = f"{buf} curl --protocol grpc --http2-prior-knowledge"
    url = f"http://{address}"
    yield f"{base} --list-services {url}"
    for method, body in _calls():
        yield _line(f"{base} -d {body} {url}/{_SERVICE}/{method}", method)


def _grpcurl_lines(grpcurl: str, address: str) -> Iterator[str]:
    base = f"{grpcurl} -plaintext"
    yield f"{base} {address} list"
    for method, body in _calls():
        yield _line(f"{base} -d {body} {address} {_SERVICE}/{method}", method)


def _calls() -> Iterator[tuple[str, str]]:
    """Methods and their requests, quoted for a shell that keeps the task's id in TASK."""
    task = _with_task({"taskId": "$TASK"})
    yield "SubmitTask", _quoted(_submit())
    yield "TailLogs", _with_task({"taskId": "$TASK", "follow": True})
    yield "WatchTasks", _with_task({"taskIds": ["$TASK"]})
    yield "GetTask", task
    yield "SubmitTask", _quoted(_submit(delay="3600s"))
    yield "CancelTask", task


def _line(call: str, method: str) -> str:
    """The call; of a submit the shell keeps the task's id, 26 characters, for the next ones."""
    return f"TASK=$({call} | {_ID}); echo $TASK" if method == "SubmitTask" else call


def _grpcurl_title() -> str:
    return (
        "the same with grpcurl:"
        if _program("grpcurl")
        else "the same with grpcurl, once it is installed:"
    )


_ID: Final = "grep -om1 '[0-9a-z]\\{26\\}'"


def _submit(**more: str) -> dict[str, Any]:
    payload = {"json": {"command": _COMMAND}}
    return {"spec": {"taskType": "shell", **more, "payload": payload}}


def _compact(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))


def _quoted(value: dict[str, Any]) -> str:
    return shlex.quote(_compact(value))


def _with_task(value: dict[str, Any]) -> str:
    """A request in double quotes, so that the shell puts the id in."""
    return '"' + _compact(value).replace('"', '\\"') + '"'


def _program(name: str) -> str | None:
    """A program of this environment, as a person would write it here; else the one on PATH."""
    for folder in (Path(sys.executable).parent, Path(sys.executable).parents[2] / ".tools" / "bin"):
        path = folder / name
        if os.access(path, os.X_OK):
            return _shortest(path)
    return name if shutil.which(name) else None


def _shortest(path: Path) -> str:
    try:
        return shlex.quote(str(path.relative_to(Path.cwd())))
    except ValueError:
        return shlex.quote(str(path))
