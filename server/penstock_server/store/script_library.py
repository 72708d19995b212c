"""The scripts: read from `scripts/`, joined with what they use, and called by their hash.

A script says in its header which parts of `scripts/prelude/` it uses, which other scripts it calls
as functions of their input, and with which flags it runs.
Keys, limits, moves and policy defaults are spelled in Python and handed to the scripts that name
them, so that nothing is written down twice.
"""

import re
from dataclasses import dataclass, fields
from datetime import timedelta
from hashlib import sha1
from pathlib import Path
from typing import Final

from penstock_server.model.lifecycle import MOVES
from penstock_server.model.records import StoreLimits

from . import keys, policy

_FOLDER: Final = Path(__file__).with_name("scripts")
_USES: Final = re.compile(r"^--   uses   (.+)$", re.MULTILINE)
_CALLS: Final = re.compile(r"^--   calls  (.+)$", re.MULTILINE)
_FLAGS: Final = re.compile(r"^--   flags  (\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """One verb: its whole source and the hash that the store knows it by."""

    name: str
    source: str
    sha: str
    reads_only: bool


def script_names() -> list[str]:
    """The verbs, in alphabetical order."""
    return sorted(path.stem for path in _FOLDER.glob("*.lua"))


def load_scripts(limits: StoreLimits) -> dict[str, Script]:
    """All verbs, with the limits built in."""
    return {name: _load(name, limits) for name in script_names()}


def _load(name: str, limits: StoreLimits) -> Script:
    body = _body(name)
    uses, calls = (
        found[1].split() if (found := look.search(body)) else [] for look in (_USES, _CALLS)
    )
    parts = (_part(part) for part in uses)
    called = (f"local function {other}(input)\n{_body(other)}end" for other in calls)
    text = "\n".join([*parts, *called, body])
    flags = _flags(body)
    # The shebang makes the store itself refuse a key of another slot, and tells it what the script
    # may do.
    first_line = "#!lua" + (f" flags={flags}" if flags else "")
    tables = [_limits(text, limits), _moves(text), _policy(text)]
    tables += ["local P = KEYS[1]", _keys(text)]
    source = "\n".join([first_line, *filter(None, tables), text])
    # The store names scripts by this hash; it protects nothing.
    return Script(
        name, source, sha1(source.encode(), usedforsecurity=False).hexdigest(), flags == "no-writes"
    )


def _body(name: str) -> str:
    return (_FOLDER / f"{name}.lua").read_text()


def _part(name: str) -> str:
    text = (_FOLDER / "prelude" / f"{name}.lua").read_text()
    return f"{keys.lua_task_fields()}\n{text}" if name == "task" else text


def _flags(body: str) -> str:
    """A script that says nothing may run in a full store, so that the store can drain."""
    given = _FLAGS.search(body)
    if given is None:
        return "allow-oom"
    return "" if given[1].startswith("none") else given[1]


def _keys(text: str) -> str:
    used = set(re.findall(r"\bkey_(\w+)\b", text))
    return keys.lua_source([kind for kind in keys.TEMPLATES if kind in used])


def _limits(text: str, limits: StoreLimits) -> str:
    values = limit_values(limits)
    used = sorted(set(re.findall(r"\bLIMITS\.(\w+)", text)))
    return (
        "local LIMITS = {" + ", ".join(f"{name} = {values[name]}" for name in used) + "}"
        if used
        else ""
    )


def _moves(text: str) -> str:
    if "MOVES" not in text:
        return ""
    tables = []
    for move, leads in MOVES.items():
        if f"'{move.value}'" in text:
            states = ", ".join(
                f"[{int(state)}] = {int(after) if after else 0}" for state, after in leads.items()
            )
            tables.append(f"{move.value} = {{{states}}}")
    return "local MOVES = {" + ", ".join(tables) + "}"


def _policy(text: str) -> str:
    return policy.lua_source() if "POLICY_NAMES" in text else ""


def limit_values(limits: StoreLimits) -> dict[str, int]:
    """The limits as the scripts name them: spans in milliseconds, with `_ms` behind the name."""
    values: dict[str, int] = {}
    for field in fields(limits):
        value = getattr(limits, field.name)
        if isinstance(value, timedelta):
            values[f"{field.name}_ms"] = round(value / timedelta(milliseconds=1))
        else:
            values[field.name] = value
    return values
