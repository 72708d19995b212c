"""Turns Python values into payloads and back.

`bytes` travel as they are (`application/octet-stream`); everything else that JSON knows, and
dataclasses, as compact UTF-8 JSON (`application/json`). A `Payload` message passes through
untouched, so that a caller can encrypt or compress.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Final

from google.protobuf import json_format

from penstock.errors import InvalidRequest
from penstock.v1.task_pb2 import Payload

JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"


class PayloadError(InvalidRequest, ValueError):
    """A value that cannot be made a payload, or a payload that is not what it says."""


def encode(value: object) -> Payload:
    """The payload for a value. Raises PayloadError for what JSON does not know."""
    if isinstance(value, Payload):
        return value
    content_type, data = encode_content(value)
    return Payload(content_type=content_type, data=data)


def encode_content(value: object) -> tuple[str, bytes]:
    """Content type and bytes for a value that is not a `Payload`: the cheap half of `encode`."""
    if isinstance(value, bytes | bytearray | memoryview):
        return BYTES, bytes(value)
    try:
        return JSON, _encode_json(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise PayloadError(
            f"a {type(value).__name__} cannot be sent as JSON ({error}); send bytes, a value that "
            "JSON knows, a dataclass, or a Payload"
        ) from error


def decode(payload: Payload) -> Any:
    """The value of a payload: bytes for unknown content types, None for an empty JSON payload."""
    if payload.HasField("json"):
        return json_format.MessageToDict(payload.json)
    if payload.content_type.partition(";")[0] != JSON:
        return payload.data
    try:
        return json.loads(payload.data) if payload.data else None
    except ValueError as error:
        raise PayloadError(f"the payload says it is JSON but is not: {error}") from error


def _plain(value: object) -> object:
    """What JSON has no form for: dataclasses become objects."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise TypeError(f"no JSON form for {type(value).__name__}")


# Not-a-number is refused, because other languages' parsers refuse it on the worker's side.
_encode_json: Final = json.JSONEncoder(
    separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain
).encode
