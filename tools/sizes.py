"""Holds the size budgets: prints the largest functions and files, fails past a hard limit.

Small pieces are the habit that keeps this code readable, and habits fade one exception at a
time. The limits are far above the usual size; reaching one means that something is two things.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCES: Final = ("clients/python", "server", "worker", "web", "tools")
SHOWN: Final = 10


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Something that has a length in lines: a function or a file."""

    lines: int
    where: str


def python_files() -> list[Path]:
    """The Python files that people write; tests and generated code have no budget."""
    found = [path for folder in SOURCES for path in (ROOT / folder).rglob("*.py")]
    return [path for path in found if not path.stem.endswith(("_pb2", "_pb2_grpc"))]


def files_of(paths: list[Path]) -> list[Piece]:
    """The length of each file."""
    return [Piece(lines=len(path.read_text().splitlines()), where=name(path)) for path in paths]


def functions_of(path: Path) -> Iterator[Piece]:
    """The length of each function of a Python file, its docstring left out."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1 - docstring_lines(node)
            yield Piece(lines=length, where=f"{name(path)}:{node.lineno} {node.name}")


def docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many lines the docstring takes, if there is one."""
    if ast.get_docstring(node, clean=False) is None:
        return 0
    first = node.body[0]
    return (first.end_lineno or first.lineno) - first.lineno + 1


def name(path: Path) -> str:
    """A path as people write it."""
    return str(path.relative_to(ROOT))


def within(kind: str, pieces: list[Piece], *, limit: int) -> bool:
    """Prints the largest pieces of a kind; False if one is past the limit."""
    largest = sorted(pieces, key=lambda piece: piece.lines, reverse=True)[:SHOWN]
    print(f"largest {kind} (limit {limit} lines)")
    for piece in largest:
        print(f"  {piece.lines:5} {piece.where}{'  <- too large' * (piece.lines > limit)}")
    return all(piece.lines <= limit for piece in largest)


def main() -> None:
    """Measures everything, then exits 1 if anything is too large."""
    python = python_files()
    functions = [piece for path in python for piece in functions_of(path)]
    contract = list((ROOT / "proto").rglob("*.proto"))
    results = (
        within("functions", functions, limit=60),
        within("Python files", files_of(python), limit=600),
        within("contract files", files_of(contract), limit=500),
    )
    if not all(results):
        sys.exit("penstock: something is past its size budget; it is probably two things")


if __name__ == "__main__":
    main()
