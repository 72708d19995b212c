"""What every request has in common: checked whole, refused with one error; and batches, item by
item."""

from collections.abc import Sequence
from itertools import zip_longest

from google.protobuf.message import Message

from penstock_server.model.errors import PenstockError
from penstock_server.service.validate.found import ITEM_BYTES, Found
from penstock_server.service.validate.limits import Limits
from penstock_server.service.validate.rules import Check, MessageRules


def check(rules: MessageRules, request: Message, limits: Limits) -> None:
    """Raises FieldInvalid or TooLarge if anything is wrong with a request."""
    found = Found(limits)
    rules(request, "", found)
    found.raise_if_any()


def check_items(
    rules: Check, items: Sequence[Message], limits: Limits, known: Sequence[object | None] = ()
) -> list[PenstockError | None]:
    """Gives what is wrong with each of `items`, None where nothing is.

    Those for which `known` holds something are not looked at.
    """
    errors: list[PenstockError | None] = [None] * len(items)
    found = Found(limits)
    for index, (item, fine) in enumerate(zip_longest(items, known)):
        if fine is not None:
            continue
        rules(item, "", found)
        if found.wrong:
            errors[index] = found.error(prefix=f"items[{index}].", most_bytes=ITEM_BYTES)
            found = Found(limits)
    return errors
