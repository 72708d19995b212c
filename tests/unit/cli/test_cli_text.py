"""What others wrote is safe on a screen; spans and times read and write as people do."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.cli import text

NOW = datetime(2027, 1, 31, 12, 0, tzinfo=UTC)


@given(st.text())
def test_no_control_character_survives_in_a_line(written):
    shown = text.one_line(written)

    assert not set(shown) & set("\x1b\x07\x08\r\n\t\x9b\u202e\u2028")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\rb", "a\\x0db"),
        ("\x9b2J", "\\x9b2J"),
        ("abc\u202edef", "abc\\u202edef"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
    ],
)
def test_control_characters_are_spelled_out(written, shown):
    assert text.one_line(written) == shown


def test_a_long_line_is_cut_at_the_limit():
    assert text.one_line("x" * 50, limit=10) == "x" * 9 + "…"


def test_lines_keep_their_ends_and_lose_everything_else():
    assert text.lines("a\tb\r\nc\x1bd") == ["a   b", "c\\x1bd"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("90", timedelta(seconds=90)),
        ("250ms", timedelta(milliseconds=250)),
        ("1h30m", timedelta(minutes=90)),
        ("1.5s", timedelta(seconds=1.5)),
        ("2d", timedelta(days=2)),
        ("0", timedelta()),
    ],
)
def test_spans_are_read_with_and_without_units(written, meant):
    assert text.parse_span(written) == meant


@pytest.mark.parametrize(
    "written", ["", "x", "5 parsecs", "-1s", "1h-2m", "s", "9" * 40, "9" * 400, "1e3"]
)
def test_what_is_no_span_is_refused_with_what_to_write(written):
    with pytest.raises(ValueError, match=r"write 90|at most"):
        text.parse_span(written)


@given(st.text())
def test_reading_a_span_gives_a_span_or_says_why_not(written):
    with suppress(ValueError):
        assert timedelta() <= text.parse_span(written) <= timedelta(days=36_500)


def test_a_time_may_be_a_span_from_now():
    assert text.parse_time("+2h", now=NOW) == NOW + timedelta(hours=2)


def test_a_time_with_an_offset_is_that_moment():
    expected = datetime(2027, 1, 31, 8, 30, tzinfo=UTC)

    assert text.parse_time("2027-01-31T09:30+01:00", now=NOW) == expected


@pytest.mark.parametrize("written", ["tomorrow", "", "+", "+x", "2027-13-01", "+999999999d"])
def test_what_is_no_time_is_refused(written):
    with pytest.raises(ValueError, match="not a"):
        text.parse_time(written, now=NOW)


@pytest.mark.parametrize(
    ("span", "shown"),
    [
        (None, "-"),
        (timedelta(milliseconds=340), "340 ms"),
        (timedelta(seconds=5), "5 s"),
        (timedelta(seconds=5.25), "5.2 s"),
        (timedelta(seconds=59.99), "1 m"),
        (timedelta(minutes=3, seconds=10), "3 m 10 s"),
        (timedelta(hours=2, minutes=5), "2 h 5 m"),
        (timedelta(days=4, hours=1), "4 d 1 h"),
        (timedelta(seconds=-3), "0 ms"),
    ],
)
def test_spans_are_shown_in_two_units_at_most(span, shown):
    assert text.span(span) == shown


def test_ages_say_on_which_side_of_now_a_moment_lies():
    assert text.age(NOW - timedelta(seconds=12), now=NOW) == "12 s ago"
    assert text.age(NOW + timedelta(minutes=3), now=NOW) == "in 3 m"
    assert text.age(None, now=NOW) == "-"
