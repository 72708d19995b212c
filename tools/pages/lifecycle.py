"""Draws the life of a task from the server's own table of moves."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import Final, NamedTuple

from pages.form import table
from penstock_server.model import lifecycle
from penstock_server.model.lifecycle import MOVES, Move, TaskState

_W, _H = 150, 48
_PLACES: Final = {
    TaskState.BLOCKED: (40, 60),
    TaskState.SCHEDULED: (40, 180),
    TaskState.READY: (330, 60),
    TaskState.RUNNING: (620, 60),
    TaskState.SUCCEEDED: (620, 330),
    TaskState.FAILED: (330, 330),
    TaskState.CANCELLED: (40, 330),
}
_LIVE: Final = frozenset(state for state in TaskState if not state.ended)
_ENDED: Final = frozenset(state for state in TaskState if state.ended)
_LIVE_BOX: Final = (20, 30, 770, 218)
_ENDED_BOX: Final = (20, 310, 770, 88)


class Line(NamedTuple):
    """An arrow with the words on it: a path, and where the words stand."""

    path: str
    words: str
    x: int
    y: int


def drawing() -> str:
    """docs/concepts/lifecycle.svg, whole."""
    parts = [_HEAD, _box(_LIVE_BOX), _box(_ENDED_BOX)]
    parts += [_state(state) for state in TaskState]
    parts += [_line(line) for line in _lines()]
    return "".join(parts) + "</svg>\n"


def moves_table() -> str:
    """The table of docs/concepts/lifecycle.md: each move, from where, to where."""
    meanings = _meanings()
    rows = []
    for move, paths in MOVES.items():
        ends = sorted({_name(target) for target in paths.values()})
        sources = ", ".join(_name(source) for source in sorted(paths))
        target = "the same" if all(a is b for a, b in paths.items()) else ", ".join(ends)
        rows.append([f"`{move.value}`", meanings[move], sources, target])
    return table(["move", "what happens", "from", "to"], rows)


def _meanings() -> dict[Move, str]:
    """The words under each member of Move; Python keeps them nowhere but in the source."""
    (body,) = ast.parse(inspect.getsource(Move)).body
    assert isinstance(body, ast.ClassDef)
    found: dict[Move, str] = {}
    for member, words in zip(body.body, body.body[1:], strict=False):
        if isinstance(member, ast.Assign) and isinstance(words, ast.Expr):
            name = ast.unparse(member.targets[0])
            found[Move[name]] = " ".join(str(ast.literal_eval(words.value)).split())
    return found


def _lines() -> Iterator[Line]:
    """An arrow for each pair of states; one for all live or all ended states where they agree."""
    singles: dict[tuple[TaskState, TaskState], list[str]] = {}
    crowds: dict[tuple[bool, TaskState], list[str]] = {}
    for move, paths in MOVES.items():
        left = {source: target for source, target in paths.items() if target is not None}
        for crowd in (_LIVE, _ENDED):
            targets = {left.get(state) for state in crowd}
            if len(targets) == 1 and None not in targets:
                target = left[min(crowd)]
                crowds.setdefault((crowd is _ENDED, target), []).append(move.value)
                left = {source: end for source, end in left.items() if source not in crowd}
        for source, target in left.items():
            if source is not target:
                singles.setdefault((source, target), []).append(move.value)
    for (source, target), words in singles.items():
        yield _single(source, target, ", ".join(words))
    for (ended, target), words in crowds.items():
        yield _from_crowd(target, ", ".join(words), ended=ended)


def _single(source: TaskState, target: TaskState, words: str) -> Line:
    (ax, ay), (bx, by) = _PLACES[source], _PLACES[target]
    a, b = ay + _H // 2, by + _H // 2
    if ay == by and ax < bx:  # along the row
        return Line(f"M{ax + _W},{a - 10} L{bx},{b - 10}", words, (ax + _W + bx) // 2, a - 16)
    if ay == by:  # back along the row
        return Line(f"M{ax},{a + 10} L{bx + _W},{b + 10}", words, (ax + bx + _W) // 2, a + 25)
    if ax < bx:  # up to the right
        x, y = (ax + _W + bx) // 2, (a + b) // 2
        return Line(f"M{ax + _W},{a - 6} L{bx},{b + 14}", words, x - 34, y - 8)
    # Down and back to the left, around what lies between.
    x = ax + _W // 2
    return Line(f"M{x},{ay + _H} L{x},{b} L{bx + _W},{b}", words, (x + bx + _W) // 2, b + 18)


def _from_crowd(target: TaskState, words: str, *, ended: bool) -> Line:
    x, y = _PLACES[target]
    if not ended:  # from the box of the live states down to an ended one
        _, top, _, height = _LIVE_BOX
        middle = x + _W // 2 + 20
        return Line(f"M{middle},{top + height} L{middle},{y}", words, middle + 30, y - 34)
    _, top, _, _ = _ENDED_BOX
    middle = x + _W // 2 - 40
    return Line(f"M{middle},{top} L{middle},{y + _H}", words, middle + 40, y + _H + 44)


def _state(state: TaskState) -> str:
    x, y = _PLACES[state]
    stays = ", ".join(m.value for m, paths in MOVES.items() if paths.get(state) is state)
    gone = ", ".join(
        m.value for m, paths in MOVES.items() if state in paths and paths[state] is None
    )
    note = f"{stays}: stays" if stays else f"{gone}: is gone" if gone else ""
    name_y = y + (20 if note else 29)
    shape = f'<rect class="state" x="{x}" y="{y}" width="{_W}" height="{_H}" rx="6"/>'
    name = f'<text class="name" x="{x + _W // 2}" y="{name_y}">{state.name}</text>'
    small = f'<text class="small" x="{x + _W // 2}" y="{y + 38}">{note}</text>' if note else ""
    return f"{shape}{name}{small}\n"


def _line(line: Line) -> str:
    words = f'<text class="words" x="{line.x}" y="{line.y}">{line.words}</text>'
    return f'<path class="arrow" d="{line.path}"/>{words}\n'


def _box(box: tuple[int, int, int, int]) -> str:
    x, y, width, height = box
    return f'<rect class="crowd" x="{x}" y="{y}" width="{width}" height="{height}" rx="10"/>\n'


def _name(state: TaskState | None) -> str:
    return "the record is gone" if state is None else state.name


_HEAD: Final = f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 810 420" role="img">
<title>The states of a task and the moves between them</title>
<!-- Drawn by `python tools/write_pages.py` from {lifecycle.__name__}. -->
<style>
text {{ font-family: sans-serif; text-anchor: middle; fill: #263238 }}
.name {{ font-size: 14px; font-weight: bold }}
.small {{ font-size: 10px; fill: #546e7a }}
.words {{ font-size: 12px; fill: #00695c; paint-order: stroke; stroke: #fff; stroke-width: 4px }}
.state {{ fill: #eceff1; stroke: #455a64 }}
.crowd {{ fill: none; stroke: #90a4ae; stroke-dasharray: 5 4 }}
.arrow {{ fill: none; stroke: #00897b; stroke-width: 1.4; marker-end: url(#tip) }}
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"
 orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#00897b"/></marker></defs>
<rect width="810" height="420" rx="8" fill="#fff"/>
<text class="small" x="740" y="46">not ended</text>
<text class="small" x="545" y="326">ended</text>
"""
