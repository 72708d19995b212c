"""Reads the well-known types of the contract's messages as Python values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp


def time_of(message: Message, field: str) -> datetime | None:
    """A time in UTC, to the microsecond; None where it is unset."""
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    return stamp.ToDatetime(UTC)


def span_of(message: Message, field: str) -> timedelta | None:
    """A span; None where it is unset."""
    if not message.HasField(field):
        return None
    span: Duration = getattr(message, field)
    return span.ToTimedelta()


def struct_of(struct: Struct) -> dict[str, Any]:
    """A JSON object as a dict."""
    return json_format.MessageToDict(struct)
