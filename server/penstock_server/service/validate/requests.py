"""What every request has in common: checked whole, refused with one error; and batches, item by
item."""

from collections.abc import Sequence

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
    rules: Check, items: Sequence[Message], limits: Limits
) -> list[PenstockError | None]:
    """Gives what is wrong with each of `items`, None where nothing is."""
    errors: list[PenstockError | None] = [None] * len(items)
    found = Found(limits)
    for index, item in enumerate(items):
        rules(item, "", found)
        if found.wrong:
            errors[index] = found.error(prefix=f"items[{index}].", most_bytes=ITEM_BYTES)
            found = Found(limits)
    return errors
