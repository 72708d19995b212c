"""The table of misbehaviour in the docs is the one that the test of misbehaviour holds."""

from __future__ import annotations

from pathlib import Path

from support.misbehaviour import MATRIX, WORDS, table

PAGE = Path(__file__).parents[3] / "docs/how-to/handlers.md"


def test_page_shows_the_table_that_is_held() -> None:
    _, _, rest = PAGE.read_text(encoding="utf-8").partition("<!-- misbehaviour -->\n")
    shown, _, _ = rest.partition("\n<!-- end -->")

    assert shown == table()


def test_every_row_has_its_words() -> None:
    assert WORDS.keys() == MATRIX.keys()
