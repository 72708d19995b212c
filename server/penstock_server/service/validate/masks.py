"""Checks of updates: which fields are taken, and only those are looked at."""

from collections.abc import Sequence

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from penstock_server.service.validate.found import Found
from penstock_server.service.validate.rules import MessageRules, shown


class UpdateRules:
    """A check of a message together with the mask that says which of its fields to take."""

    def __init__(self, rules: MessageRules, updatable: Sequence[str], *, whole: bool) -> None:
        """`whole` allows `*`, and an empty mask for whatever is set; without it a mask is
        required."""
        self._rules = rules
        self._updatable = tuple(updatable)
        self._whole = whole
        self._allowed = ", ".join([*updatable, *(["*"] if whole else [])])

    def __call__(self, message: Message, path: str, mask: FieldMask, found: Found) -> None:
        """Checks the masked fields of a message at `path`, and the mask as `update_mask`."""
        if not mask.paths and not self._whole:
            found.add("update_mask", f"is required, allowed are {self._allowed}")
        for index, name in enumerate(mask.paths):
            if found.is_full:
                return
            if name not in self._updatable and not (self._whole and name == "*"):
                why = f"is {shown(name)}, allowed are {self._allowed}"
                found.add(f"update_mask.paths[{index}]", why)
        everything = not mask.paths or "*" in mask.paths
        taken = self._updatable if everything else mask.paths
        self._rules.check_fields(taken, message, path, found)
