"""The data folder: where its parts lie, and who owns it.

    <data>/penstock.lock        held by the owner for as long as it runs
    <data>/store/               working folder of the store, with its append-only file
    <data>/store/process.lock   held by the store process itself until it has really ended
    <data>/store/valkey.log     what the store says
    <data>/store/valkey.sock    where it listens, unless the path is too long for a socket

Both locks are kernel locks, so that none outlives its process, however that ends.
"""

import fcntl
import hashlib
import json
import os
import stat
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from penstock_server.embedded.errors import EmbeddedStoreInUse, UnsafeFolder

# sockaddr_un holds 104 bytes on macOS and 108 on Linux, the closing zero included.
_LONGEST_SOCKET_PATH: Final = 100


class DataFolder:
    """The paths inside one data folder. Making it touches nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.store = self.path / "store"
        self.log = self.store / "valkey.log"
        self.lock_file = self.path / "penstock.lock"
        self.process_lock_file = self.store / "process.lock"

    @property
    def socket(self) -> Path:
        """Where the store listens. The same for everybody who asks about the same folder."""
        inside = self.store / "valkey.sock"
        if len(os.fsencode(inside)) <= _LONGEST_SOCKET_PATH:
            return inside
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        return _runtime_folder() / f"{digest}.sock"

    @property
    def url(self) -> str:
        """What a Redis client connects to."""
        return f"unix://{self.socket}"

    def prepare(self) -> None:
        """Makes the folders, readable by their owner only. Raises UnsafeFolder and OSError."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.store.mkdir(exist_ok=True, mode=0o700)
        self.store.chmod(0o700)
        runtime = self.socket.parent
        if runtime != self.store:
            runtime.mkdir(parents=True, exist_ok=True, mode=0o700)
            _check_private(runtime)

    def lock(self) -> int:
        """Takes the folder for this process, until the file descriptor that it gives is closed.

        Raises EmbeddedStoreInUse.
        """
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not try_lock(descriptor):
            holder = _read_holder(descriptor)
            os.close(descriptor)
            raise EmbeddedStoreInUse(
                self.path,
                holder=holder,
                remedy="stop it first, or choose another folder with --data",
            )
        _write_holder(descriptor)
        return descriptor

    def open_process_lock(self) -> int:
        """Opens the lock that the store process inherits, without taking it."""
        return os.open(self.process_lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_lock(descriptor: int) -> bool:
    """Takes the lock of an open file. False if somebody else has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_holder(descriptor: int) -> None:
    holder = {"pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(holder).encode(), 0)


def _read_holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 1024, 0))
        return f"process {holder['pid']} since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"  # it holds the lock, and has not yet written who it is


def _runtime_folder() -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(runtime, "penstock") if runtime else _temporary_folder(tempfile.gettempdir())
    fits = len(os.fsencode(folder)) + 24 <= _LONGEST_SOCKET_PATH
    return folder if fits else _temporary_folder("/tmp")


def _temporary_folder(base: str) -> Path:
    return Path(base, f"penstock-{os.getuid()}")


def _check_private(folder: Path) -> None:
    # In a folder that anybody may write to, somebody else could have made it before.
    status = folder.lstat()
    private = status.st_uid == os.getuid() and not status.st_mode & 0o077
    if not stat.S_ISDIR(status.st_mode) or not private:
        raise UnsafeFolder(folder)
