"""Task ids: 128 bits, time first, the partition in the low bits, as 26 characters of lower-case
Crockford base32.

Layout, from the top: 48 bits of milliseconds, 12 bits that count the calls within one millisecond,
58 random bits, 10 bits of partition. Ids of one call differ by 1 in the random field, so they sort
in the order of the call, and an id of a repeated call can be computed from the first one.
"""

import re
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final

ID_LENGTH: Final = 26
PARTITION_BITS: Final = 10
MAX_PARTITIONS: Final = 1 << PARTITION_BITS
_RANDOM_BITS: Final = 58
_CALL_BITS: Final = 12
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS: Final = [high + low for high in _ALPHABET for low in _ALPHABET]
_PARTITION: Final = {pair: number for number, pair in enumerate(_PAIRS)}
_VALUE: Final = {char: number for number, char in enumerate(_ALPHABET)}
_TASK_ID: Final = re.compile(f"[0-7][{_ALPHABET}]{{25}}")
_TASK_IDS: Final = re.compile(f"(?:{_TASK_ID.pattern})*+")


def are_task_ids(texts: Sequence[str]) -> bool:
    """Tells whether all texts have the form of a task id; their lengths are known to fit."""
    return _TASK_IDS.fullmatch("".join(texts)) is not None


def is_task_id(text: str) -> bool:
    """Tells whether the text has the form of a task id."""
    return _TASK_ID.fullmatch(text) is not None


def partition_of(task_id: str) -> int:
    """The partition that a well-formed task id names."""
    return _PARTITION[task_id[-2:]]


def _encode(number: int) -> str:
    pairs = _PAIRS
    return "".join([pairs[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def _decode(task_id: str) -> int:
    number = 0
    for char in task_id:
        number = number << 5 | _VALUE[char]
    return number


def ids_from(first: str, count: int) -> list[str]:
    """The `count` ids of one call, of which `first` is the first."""
    if count == 1:
        return [first]
    partition = first[-2:]
    # Counting changes the pair in front of the partition, and what stands before it only every
    # 1,024th time.
    head, low = divmod(_decode(first[:-2]), len(_PAIRS))
    ids: list[str] = []
    while len(ids) < count:
        start = _encode(head)[-22:]
        ids += [start + pair + partition for pair in _PAIRS[low : low + count - len(ids)]]
        head, low = head + 1, 0
    return ids


class TaskIds:
    """Makes task ids that rise within this process, also within one millisecond."""

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        random_bits: Callable[[int], int] = secrets.randbits,
    ) -> None:
        self._clock = clock
        self._random_bits = random_bits
        self._last = 0

    def first(self, partition: int) -> str:
        """The first id of a new call in the partition."""
        head = int(self._clock() * 1000) << _CALL_BITS
        # One more than the last head when the millisecond is the same, or when the clock went back.
        self._last = head = max(head, self._last + 1)
        # The top random bit stays 0, so that counting up within a call cannot overflow the field.
        return _encode(
            (head << _RANDOM_BITS | self._random_bits(_RANDOM_BITS - 1)) << PARTITION_BITS
            | partition
        )
