"""The embedded store: a real Valkey in the data folder, started, watched and stopped by Penstock.

    async with EmbeddedStore(EmbeddedOptions(folder=Path("penstock-data"))) as store:
        ...  # store.url is what a Redis client connects to

One data folder serves one owner at a time. The owner may be a server or `penstock up`.
"""

from penstock_server.embedded.binary import find_binary
from penstock_server.embedded.errors import (
    EmbeddedStoreError,
    EmbeddedStoreFailed,
    EmbeddedStoreInUse,
    StoreBinaryMissing,
    UnsafeFolder,
)
from penstock_server.embedded.folder import DataFolder
from penstock_server.embedded.store import EmbeddedOptions, EmbeddedStore

__all__ = [
    "DataFolder",
    "EmbeddedOptions",
    "EmbeddedStore",
    "EmbeddedStoreError",
    "EmbeddedStoreFailed",
    "EmbeddedStoreInUse",
    "StoreBinaryMissing",
    "UnsafeFolder",
    "find_binary",
]
