"""Generates the code of the contract: Python always, Go where Go is installed.

    python tools/generate.py            brings the generated files up to date
    python tools/generate.py --check    changes nothing; fails if a file is out of date

Everything is generated into a temporary folder first and then compared, so files that did not
change keep their times, stale ones go, and the hand-written files beside them are never touched.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from go_tools import TOOLS, GoMissing, find_go, install

ROOT: Final = Path(__file__).resolve().parent.parent
PROTO: Final = ROOT / "proto"
BIN: Final = Path(sys.executable).parent


@dataclass(frozen=True, kw_only=True)
class Language:
    """Where one language's generated code lives, which files are ours to replace, and how."""

    name: str
    folder: str
    patterns: tuple[str, ...]
    generate: Callable[[Path], None]

    def outputs(self, base: Path) -> dict[str, bytes]:
        """The generated files below a folder laid out like the repository."""
        folder = base / self.folder
        paths = (path for pattern in self.patterns for path in folder.rglob(pattern))
        return {str(path.relative_to(base)): path.read_bytes() for path in paths}


def generate_python(base: Path) -> None:
    """Messages, gRPC stubs, and the type stubs of both."""
    out = base / "clients/python"
    out.mkdir(parents=True)
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTO}"]
    includes = [f"--proto_path={files('grpc_tools') / '_proto'}"]
    outs = [f"--{kind}_out={out}" for kind in ("python", "grpc_python")]
    stubs = [f"--{kind}_out=quiet:{out}" for kind in ("mypy", "mypy_grpc")]
    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    subprocess.run([*protoc, *includes, *outs, *stubs, *sources], env=path_with(BIN), check=True)


def generate_go(base: Path) -> None:
    """Messages and gRPC stubs, by the plugins that proto/buf.gen.yaml names."""
    find_go()
    for plugin in ("protoc-gen-go", "protoc-gen-go-grpc"):
        install(plugin)
    buf = [str(BIN / "buf"), "generate", "--template", "proto/buf.gen.yaml", "--output", str(base)]
    subprocess.run(buf, cwd=ROOT, env=path_with(TOOLS), check=True)


LANGUAGES: Final = (
    Language(
        name="Python",
        folder="clients/python/penstock",
        patterns=("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi"),
        generate=generate_python,
    ),
    Language(
        name="Go",
        folder="clients/go/gen",
        patterns=("*.pb.go",),
        generate=generate_go,
    ),
)


def path_with(folder: Path) -> dict[str, str]:
    """The environment with one more folder in front of PATH."""
    return os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"}


def fresh(language: Language) -> dict[str, bytes]:
    """What the generated files should hold."""
    with tempfile.TemporaryDirectory() as folder:
        language.generate(Path(folder))
        return language.outputs(Path(folder))


def update(wanted: dict[str, bytes], found: dict[str, bytes]) -> list[str]:
    """Writes what differs, removes what nothing generates any more, and names both."""
    for name in found.keys() - wanted.keys():
        (ROOT / name).unlink()
    for name in differing(wanted, found) - (found.keys() - wanted.keys()):
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_bytes(wanted[name])
    return sorted(differing(wanted, found))


def differing(wanted: dict[str, bytes], found: dict[str, bytes]) -> set[str]:
    """Names of the files that are missing, stale or different."""
    names = wanted.keys() | found.keys()
    return {name for name in names if wanted.get(name) != found.get(name)}


def bring_up_to_date(languages: Iterable[Language], *, check: bool) -> bool:
    """Updates (or only compares) each language; False if a comparison found a difference."""
    same = True
    for language in languages:
        try:
            wanted = fresh(language)
        except GoMissing as missing:
            same &= skipped(language, missing)
            continue
        found = language.outputs(ROOT)
        names = sorted(differing(wanted, found)) if check else update(wanted, found)
        report(language, names, check=check)
        same &= not (check and names)
    return same


def skipped(language: Language, reason: GoMissing) -> bool:
    """Says that a language is left out. On a CI machine that is a failure."""
    print(f"penstock: {language.name} code was not generated: {reason}", file=sys.stderr)
    return os.environ.get("PENSTOCK_CI") != "1"


def report(language: Language, names: list[str], *, check: bool) -> None:
    """One line for a language, and one for each file that differs."""
    verb = "out of date" if check else "written"
    print(f"penstock: generated {language.name} code: {len(names)} files {verb}")
    for name in names:
        print(f"  {name}")


def main() -> None:
    """Parses the command line and runs."""
    parser = argparse.ArgumentParser(description="Generate the code of the contract.")
    parser.add_argument("--check", action="store_true", help="compare only")
    check = parser.parse_args().check
    try:
        same = bring_up_to_date(LANGUAGES, check=check)
    except subprocess.CalledProcessError as failed:
        sys.exit(f"penstock: this step failed: {' '.join(map(str, failed.cmd))}")
    if not same:
        sys.exit("penstock: run `make gen` and commit what it writes")


if __name__ == "__main__":
    main()
