"""Lease tokens: the proof of a lease, as workers carry it.

A token spells version, partition, task id, fence and 128 random bits from the server's secure
generator, as base64url. The store compares fence and random bits whole. Tokens are secrets: they
are never logged.
"""

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Sequence
from struct import Struct
from struct import error as StructError
from typing import Final, NamedTuple

from .ids import are_task_ids, partition_of

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
    return decode_lease_tokens([text])[0]


def decode_lease_tokens(texts: Sequence[str]) -> Sequence[LeaseToken | None]:
    """Reads tokens from the wire, all at once; None for each that is not one."""
    fit = all(len(text) == _LENGTH for text in texts)
    tokens = _read("".join(texts)) if fit else None
    if tokens is not None:
        return tokens
    return [None] if len(texts) == 1 else [decode_lease_token(text) for text in texts]


def _read(text: str) -> list[LeaseToken] | None:
    """Reads tokens that stand one behind the other; None if one of them is none."""
    try:
        packed = a2b_base64(text.encode("ascii").translate(_FROM_URL))
        tokens = [
            LeaseToken(task_id.decode(), fence, random)
            for version, task_id, fence, random in _FORM.iter_unpack(packed)
            if version == _VERSION
        ]
    except (Base64Error, StructError, ValueError):
        return None
    # What the decoder has skipped is missing here, and so is a token of another version.
    complete = len(tokens) * _LENGTH == len(text)
    return tokens if complete and are_task_ids([token.task_id for token in tokens]) else None
