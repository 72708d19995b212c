"""Times and spans: milliseconds here, Timestamps and Durations on the wire."""

from datetime import timedelta
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

_MARGIN: Final = timedelta(milliseconds=200)
"""Time before a call's deadline at which a wait ends, so that the answer arrives."""


def set_time(field: Timestamp, ms: int) -> None:
    """Sets a time; 0 leaves it unset."""
    if ms:
        field.seconds, millis = divmod(ms, 1000)
        field.nanos = millis * 1_000_000


def set_span(field: Duration, ms: int) -> None:
    """Sets a span, also one of 0."""
    field.SetInParent()
    field.seconds, millis = divmod(ms, 1000)
    field.nanos = millis * 1_000_000


def time_ms(value: Timestamp) -> int:
    """A time in milliseconds, rounded up: nothing runs before its time."""
    return value.seconds * 1000 + -(-value.nanos // 1_000_000)


def span_ms(value: Duration) -> int:
    """A span in milliseconds."""
    return value.seconds * 1000 + value.nanos // 1_000_000


def span(value: Duration) -> timedelta:
    """A span as Python has it."""
    return timedelta(milliseconds=span_ms(value))


def wait_of(request: Any, context: Any, *, default: timedelta) -> timedelta:
    """How long a call may wait: as its `wait` says, but not up to its deadline."""
    wait = span(request.wait) if request.HasField("wait") else default
    remaining = context.time_remaining()
    if remaining is None:
        return wait
    return min(wait, max(timedelta(), timedelta(seconds=remaining) - _MARGIN))
