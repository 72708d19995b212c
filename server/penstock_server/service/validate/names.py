"""Checks of names and identifiers."""

import re
from typing import Final

from penstock_server.model.ids import is_task_id
from penstock_server.service.validate.found import Found
from penstock_server.service.validate.rules import Check, key, mapping, name, shown, text

NAMESPACE: Final = name(
    "[a-z][a-z0-9-]{0,63}", "1 to 64 characters of a-z 0-9 -, the first one a letter"
)
QUEUE_PATTERN: Final = "[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
QUEUE: Final = name(
    QUEUE_PATTERN,
    "1 to 128 characters of A-Z a-z 0-9 . _ -, the first one a letter or digit",
)
TASK_TYPE: Final = QUEUE
fits_queue: Final = re.compile(QUEUE_PATTERN).fullmatch
"""Tells names of queues and types from others, for checks that look at more than one field at
once."""
SESSION_ID: Final = name("[A-Za-z0-9._-]{1,64}", "1 to 64 characters of A-Z a-z 0-9 . _ -")
REQUEST_ID: Final = name("[A-Za-z0-9._-]{1,64}", "at most 64 characters of A-Z a-z 0-9 . _ -")
LABEL_KEY: Final = name(
    "[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
    "1 to 64 characters of A-Z a-z 0-9 . _ -, the first one a letter or digit",
)

# Opaque to callers and made by us: these bounds only keep absurd ones from travelling on.
ETAG: Final = text(128)
LEASE_TOKEN: Final = text(256)
DIRECTIVE_ID: Final = text(128)

REASON: Final = text(256)
"""Why something is done, for people."""


def task_id(value: str, path: str, found: Found) -> None:
    """Takes what has the form of a task id."""
    if not is_task_id(value):
        found.add(path, f"is {shown(value)}, must be 26 characters of lower-case base32")


def labels(*, most: int = 32, of_task: bool = False) -> Check:
    """Makes a check of label maps. Keys of task labels are names, since filters name them."""
    return mapping(LABEL_KEY if of_task else key(64), text(256), most=most)
