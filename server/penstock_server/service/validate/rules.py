"""Checks of single fields, and the tables that make checks of messages from them.

A check takes a value, the path of its field, and what was found so far. It adds to what was found
and never raises, whatever the value. Checks run on every task that is submitted, so what is fine
costs next to nothing, and texts are made only for what is wrong.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from json.encoder import encode_basestring_ascii
from typing import Any, Final

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message

from penstock_server.service.validate.found import Found

Check = Callable[[Any, str, Found], None]

SAFE_INTEGER: Final = (1 << 53) - 1
"""Largest whole number that the store's scripts can hold exactly."""

_ECHO: Final = 48


def shown(text: str) -> str:
    """Gives a text as it may stand in an error: one line of ASCII in quotes, cut after 48
    characters."""
    return encode_basestring_ascii(text if len(text) <= _ECHO else text[:_ECHO] + "...")


def anything(value: Any, path: str, found: Found) -> None:
    """Takes every value: for fields that are output only, or judged elsewhere."""


def name(pattern: str, description: str) -> Check:
    """Makes a check of texts that must fit a pattern whole; `description` says what is allowed."""
    fits = re.compile(pattern).fullmatch

    def check(value: str, path: str, found: Found) -> None:
        if fits(value) is None:
            found.add(path, f"is {shown(value)}, must be {description}")

    return check


def text(most: int) -> Check:
    """Makes a check of texts of at most `most` bytes of UTF-8."""
    surely_fits = most // 4

    def check(value: str, path: str, found: Found) -> None:
        if len(value) > surely_fits and len(value.encode()) > most:
            found.add(path, f"has {len(value.encode())} bytes, at most {most} are allowed")

    return check


def key(most: int) -> Check:
    """Makes a check of map keys of 1 to `most` characters."""

    def check(value: str, path: str, found: Found) -> None:
        if not 1 <= len(value) <= most:
            found.add(path, f"has {len(value)} characters, 1 to {most} are allowed")

    return check


def number(low: float, high: float) -> Check:
    """Makes a check of numbers from `low` to `high`, both included. NaN and infinities never
    fit."""

    def check(value: float, path: str, found: Found) -> None:
        if not low <= value <= high:
            found.add(path, f"is {_shown_number(value)}, allowed are {low:,} to {high:,}")

    return check


def number_or_default(low: int, high: int) -> Check:
    """Makes a check of numbers from `low` to `high`, or 0 for the default."""

    def check(value: int, path: str, found: Found) -> None:
        if value and not low <= value <= high:
            found.add(path, f"is {value:,}, allowed are {low:,} to {high:,}, or 0 for the default")

    return check


def not_negative(value: int, path: str, found: Found) -> None:
    """Takes 0 and above: for counts and sizes whose upper end is taken as the maximum, and not
    refused."""
    if value < 0:
        found.add(path, f"is {value:,}, must not be negative")


def choice(enum: EnumDescriptor, *, without: Iterable[str] = ()) -> Check:
    """Makes a check of enum values: known ones, except those named in `without`."""
    refused = set(without)
    names = {value.number: value.name for value in enum.values if value.name not in refused}
    allowed = ", ".join(names.values())

    def check(value: int, path: str, found: Found) -> None:
        if value not in names:
            found.add(path, f"is {value}, allowed are {allowed}")

    return check


def each(check_one: Check, *, most: int) -> Check:
    """Makes a check of repeated fields: at most `most` entries, each of which is checked."""

    def check(values: Any, path: str, found: Found) -> None:
        if len(values) > most:
            found.add(path, f"has {len(values):,} entries, at most {most:,} are allowed")
            return
        for index, value in enumerate(values):
            check_one(value, f"{path}[{index}]", found)

    return check


def mapping(check_key: Check, check_value: Check, *, most: int) -> Check:
    """Makes a check of maps: at most `most` entries, whose keys and values are checked."""

    def check(values: Mapping[str, str], path: str, found: Found) -> None:
        if len(values) > most:
            found.add(path, f"has {len(values):,} entries, at most {most:,} are allowed")
            return
        for map_key, value in values.items():
            at = f"{path}[{shown(map_key)}]"
            check_key(map_key, at, found)
            check_value(value, at, found)

    return check


class MessageRules:
    """A check of messages of one type: a rule for each of its fields, and which of them are
    required.

    Only fields that are set are looked at. A field without a rule is a mistake of ours, found when
    the rules are made.
    """

    def __init__(
        self,
        message: type[Message],
        rules: Mapping[str, Check],
        *,
        required: Iterable[str] = (),
        also: Check | None = None,
    ) -> None:
        fields = message.DESCRIPTOR.fields_by_name
        if set(fields) != set(rules):
            differ = ", ".join(sorted(set(fields) ^ set(rules)))
            raise ValueError(f"{message.DESCRIPTOR.name}: rules and fields differ: {differ}")
        # By descriptor, since asking each for its number takes longer than the look-up. One that is
        # not found is a KeyError, so nothing can pass unseen.
        self._rules = {fields[name]: (name, rule) for name, rule in rules.items()}
        self._required = tuple((name, _presence(name, fields[name])) for name in required)
        self._also = also

    def __call__(self, message: Message, path: str, found: Found) -> None:
        """Checks a message that stands at `path`; at the root of a request the path is empty."""
        prefix = f"{path}." if path else ""
        rules = self._rules
        for field, value in message.ListFields():
            name, rule = rules[field]
            rule(value, prefix + name, found)
        for name, is_set in self._required:
            if not is_set(message):
                found.add(prefix + name, "is required")
        if self._also is not None:
            self._also(message, prefix, found)

    def check_fields(self, names: Iterable[str], message: Message, path: str, found: Found) -> None:
        """Checks only the fields of these names, as an update does."""
        wanted = set(names)
        for field, value in message.ListFields():
            name, rule = self._rules[field]
            if name in wanted:
                rule(value, f"{path}.{name}", found)


def _presence(name: str, field: Any) -> Callable[[Message], bool]:
    """Gives the test whether a field is set: a message by presence, anything else by not being
    empty."""
    if field.message_type is not None and not field.is_repeated:
        return lambda message: message.HasField(name)
    return lambda message: bool(getattr(message, name))


def _shown_number(value: float) -> str:
    return f"{value:,}" if math.isfinite(value) else str(value)
