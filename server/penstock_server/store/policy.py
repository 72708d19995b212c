"""The head of a stored spec: what the scripts must know to judge executions, in front of what the
service wrote.

Form: two bytes of length, big-endian; so many bytes of msgpack, an array in the order of `NAMES`
with nil for a default; then the spec. A task that asks for nothing special has an empty head.
"""

import struct
from dataclasses import fields
from functools import lru_cache
from typing import Final

import msgpack

from penstock_server.model.records import DEFAULT_POLICY, Policy

NAMES: Final = (
    "creator",
    "max_attempts",
    "initial_backoff_ms",
    "max_backoff_ms",
    "multiplier",
    "jitter",
    "max_crashes",
    "non_retryable_kinds",
    "cancel_grace_ms",
)
"""Fields of `Policy` by their position in the head. Positions are only ever added."""

_EMPTY: Final = b"\0\0"
_LENGTH: Final = struct.Struct(">H")

assert {field.name for field in fields(Policy)} == set(NAMES)


def with_policy(policy: Policy, spec: bytes) -> bytes:
    """The form in which a spec is stored."""
    return (_EMPTY if policy is DEFAULT_POLICY else _head_of(policy)) + spec


@lru_cache(maxsize=1024)
def _head_of(policy: Policy) -> bytes:
    values = [_unless_default(policy, name) for name in NAMES]
    if not any(value is not None for value in values):
        return _EMPTY
    head: bytes = msgpack.packb(values)
    return _LENGTH.pack(len(head)) + head


def _unless_default(policy: Policy, name: str) -> object:
    value = getattr(policy, name)
    return None if value == getattr(DEFAULT_POLICY, name) else value


def spec_of(stored: bytes) -> bytes:
    """What the service wrote."""
    return stored[2:] if stored[:2] == _EMPTY else stored[2 + _LENGTH.unpack_from(stored)[0] :]


def creator_of(stored: bytes) -> str:
    """Who submitted the task."""
    (length,) = _LENGTH.unpack_from(stored)
    if not length:
        return DEFAULT_POLICY.creator
    creator: str | None = msgpack.unpackb(stored[2 : 2 + length])[0]
    return creator if creator is not None else DEFAULT_POLICY.creator


def lua_source() -> str:
    """Names and defaults as Lua tables, for the scripts that judge executions."""
    names = ", ".join(f"'{name}'" for name in NAMES)
    defaults = ", ".join(_lua_value(getattr(DEFAULT_POLICY, name)) for name in NAMES)
    return f"local POLICY_NAMES = {{{names}}}\nlocal POLICY_DEFAULTS = {{{defaults}}}"


def _lua_value(value: object) -> str:
    if isinstance(value, tuple):
        return "{" + ", ".join(_lua_value(item) for item in value) + "}"
    return f"'{value}'" if isinstance(value, str) else str(value)
