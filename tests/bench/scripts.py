"""How long each of the store's scripts takes, from the store's own log of commands."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

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
    """Makes the store remember how long every command takes, from now on."""
    store.client.config_set("slowlog-max-len", _MOST_CALLS)
    store.client.config_set("slowlog-log-slower-than", 0)
    store.client.slowlog_reset()


def script_times(store: MeasuredStore) -> Sequence[ScriptTimes]:
    """What ran since `watch_scripts`, the longest first; the store stops to remember."""
    store.client.config_set("slowlog-log-slower-than", -1)
    entries: Any = store.client.slowlog_get(_MOST_CALLS)
    times: dict[bytes, list[int]] = defaultdict(list)
    for entry in entries:
        name, _, rest = entry["command"].partition(b" ")
        if name.upper() in _CALLS:
            times[rest.partition(b" ")[0]].append(entry["duration"])
    found = [ScriptTimes(_name(store, sha), len(spans), sum(spans)) for sha, spans in times.items()]
    return sorted(found, key=lambda script: -script.microseconds)


def _name(store: MeasuredStore, sha: bytes) -> str:
    """The verb that a script's header names; the last one, after the parts that it uses."""
    ask: Any = store.client.execute_command  # the library does not know this command yet
    source = ask("SCRIPT", "SHOW", sha)
    names = _NAME.findall(source)
    return names[-1].decode() if names else sha.decode()[:12]
