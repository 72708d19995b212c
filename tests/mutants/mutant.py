"""What a mutant is: one mechanism of the product, switched off, and the tests that must see it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]

SCRIPTS: Final = "server/penstock_server/store/scripts"
SERVER: Final = "server/penstock_server"
WORKER: Final = "worker/penstock_worker"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """One mechanism and how it is switched off. The texts are exact; `old` occurs once."""

    name: str
    """Short and unique: `--only` takes it."""
    promise: str
    """P1 to P12."""
    mechanism: str
    """What is switched off, as the sentence that is true while it is on."""
    file: str
    """From the root of the repository."""
    old: str
    new: str
    tests: tuple[str, ...]
    """`path::test`: at least one of them must fail, and all pass on the product as it is."""
    fails_with: tuple[str, ...] = ()
    """Exceptions beside a failed assertion that show the lack of the mechanism, by class name."""

    def applied_to(self, text: str) -> str:
        """The text of the file with the mechanism off.

        Raises ValueError if `old` does not occur exactly once.
        """
        if (count := text.count(self.old)) != 1:
            raise ValueError(f"{self.name}: its text occurs {count} times in {self.file}")
        return text.replace(self.old, self.new)
