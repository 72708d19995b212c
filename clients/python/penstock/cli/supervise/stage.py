"""What `penstock up` needs before it starts anything: settings, a free folder, free ports.

Everything that is wrong is found here and said at once, in one line with what to do, so that a
second `up` beside a first one ends in a blink and leaves nothing half started.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from penstock.cli.exits import CommandFailed, usage

if TYPE_CHECKING:
    from penstock_server.config import Config

DEFAULT_PORT: Final = 7700


@dataclass(frozen=True, kw_only=True)
class UpOptions:
    """What was asked of `penstock up`."""

    config: Config
    """Settings of the server."""
    server_flags: tuple[str, ...]
    """Flags that the server gets besides address, metrics and store."""
    workers: tuple[str, ...]
    """`module:worker` of each worker process."""
    example: Path | None = None
    """Folder of the example to run."""
    once: bool = False
    """End after the example."""


def read_config(flags: dict[str, str], config_file: Path | None) -> Config:
    """The server's settings. What is wrong with them ends the command, each with its origin."""
    from penstock_server.config import ConfigError, load_config

    try:
        return load_config(flags=flags, config_file=config_file)
    except ConfigError as error:
        problems = "; ".join(str(problem) for problem in error.problems)
        raise usage(problems, remedy="`penstock config` shows every setting") from None


def check_free(config: Config, *, embedded: bool) -> None:
    """Raises CommandFailed if the folder or an address is taken, naming all that is."""
    listen, metrics = config.listen, config.metrics
    holder = _holder(config.data) if embedded else None
    busy = [str(place) for place in (listen, metrics) if place and taken(place.host, place.port)]
    if not holder and not busy:
        return
    wrong = [f"data folder {config.data} is in use by {holder}"] if holder else []
    wrong += [f"{place} is taken" for place in busy]
    beside = " ".join(
        [
            *(["--data OTHER-FOLDER"] if holder else []),
            *(["--port 0"] if busy or holder else []),
        ]
    )
    stop = "stop what runs there (Ctrl-C in its terminal)" if holder else "stop what listens there"
    raise CommandFailed(
        " and ".join(wrong),
        remedy=f"{stop}, or run beside it: penstock up {beside}",
        reason="IN_USE",
        facts={"data": str(config.data), "taken": ", ".join(busy)},
    )


def _holder(data: Path) -> str | None:
    """Who owns the data folder, if somebody does."""
    from penstock_server.embedded import DataFolder, EmbeddedStoreInUse

    folder = DataFolder(data)
    if not folder.lock_file.exists():
        return None
    try:
        os.close(folder.lock())
    except EmbeddedStoreInUse as error:
        return error.holder
    except OSError as error:
        raise CommandFailed(
            f"data folder {data} cannot be used: {error.strerror}",
            remedy="choose another with --data",
        ) from None
    return None


def taken(host: str, port: int) -> bool:
    """Whether somebody listens on a port already. Port 0 never is."""
    if port == 0:
        return False
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Connections that have just ended keep a port busy for a while; a server may listen on it.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def find_example(name: str) -> Path:
    """Folder of an example, in the working folder or beside the source of this package."""
    source = Path(__file__).resolve().parents[5]
    for base in (Path.cwd(), source):
        folder = base / "examples" / name
        if (folder / "__main__.py").is_file():
            return folder
    known = sorted(path.parent.name for path in (source / "examples").glob("*/__main__.py"))
    if known:
        raise usage(f"there is no example {name}", remedy=f"one of: {', '.join(known)}")
    raise usage(
        f"example {name} is not here: examples come with the source, not with the package",
        remedy="run this in a clone of the repository",
    )
