"""Installs the Go programs that the project uses, at pinned versions, into `.tools/bin`.

Go itself must be on the machine: on PATH, or in the place where its installer puts it.

    python tools/go_tools.py grpcurl    installs grpcurl and prints its path
    python tools/go_tools.py            installs them all
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
TOOLS: Final = ROOT / ".tools" / "bin"

#: Where Go's own installer puts it; many shells do not have it on PATH.
USUAL_HOME: Final = Path("/usr/local/go/bin")

#: Program → the package it is built from and the version.
PROGRAMS: Final = {
    "protoc-gen-go": ("google.golang.org/protobuf/cmd/protoc-gen-go", "v1.36.12"),
    "protoc-gen-go-grpc": ("google.golang.org/grpc/cmd/protoc-gen-go-grpc", "v1.6.2"),
    "grpcurl": ("github.com/fullstorydev/grpcurl/cmd/grpcurl", "v1.9.4"),
}


class GoMissing(Exception):
    """There is no Go on this machine. Install 1.26 or newer and put `go` on PATH."""

    def __str__(self) -> str:
        return "Go is missing: install Go 1.26 or newer and put `go` on PATH"


def find_go() -> Path:
    """Path of the `go` command."""
    found = shutil.which("go", path=f"{os.environ.get('PATH', '')}:{USUAL_HOME}")
    if found is None:
        raise GoMissing
    return Path(found)


def install(program: str) -> Path:
    """Path of a Go program at its pinned version, building it first if it is not there."""
    package, version = PROGRAMS[program]
    path, note = TOOLS / program, TOOLS / f"{program}.version"
    if not (path.exists() and note.exists() and note.read_text() == version):
        build(f"{package}@{version}", path)
        note.write_text(version)
    return path


def build(package: str, path: Path) -> None:
    """Builds in a folder of its own and moves the result, so that two builds never meet."""
    print(f"penstock: building {package}", file=sys.stderr)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        subprocess.run(
            [find_go(), "install", package], env=os.environ | {"GOBIN": folder}, check=True
        )
        os.replace(Path(folder) / path.name, path)


def main() -> None:
    """Installs the programs named on the command line, or all of them."""
    try:
        for program in sys.argv[1:] or PROGRAMS:
            print(install(program))
    except (GoMissing, subprocess.CalledProcessError) as error:
        sys.exit(f"penstock: {error}")


if __name__ == "__main__":
    main()
