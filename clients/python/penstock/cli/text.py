"""Turns data of others into text that is safe to print, and times and spans into words.

What tasks carry (payloads, logs, failures, names) was written by somebody else. None of it may move
the cursor, recolour the screen, hide other text or be taken for markup, so every such value passes
through here.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

#: C0 and C1 controls, DEL, line and paragraph separators, and the marks that reorder or hide text.
_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
#: A span: `90`, `1.5s`, `250ms`, `1h30m`.
_SPAN_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
#: Longer than anything that the contract allows, and short enough to be added to a date.
_LONGEST: Final = timedelta(days=36_500)
_UNITS: Final = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


def one_line(text: str, *, limit: int = 0) -> str:
    """`text` with control characters spelled out (`\\x1b`), cut at `limit` if that is set."""
    safe = _UNSAFE.sub(_spelled, text)
    return f"{safe[: limit - 1]}…" if limit and len(safe) > limit else safe


def lines(text: str) -> list[str]:
    """`text` split at line ends, tabs widened, every other control character spelled out."""
    return [one_line(line.expandtabs(4)) for line in text.replace("\r\n", "\n").split("\n")]


def _spelled(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def parse_span(text: str) -> timedelta:
    """A span written as `90` (seconds), `250ms`, `5s`, `10m`, `2h`, `1d` or a sum as `1h30m`.

    Raises ValueError with what is allowed.
    """
    text = text.strip().lower()
    shown = one_line(text, limit=40)
    try:
        span = _read_span(text)
    except OverflowError:
        span = timedelta.max
    if span is None:
        raise ValueError(f"{shown!r} is not a span; write 90 (seconds), 250ms, 5s, 1h30m or 2d")
    if span > _LONGEST:
        raise ValueError(f"{shown!r} is not a span of at most {_LONGEST.days} days")
    return span


def _read_span(text: str) -> timedelta | None:
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return timedelta(seconds=float(text))
    if not text or _SPAN_PART.sub("", text):
        return None
    parts = (float(number) * _UNITS[unit] for number, unit in _SPAN_PART.findall(text))
    return sum(parts, timedelta())


def parse_time(text: str, *, now: datetime) -> datetime:
    """A moment in ISO 8601 (`2027-01-31T09:30`, with `Z` for UTC), or `+` and a span from `now`.

    Without an offset the local time zone is meant. Raises ValueError with what is allowed.
    """
    if text.startswith("+"):
        return now + parse_span(text[1:])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        shown = one_line(text)
        allowed = "write 2027-01-31T09:30 (local), 2027-01-31T09:30Z or +2h"
        raise ValueError(f"{shown!r} is not a time; {allowed}") from None
    return moment.astimezone(UTC)


def span(value: timedelta | None) -> str:
    """A span in at most two units: `340 ms`, `5.2 s`, `3 m 10 s`, `4 d 1 h`; `-` for none."""
    if value is None:
        return "-"
    seconds = max(value.total_seconds(), 0.0)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    for size, name, part, part_name in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "m"),
        (60, "m", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // part
            return (
                f"{whole // size} {name} {rest} {part_name}" if rest else f"{whole // size} {name}"
            )
    return f"{whole} s"


def age(moment: datetime | None, *, now: datetime) -> str:
    """How long ago `moment` was: `12 s ago`; `in 3 m` if it is still to come; `-` for none."""
    if moment is None:
        return "-"
    passed = now - moment
    return f"in {span(-passed)}" if passed < timedelta() else f"{span(passed)} ago"


def count(number: int, noun: str) -> str:
    """`1 task`, `2 tasks`, `12,000 tasks`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
