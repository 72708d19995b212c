"""`python -m penstock_server`: one server, or with `--processes N` several that share a port."""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import uvloop

from penstock_server import processes
from penstock_server.app import Ready, StartFailed, Stop, serve
from penstock_server.config import Config, ConfigError, load_config
from penstock_server.embedded import EmbeddedStoreError
from penstock_server.options import log_options
from penstock_server.processes import ProcessesFailed
from penstock_server.service.listening import AddressTaken
from penstock_server.service.tls import BadCertificate
from penstock_server.store.meta import WrongStore
from penstock_server.telemetry.logging import configure_logging

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2

# What can go wrong on somebody's machine; anything else is a fault, and shows its stack.
_EXPECTED: Final = (
    AddressTaken,
    BadCertificate,
    EmbeddedStoreError,
    ProcessesFailed,
    StartFailed,
    WrongStore,
)

# Flags that stand for a setting, and the setting.
_SHORT_FLAGS: Final = {
    "listen": "listen",
    "metrics": "metrics",
    "data": "data",
    "processes": "processes",
    "store": "store.url",
    "log_level": "log.level",
    "log_format": "log.format",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the server until a signal ends it. Gives the exit status: 0 after a drain."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = parser().parse_args(arguments)
    try:
        config = load_config(flags=_flags(options), config_file=options.config)
        configure_logging(log_options(config))
        if config.processes > 1:
            processes.run(config, arguments, ready_file=options.ready_file)
        else:
            uvloop.run(_serve(config, options))
    except (ConfigError, UsageError) as error:
        return _fail(error, EXIT_USAGE)
    except _EXPECTED as error:
        return _fail(error, EXIT_FAILED)
    return EXIT_OK


class UsageError(Exception):
    """The command line is not usable."""


def parser() -> argparse.ArgumentParser:
    """The flags; `penstock server` takes the same."""
    flags = argparse.ArgumentParser(
        prog="penstock server",
        description="Serves tasks over gRPC. Every setting: `penstock config`.",
        allow_abbrev=False,
    )
    flags.add_argument("--config", type=Path, metavar="FILE", help="settings (penstock.yaml)")
    flags.add_argument("--listen", metavar="HOST:PORT", help="where to serve (127.0.0.1:7700)")
    flags.add_argument("--store", metavar="URL", help="redis://…, rediss://…, unix://… or embedded")
    flags.add_argument("--data", metavar="DIR", help="folder of the embedded store")
    flags.add_argument("--metrics", metavar="HOST:PORT", help="Prometheus page, or off")
    flags.add_argument("--processes", metavar="N", help="processes that share the port")
    flags.add_argument("--insecure", action="store_true", help="listen beyond this machine openly")
    flags.add_argument("--log-level", metavar="LEVEL", help="debug, info, warning or error")
    flags.add_argument("--log-format", metavar="FORMAT", help="auto, console or json")
    flags.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any other setting"
    )
    flags.add_argument(
        "--ready-file", type=Path, metavar="FILE", help="written as JSON once the server serves"
    )
    # For the processes of one server among themselves.
    flags.add_argument("--share-port", action="store_true", help=argparse.SUPPRESS)
    flags.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    return flags


def _flags(options: argparse.Namespace) -> dict[str, str]:
    flags = {key: str(v) for name, key in _SHORT_FLAGS.items() if (v := getattr(options, name))}
    if options.insecure:
        flags["security.insecure"] = "true"
    for text in options.set:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text}: write --set KEY=VALUE, e.g. --set lease.term=30s")
        flags[key] = value
    return flags


async def _serve(config: Config, options: argparse.Namespace) -> None:
    stop = Stop()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.ask)
    if options.parent is not None:
        processes.end_with(options.parent)
    await serve(
        config,
        stop=stop,
        on_ready=lambda ready: write_ready(options.ready_file, ready),
        share_port=options.share_port,
    )


def write_ready(path: Path | None, ready: Ready) -> None:
    """Writes what the server says of itself, at once and whole."""
    if path is None:
        return
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(asdict(ready)), encoding="utf-8")
    draft.replace(path)


def _fail(error: Exception, status: int) -> int:
    sys.stderr.write("".join(f"penstock: {line}\n" for line in str(error).splitlines()))
    return status


if __name__ == "__main__":
    sys.exit(main())
