"""Values of settings as people write them: spans (`60s`), sizes (`1 MiB`), addresses.

Every parser takes what a YAML file, an environment variable or a flag may hold, and raises
ValueError with a text that says what to write instead.
"""

import ipaddress
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Final
from urllib.parse import urlsplit, urlunsplit

from pydantic import BeforeValidator, PlainSerializer

_SPAN_UNITS: Final = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_SIZE_UNITS: Final = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_NUMBER_AND_UNIT: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")
_STORE_SCHEMES: Final = ("redis", "rediss", "unix")


def parse_span(value: object) -> timedelta:
    """A span from `500ms`, `60s`, `10min`, `24h` or `30d`. A bare number is refused: of what?"""
    if isinstance(value, timedelta):
        return value
    match = _NUMBER_AND_UNIT.fullmatch(value) if isinstance(value, str) else None
    unit = _SPAN_UNITS.get(match[2]) if match else None
    if match is None or unit is None:
        raise ValueError("write a number and a unit (ms, s, min, h, d), e.g. `60s`")
    return float(match[1]) * unit


def format_span(span: timedelta) -> str:
    """The span as `parse_span` reads it, in the largest unit that needs no fraction."""
    for name in ("d", "h", "min", "s", "ms"):
        if span and not span % _SPAN_UNITS[name]:
            return f"{span // _SPAN_UNITS[name]}{name}"
    return f"{span.total_seconds():g}s"


def parse_size(value: object) -> int:
    """Bytes from `1 MiB`, `64KiB` or a bare number of bytes."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _NUMBER_AND_UNIT.fullmatch(value) if isinstance(value, str) else None
    unit = _SIZE_UNITS.get(match[2]) if match else None
    if match is None or unit is None:
        raise ValueError("write a number of bytes, or one with KiB, MiB or GiB, e.g. `1 MiB`")
    return int(float(match[1]) * unit)


def format_size(size: int) -> str:
    """The size as `parse_size` reads it, in the largest unit that needs no fraction."""
    for name in ("TiB", "GiB", "MiB", "KiB"):
        if size and not size % _SIZE_UNITS[name]:
            return f"{size // _SIZE_UNITS[name]} {name}"
    return f"{size} B"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a host name or IP address, and a port. Port 0 lets the system choose one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """True if only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_address(value: object) -> Address:
    """An address from `host:port`; an IPv6 host stands in brackets."""
    if isinstance(value, Address):
        return value
    host, colon, port = str(value).rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError("write host:port, e.g. `127.0.0.1:7700` or `[::1]:7700`")
    return Address(host, int(port))


def parse_address_or_off(value: object) -> Address | None:
    """An address, or None for `off`, which YAML reads as false."""
    return None if value is None or value is False or value == "off" else parse_address(value)


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """Where the store is. Printing it never shows the password; `secret_text` is for the driver."""

    secret_text: str = field(repr=False)

    def __str__(self) -> str:
        parts = urlsplit(self.secret_text)
        if parts.password is None:
            return self.secret_text
        user, _, place = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user.split(':')[0]}:***@{place}"))

    @property
    def is_embedded(self) -> bool:
        """True if Penstock starts the store itself."""
        return self.secret_text == "embedded"


def parse_store_url(value: object) -> StoreUrl:
    """`embedded`, or a URL of Redis or Valkey."""
    if isinstance(value, StoreUrl):
        return value
    if value != "embedded" and urlsplit(str(value)).scheme not in _STORE_SCHEMES:
        raise ValueError(
            "write `embedded`, redis://host:port/0, rediss://host:port/0 or unix:///path/to.sock"
        )
    return StoreUrl(str(value))


def parse_switch(value: object) -> object:
    """`on` and `off` as text: YAML reads both as truth values."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


Span = Annotated[
    timedelta, BeforeValidator(parse_span), PlainSerializer(format_span, return_type=str)
]
"""A span of time, written with its unit."""

Size = Annotated[int, BeforeValidator(parse_size), PlainSerializer(format_size, return_type=str)]
"""A number of bytes, written with or without a unit."""

ListenAddress = Annotated[
    Address, BeforeValidator(parse_address), PlainSerializer(str, return_type=str)
]
"""An address, written as host:port."""

OptionalAddress = Annotated[
    Address | None,
    BeforeValidator(parse_address_or_off),
    PlainSerializer(lambda value: "off" if value is None else str(value), return_type=str),
]
"""An address, or `off`."""

StoreAddress = Annotated[
    StoreUrl, BeforeValidator(parse_store_url), PlainSerializer(str, return_type=str)
]
"""`embedded` or a URL; its password is never printed."""
