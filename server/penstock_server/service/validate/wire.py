"""Sizes on the wire, by which the common message is told from all others without a look at every
field."""

from typing import Final

NO_SIZE: Final = -1
"""A size that no message has."""


def delimited(size: int) -> int:
    """Gives the bytes that a text, bytes or message of `size` takes as a field numbered below 16.

    Exact below 2 MiB and too small from there on. So if the fields that were looked at add up to
    the size of their message, then nothing else is set in it; and if not, the message is looked at
    field by field.
    """
    return size + (2 if size < 0x80 else 3 if size < 0x4000 else 4)


def names_of(task_type: str, queue: str) -> int:
    """Gives the bytes that a task type takes as a field, and a queue if there is one.

    Names in bounds are ASCII, so their lengths are their sizes. Too small for a name of 128.
    """
    size = len(task_type) + 2
    return size + len(queue) + 2 if queue else size


def payload_size(data: int, content_type: int) -> int:
    """Gives the bytes of a payload if so many bytes of data and so many ASCII characters of
    content type are all that is in it.
    """
    return (delimited(data) if data else 0) + (delimited(content_type) if content_type else 0)
