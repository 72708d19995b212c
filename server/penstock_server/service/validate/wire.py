"""Sizes on the wire, by which the common message is told from all others without a look at every
field."""


def delimited(size: int) -> int:
    """Gives the bytes that a text, bytes or message of `size` takes as a field numbered below 16.

    Exact below 2 MiB and too small from there on. So if the fields that were looked at add up to
    the size of their message, then nothing else is set in it; and if not, the message is looked at
    field by field.
    """
    return size + (2 if size < 0x80 else 3 if size < 0x4000 else 4)


def payload_of(size: int) -> int:
    """Gives the bytes that a payload of nothing but `size` bytes of data takes; 0 for no data."""
    if size < 0x7E:
        return size + 4 if size else 0
    return delimited(delimited(size))
