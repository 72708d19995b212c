"""Payloads to Python values and back.

JSON is the common form. `json` values of the contract hold all numbers as doubles; whole ones
become int here, because that is what the sender wrote.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import uuid
from typing import Any, Final

from google.protobuf import struct_pb2

from penstock.v1 import task_pb2
from penstock_worker.errors import PayloadError, ResultError

JSON_TYPE: Final = "application/json"
BYTES_TYPE: Final = "application/octet-stream"


def plain(value: struct_pb2.Value) -> Any:
    """Answers the Python value of a protobuf JSON value."""
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "struct_value":
        return {key: plain(item) for key, item in value.struct_value.fields.items()}
    if kind == "list_value":
        return [plain(item) for item in value.list_value.values]
    return None if kind in (None, "null_value") else getattr(value, kind)


def is_json(content_type: str) -> bool:
    """Answers whether content of this type is JSON."""
    bare = content_type.partition(";")[0].strip().lower()
    return bare == JSON_TYPE or bare.endswith("+json")


def read_json(payload: task_pb2.Payload) -> Any:
    """Answers the payload's JSON as Python values; None if empty. Raises PayloadError."""
    if payload.HasField("json"):
        return plain(payload.json)
    data = payload.data
    if not data:
        return None
    try:
        return _decode(data)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise PayloadError(
            f"the payload ({payload.content_type or BYTES_TYPE}, {len(data)} bytes) is not JSON,"
            f" which the handler asks for: {error}"
        ) from error


def _decode(data: bytes) -> Any:
    """As json.loads, which costs three times as much: it looks for other encodings first."""
    try:
        text = data.decode().strip(_JSON_SPACE)
        value, end = _read_value(text)
        is_read = end == len(text)
    except ValueError:
        is_read = False
    # What is in one of those encodings, or no JSON, is left to it: it knows what is wrong.
    return value if is_read else json.loads(data)


def read_bytes(payload: task_pb2.Payload) -> bytes:
    """Answers the payload's bytes; JSON values as their JSON text."""
    if payload.WhichOneof("content") == "json":
        return _encode(plain(payload.json)).encode()
    return payload.data


def read_text(payload: task_pb2.Payload) -> str:
    """Answers the payload as text: a JSON string's value, or other content as UTF-8."""
    if payload.WhichOneof("content") == "json" or is_json(payload.content_type):
        value = read_json(payload)
        if isinstance(value, str):
            return value
        raise PayloadError(f"the payload is a JSON {type(value).__name__}, not the string wanted")
    try:
        return payload.data.decode()
    except UnicodeDecodeError as error:
        raise PayloadError(f"the payload is not UTF-8 text: {error}") from error


def read_any(payload: task_pb2.Payload) -> Any:
    """Answers the payload by its own content type: JSON, text or bytes; None for an empty one."""
    content = payload.WhichOneof("content")
    if content is None:
        return None
    if content == "json" or is_json(payload.content_type):
        return read_json(payload)
    return read_text(payload) if payload.content_type.startswith("text/") else payload.data


def _jsonable(value: Any) -> Any:
    """Answers a simpler form of what the JSON encoder does not know."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    raise TypeError(f"{type(value).__module__}.{type(value).__qualname__} is not JSON-able")


_JSON_SPACE: Final = " \t\n\r"
_read_value = json.JSONDecoder().raw_decode
# Made once: json.dumps with arguments builds an encoder for each call.
_encode = json.JSONEncoder(
    separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_jsonable
).encode


def write_result(value: Any) -> task_pb2.Payload | None:
    """Answers the payload of a handler's return value; None for None. Raises ResultError."""
    if value is None:
        return None
    if isinstance(value, task_pb2.Payload):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return task_pb2.Payload(content_type=BYTES_TYPE, data=bytes(value))
    try:
        return task_pb2.Payload(content_type=JSON_TYPE, data=_encode(value).encode())
    except Exception as error:  # a value's own code may raise anything
        raise ResultError(
            f"the handler returned a {type(value).__qualname__} that cannot be encoded: {error}."
            " Return None, bytes, a dataclass, or what JSON can hold"
        ) from error
