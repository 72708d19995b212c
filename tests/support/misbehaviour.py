"""What each misbehaviour of a handler leads to, by kind of handler: data of a test and a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ASYNC, THREAD = "async", "thread"
ISOLATED, ISOLATED_ASYNC = "isolated", "isolated.async"
SHARED: Final = (ASYNC, THREAD)
ALONE: Final = (ISOLATED, ISOLATED_ASYNC)
KINDS: Final = SHARED + ALONE


@dataclass(frozen=True)
class Cell:
    """How the execution ends, and what becomes of others."""

    outcome: str
    kind: str = ""
    """Kind of the failure."""
    crashes_runner: bool = False
    """True if everything else in the shared runner crashes too."""
    is_timed: bool = False
    """True if the execution is ended by its timeout."""

    def text(self, kind: str) -> str:
        """Answers the cell for people."""
        name = self.kind.rpartition(".")[2] if self.outcome == "FAILED" else ""
        parts = [f"{self.outcome} (`{name}`)" if name else self.outcome]
        if self.is_timed and kind == THREAD and not self.crashes_runner:
            parts.append("keeps its slot")
        if self.crashes_runner:
            parts.append("then its runner dies ¹" if self.is_timed else "so does its runner ¹")
        return ", ".join(parts)


DONE: Final = Cell("SUCCEEDED")
CRASH: Final = Cell("CRASHED", "penstock_worker.RunnerDied")
CRASH_OF_ALL: Final = Cell("CRASHED", "penstock_worker.RunnerDied", crashes_runner=True)
TIMED: Final = Cell("TIMED_OUT", "penstock_worker.TimedOut", is_timed=True)
TIMED_THEN_CRASH: Final = Cell(
    "TIMED_OUT", "penstock_worker.TimedOut", crashes_runner=True, is_timed=True
)
RAISED: Final = Cell("FAILED", "ValueError")
UNPICKLABLE: Final = Cell("FAILED", "support.misbehaving_handlers.Unpicklable")
UNENCODABLE: Final = Cell("FAILED", "penstock_worker.errors.ResultError")
EXIT: Final = Cell("FAILED", "SystemExit")
TOO_MUCH: Final = Cell("FAILED", "penstock_worker.MemoryLimit")


def _everywhere(cell: Cell) -> dict[str, Cell]:
    return dict.fromkeys(KINDS, cell)


def _alone(cell: Cell) -> dict[str, Cell]:
    return dict.fromkeys(ALONE, cell)


def _by_runner(shared: Cell, alone: Cell) -> dict[str, Cell]:
    return dict.fromkeys(SHARED, shared) | _alone(alone)


MATRIX: Final[dict[str, dict[str, Cell]]] = {
    "fail": _everywhere(RAISED),
    "fail_unpicklable": _everywhere(UNPICKLABLE),
    "answer_unencodable": _everywhere(UNENCODABLE),
    "exit_politely": _everywhere(EXIT),
    "exit_at_once": _by_runner(CRASH_OF_ALL, CRASH),
    "kill_itself": _by_runner(CRASH_OF_ALL, CRASH),
    "stop_itself": _by_runner(TIMED_THEN_CRASH, TIMED),
    "block": _everywhere(TIMED) | {ASYNC: TIMED_THEN_CRASH},
    "burn": _everywhere(TIMED) | {ASYNC: TIMED_THEN_CRASH},
    "ignore_sigterm": _everywhere(TIMED) | {ASYNC: TIMED_THEN_CRASH},
    "hold_gil": _everywhere(DONE),
    "hold_gil_for_ever": _by_runner(TIMED_THEN_CRASH, TIMED),
    "grow": _alone(TOO_MUCH),
    "flood": _everywhere(DONE),
    "flood_at_once": _everywhere(DONE),
    "fork": _everywhere(DONE),
    "fork_and_return": _everywhere(DONE),
    "close_output": _everywhere(DONE),
    "close_descriptors": _alone(DONE),
    "use_up_descriptors": _alone(DONE),
}

INLINE: Final[dict[str, Cell]] = {
    name: MATRIX[name][ASYNC]
    for name in (
        *("fail", "fail_unpicklable", "answer_unencodable", "exit_politely"),
        *("flood", "flood_at_once", "close_output"),
    )
}

WORDS: Final[dict[str, str]] = {
    "fail": "raises",
    "fail_unpicklable": "raises what neither `pickle` nor `str()` can take",
    "answer_unencodable": "returns what cannot be encoded",
    "exit_politely": "calls `sys.exit`",
    "exit_at_once": "calls `os._exit`",
    "kill_itself": "kills its process",
    "stop_itself": "stops its process (SIGSTOP)",
    "block": "blocks for ever",
    "burn": "burns processor time in Python for ever",
    "ignore_sigterm": "ignores SIGTERM and goes on",
    "hold_gil": "holds the GIL for seconds (a regex)",
    "hold_gil_for_ever": "holds the GIL for ever",
    "grow": "takes more memory than its `memory_limit` of 256 MiB",
    "flood": "prints 100 MiB, line by line",
    "flood_at_once": "prints 100 MiB in 50 million lines at once",
    "fork": "forks 50 children and leaves them",
    "fork_and_return": "forks and returns twice",
    "close_output": "closes `sys.stdout`",
    "close_descriptors": "closes descriptors 0, 1 and 2",
    "use_up_descriptors": "uses up all file descriptors",
}


def table() -> str:
    """Answers the matrix as a table in Markdown."""
    rows = [
        "| a handler that … | `async def` | `def` | `isolated=True` | inline |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, row in MATRIX.items():
        cells = [row[kind].text(kind) if kind in row else "—" for kind in (*SHARED, ISOLATED)]
        cells.append(INLINE[name].text(ASYNC) if name in INLINE else "—")
        rows.append(f"| {WORDS[name]} | {' | '.join(cells)} |")
    return "\n".join(rows)
