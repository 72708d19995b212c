"""The command line: how long, which seed, which faults."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from robustness.checker import check
from robustness.history import load
from robustness.plan import FAULTS, Plan
from robustness.report import Round, summary, write
from robustness.round import play

_ROUND_SECONDS = 120.0


def main(argv: Sequence[str] | None = None) -> int:
    """Plays rounds until the time is over; the exit status is 1 if a promise was broken."""
    options = _options(argv)
    if options.check:
        return _check_only(options.check)
    folder = Path(options.out or tempfile.mkdtemp(prefix="penstock-robustness-"))
    folder.mkdir(parents=True, exist_ok=True)
    rounds: list[Round] = []
    over = time.monotonic() + (options.minutes or 0) * 60
    seed = options.seed if options.seed is not None else random.randrange(1 << 31)
    while not rounds or time.monotonic() < over:
        rounds.append(_round(_plan(options, seed), folder))
        write(rounds, folder)
        if rounds[-1].verdict.violations and not options.go_on:
            break
        seed += 1
    print(summary(rounds))
    print(f"written to {folder}")
    return int(any(item.verdict.violations for item in rounds))


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="robustness", description=__doc__)
    parser.add_argument("--minutes", type=float, help="rounds with rising seeds, for so long")
    parser.add_argument("--seed", type=int, help="of the first round; default: drawn")
    parser.add_argument("--seconds", type=float, default=_ROUND_SECONDS, help="of each round")
    parser.add_argument("--faults", help=f"of {', '.join(FAULTS)}; default: all")
    parser.add_argument("--appendfsync", choices=("always", "everysec"))
    parser.add_argument("--partitions", type=int)
    parser.add_argument("--disk", choices=("small", "real"))
    parser.add_argument("--rate", type=float, help="operations a second")
    parser.add_argument("--clients", type=int)
    parser.add_argument("--pause", type=float, help="seconds between two faults, on average")
    parser.add_argument("--out", help="folder for logs, histories and the report")
    parser.add_argument("--go-on", action="store_true", help="also after a broken promise")
    parser.add_argument("--check", type=Path, help="only check a recorded history")
    return parser.parse_args(argv)


def _plan(options: argparse.Namespace, seed: int) -> Plan:
    given = {
        "seconds": options.seconds,
        "appendfsync": options.appendfsync,
        "partitions": options.partitions,
        "rate": options.rate,
        "clients": options.clients,
        "pause": options.pause,
        "small_disk": None if options.disk is None else options.disk == "small",
        "faults": None if options.faults is None else tuple(options.faults.split(",")),
    }
    return Plan.of(seed, **{name: value for name, value in given.items() if value is not None})


def _round(plan: Plan, folder: Path) -> Round:
    print(f"seed {plan.seed}: {plan.command()}", file=sys.stderr, flush=True)
    began = time.monotonic()
    here = folder / f"seed-{plan.seed}"
    here.mkdir()
    history = asyncio.run(play(plan, here))
    result = Round(plan, check(history), time.monotonic() - began)
    print(f"  {result.verdict.table}", file=sys.stderr, flush=True)
    for violation in result.verdict.violations[:10]:
        print(f"  BROKEN {violation}", file=sys.stderr, flush=True)
    return result


def _check_only(path: Path) -> int:
    verdict = check(load(path))
    print(verdict.table, verdict.faults, sep="\n")
    for violation in (*verdict.violations, *verdict.forgiven):
        print("forgiven" if violation.forgiven else "BROKEN", violation)
    return int(bool(verdict.violations))
