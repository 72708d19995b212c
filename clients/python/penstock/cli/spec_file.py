"""A TaskSpec as JSON, for editing by hand."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from google.protobuf import json_format

from penstock.cli.exits import CommandFailed, usage
from penstock.v1.task_pb2 import Payload, TaskSpec


def to_json(spec: TaskSpec) -> str:
    """The spec as JSON. A JSON payload is shown as the value that it is, not as bytes in base64."""
    shown = TaskSpec()
    shown.CopyFrom(spec)
    _open_payload(shown.payload)
    if not shown.payload.ByteSize():
        shown.ClearField("payload")
    return json.dumps(json_format.MessageToDict(shown), indent=2, ensure_ascii=False) + "\n"


def from_json(text: str) -> TaskSpec:
    """The spec that JSON describes; a usage error says what is wrong with it."""
    spec = TaskSpec()
    try:
        json_format.Parse(text, spec)
    except json_format.ParseError as error:
        raise usage(f"this is not a TaskSpec: {error}") from None
    _close_payload(spec)
    return spec


def edited(spec: TaskSpec) -> TaskSpec:
    """The spec as it is after a visit to the editor.

    An unchanged or empty file changes nothing and ends.
    """
    before = to_json(spec)
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        path = Path(folder, "spec.json")
        path.write_text(before)
        _edit(path)
        after = path.read_text()
    if not after.strip() or after == before:
        raise CommandFailed("the spec was not changed, so nothing was done")
    return from_json(after)


def _edit(path: Path) -> None:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        status = subprocess.call([*shlex.split(editor), str(path)])
    except (OSError, ValueError) as error:
        raise usage(
            f"the editor {editor!r} cannot be started: {error}", remedy="set EDITOR"
        ) from None
    if status:
        raise CommandFailed(f"the editor ended with status {status}, so nothing was done")


def _open_payload(payload: Payload) -> None:
    if payload.WhichOneof("content") != "data" or payload.content_type != "application/json":
        return
    try:
        json_format.Parse(payload.data, payload.json)
    except (json_format.ParseError, UnicodeDecodeError):
        return


def _close_payload(spec: TaskSpec) -> None:
    """Makes a JSON payload text again, as the clients send it."""
    payload = spec.payload
    if payload.WhichOneof("content") != "json":
        if not payload.ByteSize():
            spec.ClearField("payload")
        return
    text = json.dumps(_whole(json_format.MessageToDict(payload.json)), ensure_ascii=False)
    payload.data = text.encode()
    payload.content_type = payload.content_type or "application/json"


def _whole(value: object) -> object:
    """Numbers without a fraction as integers again: the protobuf form knows floats only."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return value
