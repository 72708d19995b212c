"""Page tokens: where a list goes on, opaque to clients.

A token spells a version, the keyset values that the next page begins after, and a hash of what the
page was asked with, so that a token of one list is refused by another one. It is no secret and
proves nothing: what it names is checked against the caller's permissions like everything else.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import msgpack

from penstock_server.model.errors import PageTokenInvalid

MOST_CHARACTERS: Final = 1_024

_VERSION: Final = 1
_HASH_BYTES: Final = 16

PageValue = str | int


def encode_page_token(values: Sequence[PageValue], arguments: Sequence[object]) -> str:
    """Makes the token of the page that begins after `values`.

    `arguments` are the method, the namespace, and every other field that chooses or orders what is
    listed: numbers, texts, booleans, or lists of them. The page size may differ from page to page.
    """
    token = _spelled(values, arguments)
    if len(token) > MOST_CHARACTERS:
        raise ValueError(f"a page token of {len(token)} characters, most is {MOST_CHARACTERS}")
    return token


def decode_page_token(
    token: str, arguments: Sequence[object], *kinds: type[PageValue]
) -> list[PageValue]:
    """Gives the values that a token was made with, one of each of `kinds`.

    Raises PageTokenInvalid unless the token was made for these arguments, or by somebody who took
    the trouble to spell one: its values are of the right kinds and not too long, and no more.
    """
    if len(token) > MOST_CHARACTERS or not token.isascii():
        raise PageTokenInvalid
    try:
        parts = msgpack.unpackb(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except ValueError as error:  # whatever is wrong with it: base64, msgpack or UTF-8
        raise PageTokenInvalid from error
    # Spelled anew it is the same token only if version, hash and form are what they must be.
    if not _holds(parts, kinds) or _spelled(parts[2], arguments) != token:
        raise PageTokenInvalid
    values: list[PageValue] = parts[2]
    return values


def name_before_page(token: str, arguments: Sequence[object]) -> str:
    """The name after which a page of a list by name begins; empty for the first page, whose token
    is empty. Raises PageTokenInvalid.
    """
    return str(decode_page_token(token, arguments, str)[0]) if token else ""


def _spelled(values: Sequence[PageValue], arguments: Sequence[object]) -> str:
    body = msgpack.packb([_VERSION, _hash(arguments), list(values)])
    return urlsafe_b64encode(body).decode().rstrip("=")


def _holds(parts: Any, kinds: Sequence[type[PageValue]]) -> bool:
    if not isinstance(parts, list) or len(parts) != 3 or not isinstance(parts[2], list):
        return False
    return [type(value) for value in parts[2]] == list(kinds)


def _hash(arguments: Sequence[object]) -> bytes:
    return blake2b(msgpack.packb(list(arguments)), digest_size=_HASH_BYTES).digest()
