"""Lease tokens: the proof of a lease, as workers carry it.

A token spells version, partition, task id, fence and 128 random bits from the server's secure
generator, as base64url. The store compares fence and random bits whole. Tokens are secrets: they
are never logged.
"""

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from struct import Struct
from struct import error as StructError
from typing import Final, NamedTuple

from .ids import is_task_id, partition_of

RANDOM_BYTES: Final = 16
_VERSION: Final = 1
_FORM: Final = Struct(">B26sQ16s")
_LENGTH: Final = 68
# What `base64.urlsafe_b64encode` does, without its two calls more: every lease and report comes by.
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
# The other alphabet of base64 is none here, since a token has one spelling. The decoder skips what
# is foreign to it, and then a byte is missing.
_FROM_URL: Final = bytes.maketrans(b"-_+/", b"+/!!")


class LeaseToken(NamedTuple):
    """What a lease token says."""

    task_id: str
    fence: int
    random: bytes

    @property
    def partition(self) -> int:
        """The partition of the leased task."""
        return partition_of(self.task_id)


def encode_lease_token(task_id: str, fence: int, random: bytes) -> str:
    """Spells a token for the wire."""
    packed = _FORM.pack(_VERSION, task_id.encode(), fence, random)
    return b2a_base64(packed, newline=False).translate(_TO_URL).decode()


def decode_lease_token(text: str) -> LeaseToken | None:
    """Reads a token from the wire; None if it is not one."""
    if len(text) != _LENGTH:
        return None
    try:
        packed = a2b_base64(text.encode("ascii").translate(_FROM_URL))
        version, task_id, fence, random = _FORM.unpack(packed)
        task_id = task_id.decode()
    except (Base64Error, StructError, ValueError):
        return None
    if version != _VERSION or not is_task_id(task_id):
        return None
    return LeaseToken(task_id, fence, random)
