"""How the written pages look: the remark at their top, and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

REMARK: Final = "<!-- Written by `python tools/write_pages.py`; a test keeps it up to date. -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a bar escaped wherever it would end a cell."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
