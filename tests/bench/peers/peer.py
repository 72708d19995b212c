"""Each peer: how its worker and its producer start, and where it counts what is left to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import redis

Form = Literal["kept", "fast"]
FORMS: Final[dict[Form, str]] = {
    "kept": "results kept; at least once where the library can",
    "fast": "results thrown away; its documented fast configuration",
}
PROGRAMS: Final = Path(__file__).with_name("programs")
ROOT: Final = PROGRAMS.parents[3]
HOME: Final = ROOT / ".bench"
"""Where `make bench-peers` installs what the peers need."""
_BIN: Final = HOME / "venv" / "bin"
_NODE: Final = shutil.which("node") or "node"


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """A library beside Penstock."""

    name: str
    worker: Sequence[str]
    """The command that executes tasks on both cores."""
    producer: Sequence[str]
    left: Callable[[redis.Redis, Form], int]
    """Tasks that have not ended, without the few in workers that take them at most once."""
    share: float
    """Of the tasks of a run, for what is slower by nature: half a minute is enough."""


def versions() -> dict[str, str]:
    """Version of each package that the peers need, as their lists pin it."""
    lines = (PROGRAMS / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    packages: dict[str, str] = json.loads((PROGRAMS / "package.json").read_text())["dependencies"]
    return {f"peer {name.partition('[')[0]}": pin for name, pin in (pins | packages).items()}


def missing() -> str:
    """What is not there to measure peers with, and what to do. Empty if all is."""
    if (_BIN / "celery").exists() and (HOME / "node_modules" / "bullmq").exists():
        return ""
    return "the other libraries are not installed; `make bench-peers` installs them (needs npm)"


def _orders(module: str) -> Sequence[str]:
    # Not as the main module: some libraries name a task after the module that it is in.
    return [str(_BIN / "python"), "-c", f"from {module} import main; main()"]


def _count(command: str, *keys: str) -> Callable[[redis.Redis, Form], int]:
    def left(store: redis.Redis, _: Form) -> int:
        counts: list[Any] = [store.execute_command(command, key) for key in keys]  # type: ignore[no-untyped-call]
        return sum(map(int, counts))

    return left


def _celery_left(store: redis.Redis, form: Form) -> int:
    # What is fetched and not acknowledged stays in a hash of its own.
    return _count("LLEN", "celery")(store, form) + _count("HLEN", "unacked")(store, form)


def _taskiq_left(store: redis.Redis, form: Form) -> int:
    if form == "fast":
        return _count("LLEN", "taskiq")(store, form)
    groups: Any = store.xinfo_groups("taskiq")
    return sum(int(group["lag"] or 0) + int(group["pending"]) for group in groups)


PEERS: Final = (
    Peer(
        name="BullMQ",
        worker=[_NODE, "bullmq_peer.mjs", "work"],
        producer=[_NODE, "bullmq_peer.mjs"],
        left=_count("LLEN", "bull:peer:wait", "bull:peer:active"),
        share=1.0,
    ),
    Peer(
        name="Celery",
        worker=[
            *(str(_BIN / "celery"), "-A", "celery_peer", "worker", "--pool=prefork", "-c2"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat", "-lWARNING"),
        ],
        producer=_orders("celery_peer"),
        left=_celery_left,
        share=0.1,
    ),
    Peer(
        name="dramatiq",
        worker=[str(_BIN / "dramatiq"), "dramatiq_peer", "--processes=2", "--threads=8"],
        producer=_orders("dramatiq_peer"),
        left=_count("HLEN", "dramatiq:default.msgs"),
        share=0.2,
    ),
    Peer(
        name="taskiq",
        worker=[
            *(str(_BIN / "taskiq"), "worker", "taskiq_peer:broker", "--workers=2"),
            *("--max-async-tasks=100", "--log-level=WARNING"),
        ],
        producer=_orders("taskiq_peer"),
        left=_taskiq_left,
        share=0.3,
    ),
    Peer(
        name="huey",
        worker=[
            *(str(_BIN / "python"), str(_BIN / "huey_consumer"), "huey_peer.huey"),
            *("-w2", "-kprocess", "-q"),
        ],
        producer=_orders("huey_peer"),
        left=_count("LLEN", "huey.redis.peer"),
        share=0.3,
    ),
)
