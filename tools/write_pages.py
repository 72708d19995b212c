"""Writes the pages and drawings of docs/ that are made from code; `--check` only compares.

python tools/write_pages.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from pages import api, errors, lifecycle, metrics
from pages.contract import read_contract

ROOT: Final = Path(__file__).resolve().parents[1]
_BEGIN: Final = "<!-- moves: written by `python tools/write_pages.py` -->\n"
_END: Final = "<!-- end of moves -->\n"


def pages() -> dict[Path, str]:
    """Every written file with what belongs into it."""
    contract = read_contract()
    docs = ROOT / "docs"
    life = docs / "concepts" / "lifecycle.md"
    return {
        docs / "concepts" / "lifecycle.svg": lifecycle.drawing(),
        life: between_marks(life.read_text(encoding="utf-8"), lifecycle.moves_table()),
        docs / "reference" / "api.md": api.page(contract),
        docs / "reference" / "errors.md": errors.page(contract),
        docs / "reference" / "metrics.md": metrics.page(),
    }


def between_marks(text: str, written: str) -> str:
    """A page that people write, with its one written part anew."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{written}\n{_END}{after}"


def main() -> int:
    """Writes, or says which files are not as they would be written."""
    stale = [
        (path, text)
        for path, text in pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if "--check" in sys.argv:
        for path, _ in stale:
            print(f"{path.relative_to(ROOT)} is out of date: run python tools/write_pages.py")
        return 1 if stale else 0
    for path, text in stale:
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
