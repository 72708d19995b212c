"""Collects what is wrong with a request, and makes one error of it."""

from typing import Final, NamedTuple

from penstock_server.model.errors import FieldInvalid, PenstockError, TooLarge, Violation
from penstock_server.service.validate.limits import Limits

MOST_VIOLATIONS: Final = 100

REQUEST_BYTES: Final = 2_000
"""Text that the error of a call may hold. It travels in trailers: twice as text and once as base64,
and stock clients refuse more than 8 KiB of them, which would hide the error behind one about its
size."""

ITEM_BYTES: Final = 800
"""Text that the error of one item may hold: a thousand of them must fit in an answer of 4 MiB, each
text twice."""


class Oversize(NamedTuple):
    """Content that is larger than allowed; sizes in bytes."""

    field: str
    size: int
    limit: int


class Found:
    """What was found wrong so far. Field paths are relative to what is being checked."""

    __slots__ = ("limits", "wrong")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.wrong: list[Violation | Oversize] = []

    @property
    def is_full(self) -> bool:
        """True once more violations would not be told anyway."""
        return len(self.wrong) >= MOST_VIOLATIONS

    def add(self, field: str, description: str) -> None:
        """Notes what is wrong with a field, and what is allowed."""
        if not self.is_full:
            self.wrong.append(Violation(field, description))

    def add_oversize(self, field: str, size: int, limit: int) -> None:
        """Notes content that is larger than allowed."""
        if not self.is_full:
            self.wrong.append(Oversize(field, size, limit))

    def error(self, *, prefix: str = "", most_bytes: int = REQUEST_BYTES) -> PenstockError:
        """Makes one error of all that is wrong, as far as `most_bytes` of text allow.

        Content that is too large is TooLarge where nothing else is wrong, and one more violation
        otherwise.
        """
        sizes = [one for one in self.wrong if isinstance(one, Oversize)]
        if sizes and len(sizes) == len(self.wrong):
            field, size, limit = sizes[0]
            return TooLarge(field=prefix + field, size=size, limit=limit)
        return FieldInvalid(_within(most_bytes, [_violation(prefix, one) for one in self.wrong]))

    def raise_if_any(self) -> None:
        """Raises the error, if anything is wrong."""
        if self.wrong:
            raise self.error()


def _violation(prefix: str, one: Violation | Oversize) -> Violation:
    if isinstance(one, Oversize):
        description = f"has {one.size} bytes, at most {one.limit} are allowed"
        return Violation(prefix + one.field, description)
    return Violation(prefix + one.field, one.description)


def _within(most_bytes: int, violations: list[Violation]) -> list[Violation]:
    """Gives as many as fit, and at least one."""
    taken = 0
    for count, violation in enumerate(violations):
        taken += len(violation.field.encode()) + len(violation.description.encode())
        if taken > most_bytes:
            return violations[: max(count, 1)]
    return violations
