"""Checks of spans and instants: protobuf's own ranges first, so that nothing overflows later."""

from datetime import timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from penstock_server.service.validate.found import Found
from penstock_server.service.validate.rules import Check

SECOND: Final = timedelta(seconds=1)
MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
NOTHING: Final = timedelta()
YEAR: Final = timedelta(days=365)
# Ten calendar years hold up to three leap days: who adds ten years to a date is not refused.
TEN_YEARS: Final = timedelta(days=3_653)
# What protobuf itself allows, about 10,000 years.
LONGEST: Final = timedelta(seconds=315_576_000_000)

_NANOS: Final = 1_000_000_000
_YEAR_1: Final = -62_135_596_800
_YEAR_9999_END: Final = 253_402_300_799


def span(low: timedelta, high: timedelta) -> Check:
    """Makes a check of durations from `low` to `high`, both included. `low` may not be negative."""
    low_ns, high_ns = _nanoseconds(low), _nanoseconds(high)
    allowed = f"{_shown(low)} to {_shown(high)}"

    def check(value: Duration, path: str, found: Found) -> None:
        seconds, nanos = value.seconds, value.nanos
        if not (0 <= nanos < _NANOS and low_ns <= seconds * _NANOS + nanos <= high_ns):
            found.add(path, f"is {seconds} s and {nanos} ns, allowed are {allowed}")

    return check


def instant(value: Timestamp, path: str, found: Found) -> None:
    """Takes instants of the years 1 to 9999."""
    if not is_instant(value):
        since = f"{value.seconds} s and {value.nanos} ns"
        found.add(path, f"is {since} since 1970, allowed are the years 1 to 9999")


def instant_ahead(most: timedelta) -> Check:
    """Makes a check of instants that lie at most `most` ahead of now. The past is fine."""
    seconds_ahead, allowed = most.total_seconds(), _shown(most)

    def check(value: Timestamp, path: str, found: Found) -> None:
        if not is_instant(value):
            instant(value, path, found)
        elif value.seconds + value.nanos / _NANOS > found.limits.now() + seconds_ahead:
            found.add(path, f"is more than {allowed} ahead")

    return check


def is_instant(value: Timestamp) -> bool:
    """True if a timestamp names an instant of the years 1 to 9999, as protobuf demands."""
    return 0 <= value.nanos < _NANOS and _YEAR_1 <= value.seconds <= _YEAR_9999_END


def is_longer(one: Duration, other: Duration) -> bool:
    """True if one duration is longer than another."""
    return one.seconds * _NANOS + one.nanos > other.seconds * _NANOS + other.nanos


def _nanoseconds(value: timedelta) -> int:
    return (value // timedelta(microseconds=1)) * 1_000


def _shown(value: timedelta) -> str:
    """Gives a bound in its largest whole unit."""
    units = ((YEAR, "years"), (DAY, "days"), (HOUR, "h"), (SECOND, "s"))
    if value == TEN_YEARS:
        return "10 years"
    for unit, name in units[1:]:
        if value and value % unit == timedelta(0):
            return f"{value // unit} {name}"
    return "0 s" if not value else f"{value // timedelta(milliseconds=1)} ms"
