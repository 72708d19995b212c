"""What an installation is: written once into the store, read and checked by every server."""

import secrets
from dataclasses import dataclass
from typing import Final

from penstock_server.model.ids import MAX_PARTITIONS

from . import keys
from .connection import Connection

LAYOUT: Final = 5
"""Layout of the keys that this server writes."""
OLDEST_LAYOUT: Final = 5
"""Oldest layout that this server can work with."""


class WrongStore(Exception):
    """The store belongs to another layout or another number of partitions; the text says what to
    do.
    """


@dataclass(frozen=True, slots=True)
class Meta:
    """The facts that every server of an installation shares."""

    partitions: int
    layout: int
    history_id: str


async def open_meta(connection: Connection, partitions: int) -> Meta:
    """Reads the facts, and writes them if the store is new. Raises `WrongStore` on a mismatch."""
    if not 1 <= partitions <= MAX_PARTITIONS:
        raise WrongStore(f"store.partitions is {partitions}; 1 to {MAX_PARTITIONS} are possible")
    name = keys.key(0, "meta")
    for field, value in _first_facts(partitions).items():
        await connection.write("HSETNX", name, field, value)
    flat = await connection.read("HGETALL", name)
    pairs = flat.items() if isinstance(flat, dict) else zip(flat[::2], flat[1::2], strict=True)
    facts = {field.decode(): value.decode() for field, value in pairs}
    meta = Meta(int(facts["partitions"]), int(facts["layout"]), facts["history_id"])
    _check(meta, partitions, int(facts["oldest_reader"]))
    return meta


def _first_facts(partitions: int) -> dict[str, str | int]:
    return {
        "partitions": partitions,
        "layout": LAYOUT,
        "oldest_reader": OLDEST_LAYOUT,
        "history_id": secrets.token_hex(8),
    }


def _check(meta: Meta, partitions: int, oldest_reader: int) -> None:
    if meta.layout < OLDEST_LAYOUT or oldest_reader > LAYOUT:
        known = f"{OLDEST_LAYOUT} to {LAYOUT}" if OLDEST_LAYOUT < LAYOUT else str(LAYOUT)
        raise WrongStore(
            f"the store has layout {meta.layout}, this server knows {known};"
            " run a server of the version that wrote it"
        )
    if meta.partitions != partitions:
        raise WrongStore(
            f"the store has {meta.partitions} partitions, but store.partitions is {partitions};"
            f" set it to {meta.partitions}: the number is fixed once a store is in use"
        )
