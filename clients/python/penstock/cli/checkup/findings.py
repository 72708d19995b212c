"""What a check found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final

from penstock.cli.screen import Screen, styled


class Verdict(StrEnum):
    """How bad it is."""

    ok = "ok"
    warn = "warn"
    fail = "fail"


_STYLES: Final = {Verdict.ok: "green", Verdict.warn: "bold yellow", Verdict.fail: "bold red"}


@dataclass(frozen=True)
class Finding:
    """One check: what was looked at, what it found, and what to do if it is not well."""

    check: str
    verdict: Verdict
    found: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        """For programs."""
        return asdict(self)

    def print_on(self, screen: Screen) -> None:
        """One line, and one more with what to do."""
        line = styled(f"{self.verdict.value:<5}", _STYLES[self.verdict])
        line += styled(f"{self.check:<13}", "bold") + styled(self.found)
        screen.console.print(line, soft_wrap=True)
        if self.remedy:
            screen.console.print(styled(f"{'':18}→ {self.remedy}", "dim"), soft_wrap=True)


def ok(check: str, found: str) -> Finding:
    """All is well."""
    return Finding(check, Verdict.ok, found)


def warn(check: str, found: str, remedy: str) -> Finding:
    """It works, but somebody should know."""
    return Finding(check, Verdict.warn, found, remedy)


def fail(check: str, found: str, remedy: str) -> Finding:
    """It does not work, or loses data."""
    return Finding(check, Verdict.fail, found, remedy)
