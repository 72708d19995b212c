"""Reads W3C `traceparent` headers, as cheaply as most of them deserve: few traces are sampled."""

from typing import NamedTuple

_LENGTH = 55  # version-00: 2 + 1 + 32 + 1 + 16 + 1 + 2
_HEX = frozenset("0123456789abcdef")


class TraceParent(NamedTuple):
    """The place of a span in a trace."""

    trace_id: int
    span_id: int
    sampled: bool


def parse_traceparent(text: str) -> TraceParent | None:
    """The place that the header names; None if it is not a valid one.

    Versions after 00 may carry more after the flags, and are read as far as 00 goes.
    """
    if len(text) < _LENGTH or text[2] != "-" or text[35] != "-" or text[52] != "-":
        return None
    version, trace, span, flags = text[:2], text[3:35], text[36:52], text[53:55]
    if not _HEX.issuperset(version + trace + span + flags) or version == "ff":
        return None
    if len(text) > _LENGTH and (version == "00" or text[_LENGTH] != "-"):
        return None
    trace_id, span_id = int(trace, 16), int(span, 16)
    if not trace_id or not span_id:
        return None
    return TraceParent(trace_id, span_id, bool(int(flags, 16) & 1))


def is_sampled(text: str) -> bool:
    """True if the header belongs to a sampled trace; a quick look before any other work."""
    if len(text) < _LENGTH or text[54] not in "13579bdf":
        return False
    parsed = parse_traceparent(text)
    return parsed is not None and parsed.sampled
