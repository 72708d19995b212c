"""What is fuzzed: each target takes any bytes and must neither raise nor break its invariant."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import DecodeError

from penstock_server.config import ConfigError, load_config
from penstock_server.model.cursor import (
    Place,
    decode_logs,
    decode_watch,
    encode_logs,
    encode_watch,
)
from penstock_server.model.errors import CursorInvalid, PageTokenInvalid, PenstockError
from penstock_server.model.lease_token import decode_lease_token, encode_lease_token
from penstock_server.service.tokens import decode_page_token, encode_page_token
from penstock_worker import frames
from penstock_worker.frames import FrameError, FrameReader
from support.validators import METHODS, TASK_ID, answer_of, request_type, valid_request

HISTORY: Final = "h" * 16
ARGUMENTS: Final = ("ListWorkers", "default", "")

Target = Callable[[bytes], None]


def lease_token(data: bytes) -> None:
    """A token that is taken is spelled in one way only."""
    text = data.decode("latin-1")
    token = decode_lease_token(text)
    if token is not None:
        assert encode_lease_token(token.task_id, token.fence, token.random) == text


def watch_cursor(data: bytes) -> None:
    """A cursor that is taken leads to places that can be spelled again."""
    with suppress(CursorInvalid):
        places = decode_watch(data.decode("latin-1"), HISTORY, 1)
        assert decode_watch(encode_watch(HISTORY, places), HISTORY, 1) == places


def log_cursor(data: bytes) -> None:
    """As `watch_cursor`."""
    with suppress(CursorInvalid):
        place = decode_logs(data.decode("latin-1"), HISTORY, TASK_ID)
        again = encode_logs(HISTORY, TASK_ID, *place)
        assert decode_logs(again, HISTORY, TASK_ID) == place


def page_token(data: bytes) -> None:
    """A token that is taken is spelled in one way only."""
    text = data.decode("latin-1")
    with suppress(PageTokenInvalid):
        assert encode_page_token(decode_page_token(text, ARGUMENTS, int, str), ARGUMENTS) == text


def config(data: bytes) -> None:
    """A file is either settings or refused with what is wrong."""
    with tempfile.TemporaryDirectory(dir=_MEMORY) as folder:
        file = Path(folder) / "penstock.yaml"
        file.write_bytes(data)
        with suppress(ConfigError):
            load_config(flags={}, environ={}, folder=Path(folder), config_file=file)


_MEMORY: Final = "/dev/shm" if Path("/dev/shm").is_dir() else None


def frame(data: bytes) -> None:
    """Records come out the same however the bytes are cut; what is none is a FrameError."""
    size = 1 + data[0] % 16 if data else 1
    assert _records(data[1:], size) == _records(data[1:], len(data) + 1)


def _records(data: bytes, size: int) -> list[Any] | None:
    reader, records = FrameReader(), []
    try:
        for start in range(0, len(data), size):
            records += reader.feed(data[start : start + size])
    except FrameError:
        return None
    for record in records:
        assert isinstance(record, tuple), record
        assert isinstance(record[0], int), record
    return records


def request(data: bytes) -> None:
    """A request is refused in a typed way, or taken; the first byte picks the method."""
    if not data:
        return
    method = _METHODS[data[0] % len(_METHODS)]
    with suppress(DecodeError, PenstockError):
        answer_of(method, request_type(method).FromString(data[1:]))


_METHODS: Final = sorted(METHODS)

TARGETS: Final[dict[str, Target]] = {
    target.__name__: target
    for target in (lease_token, watch_cursor, log_cursor, page_token, config, frame, request)
}


def seeds() -> dict[str, list[bytes]]:
    """Something good of each kind to begin with."""
    return {
        "lease_token": [encode_lease_token(TASK_ID, 7, b"r" * 16).encode()],
        "watch_cursor": [encode_watch(HISTORY, [Place("1700000000000-0", 7)]).encode()],
        "log_cursor": [encode_logs(HISTORY, TASK_ID, 1, 7).encode()],
        "page_token": [encode_page_token([-5, "session"], ARGUMENTS).encode()],
        "config": [b"listen: 127.0.0.1:0\nlease: {term: 30s}\nstore: {url: embedded}\n"],
        "frame": [b"\x01" + frames.pack([(frames.PONG, 1), (frames.END, 1, 1, b"x", "")])],
        "request": [
            bytes([number]) + valid_request(method).SerializeToString()
            for number, method in enumerate(_METHODS)
        ],
    }
