"""Checks of payloads and results."""

from typing import Final

from penstock.v1.task_pb2 import Payload
from penstock_server.service.validate.found import Found
from penstock_server.service.validate.rules import MessageRules, anything, key, mapping, text
from penstock_server.service.validate.values import json_value
from penstock_server.service.validate.wire import payload_size

LONGEST_CONTENT_TYPE: Final = 128

payload_rules = MessageRules(
    Payload,
    {
        "content_type": text(LONGEST_CONTENT_TYPE),
        "data": anything,  # its size is judged with the whole, against a limit that differs
        "json": json_value,
        "metadata": mapping(key(64), text(1_024), most=16),
    },
)


def payload(value: Payload, path: str, found: Found) -> None:
    """Takes payloads whose content is within `limits.payload_bytes`."""
    _check(value, path, found, found.limits.payload_bytes)


def result(value: Payload, path: str, found: Found) -> None:
    """Takes payloads whose content is within `limits.result_bytes`."""
    _check(value, path, found, found.limits.result_bytes)


def _check(value: Payload, path: str, found: Found, limit: int) -> None:
    if is_plain_payload(value, limit):
        return
    size = content_size(value)
    if size > limit:
        found.add_oversize(path, size, limit)
    else:
        payload_rules(value, path, found)


def is_plain_payload(value: Payload, most_bytes: int) -> bool:
    """True for what most payloads are: data and a content type, in bounds, and nothing else."""
    size, type_size = len(value.data), len(value.content_type)
    return (
        size <= most_bytes
        and type_size <= LONGEST_CONTENT_TYPE
        and value.ByteSize() == payload_size(size, type_size)
    )


def content_size(value: Payload) -> int:
    """Gives the size of the content alone, in bytes, as limits count it."""
    return value.json.ByteSize() if value.HasField("json") else len(value.data)
