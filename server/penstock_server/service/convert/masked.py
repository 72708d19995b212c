"""Updates with a mask: what a message is after one."""

from collections.abc import Sequence
from typing import TypeVar

from google.protobuf.message import Message

AnyMessage = TypeVar("AnyMessage", bound=Message)


def merged(known: bytes, given: AnyMessage, paths: Sequence[str]) -> AnyMessage:
    """The known message with fields of the given one: those that the mask names, set or not.

    An empty mask takes the fields that are set, `*` everything. Not for repeated fields.
    """
    if "*" in paths:
        return given
    message = type(given).FromString(known)
    set_fields = {field.name: value for field, value in given.ListFields()}
    for name in paths or set_fields:
        message.ClearField(name)
        if name in set_fields:
            _set(message, name, set_fields[name])
    return message


def _set(message: Message, name: str, value: object) -> None:
    if isinstance(value, Message):
        getattr(message, name).CopyFrom(value)
    else:
        setattr(message, name, value)
