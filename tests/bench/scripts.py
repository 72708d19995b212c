"""How long each of the store's scripts takes, from the store's own log of commands."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis

from bench.store import MeasuredStore

_MOST_CALLS: Final = 2_000_000
_NAME: Final = re.compile(rb"^-- (\w+): ", re.MULTILINE)
_CALLS: Final = (b"EVALSHA", b"EVALSHA_RO")


@dataclass(frozen=True, slots=True)
class ScriptTimes:
    """One script: how often it ran and how long, all runs together."""

    name: str
    calls: int
    microseconds: int


def watch_scripts(store: MeasuredStore) -> None:
    """Makes every node remember how long each command takes, from now on."""
    for node in store.nodes:
        node.config_resetstat()
        node.config_set("slowlog-max-len", _MOST_CALLS)
        node.config_set("slowlog-log-slower-than", 0)
        node.slowlog_reset()


def script_times(store: MeasuredStore) -> Sequence[ScriptTimes]:
    """What ran since `watch_scripts`, the longest first; the nodes stop to remember."""
    times: dict[str, list[int]] = defaultdict(list)
    for node in store.nodes:
        for sha, spans in _spans(node).items():
            times[_name(node, sha)] += spans
    found = [ScriptTimes(name, len(spans), sum(spans)) for name, spans in times.items()]
    return sorted(found, key=lambda script: -script.microseconds)


def command_times(sections: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Calls and microseconds of each command, from the `commandstats` of all nodes together."""
    found: dict[str, dict[str, float]] = {}
    for section in sections:
        for name, told in section.items():
            row = found.setdefault(name, {"calls": 0, "usec": 0})
            row["calls"] += told["calls"]
            row["usec"] += told["usec"]
    return found


def _spans(node: redis.Redis) -> Mapping[bytes, Sequence[int]]:
    """Microseconds of each run, by script."""
    node.config_set("slowlog-log-slower-than", -1)
    entries: Any = node.slowlog_get(_MOST_CALLS)
    spans: dict[bytes, list[int]] = defaultdict(list)
    for entry in entries:
        name, _, rest = entry["command"].partition(b" ")
        if name.upper() in _CALLS:
            spans[rest.partition(b" ")[0]].append(entry["duration"])
    return spans


def _name(node: redis.Redis, sha: bytes) -> str:
    """The verb that a script's header names; the last one, after the parts that it uses."""
    ask: Any = node.execute_command  # the library does not know this command yet
    source = ask("SCRIPT", "SHOW", sha)
    names = _NAME.findall(source)
    return names[-1].decode() if names else sha.decode()[:12]
