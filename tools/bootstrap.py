"""Makes the project's virtual environment, once, however many makes ask for it.

Installs the distribution in editable form with every extra, at the versions that
`constraints.txt` pins. A file lock lets several makes run side by side: the first one
installs, the others wait and then find the work done.

Runs under whatever `python3` the machine has, so it uses the standard library only, and
syntax that an older Python still parses: it has to live long enough to say what is missing.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from typing import Iterator  # noqa: UP035  (the other home of the name is younger than Python 3.8)

OLDEST_PYTHON = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
INPUTS = ("pyproject.toml", "constraints.txt", os.path.join("tools", "bootstrap.py"))


class MissingPrerequisite(Exception):
    """The machine lacks something; the text names it and the command that installs it."""


def main() -> None:
    """Brings the environment named on the command line up to date."""
    parser = argparse.ArgumentParser(description="Make the virtual environment.")
    parser.add_argument("venv", help="folder of the environment, e.g. .venv")
    venv = os.path.abspath(parser.parse_args().venv)
    try:
        check_prerequisites()
        with exclusively(venv + ".lock"):
            bring_up_to_date(venv)
    except MissingPrerequisite as missing:
        sys.exit(f"penstock: {missing}")
    except subprocess.CalledProcessError as failed:
        sys.exit(f"penstock: this step failed: {' '.join(failed.cmd)}")


def check_prerequisites() -> None:
    """Refuses a Python that is too old or cannot make an environment."""
    if sys.version_info < OLDEST_PYTHON:
        found = ".".join(str(part) for part in sys.version_info[:2])
        raise MissingPrerequisite(
            f"{sys.executable} is Python {found}, and 3.11 or newer is needed. Install one "
            "(Debian, Ubuntu: `apt-get install python3.11 python3.11-venv`) and name it: "
            "`make PYTHON=python3.11 …`"
        )
    try:
        import ensurepip  # noqa: F401  (Debian ships venv without it, and then venv fails late)
        import venv  # noqa: F401
    except ImportError:
        raise MissingPrerequisite(
            "Python's venv module is missing. Install it "
            "(Debian, Ubuntu: `apt-get install python3-venv`) and run make again"
        ) from None


@contextlib.contextmanager
def exclusively(path: str) -> Iterator[None]:
    """Holds a file lock for the length of a `with` block, waiting for another holder.

    The file stays behind: removing it would race with somebody who waits for it.
    """
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("another make is installing here, waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def bring_up_to_date(venv: str) -> None:
    """Makes the environment if needed, and installs if the inputs changed since last time."""
    stamp = os.path.join(venv, ".stamp")
    wanted = fingerprint()
    if read(stamp) != wanted or not runs(venv):
        if not runs(venv):
            create(venv)
        install(venv)
    write(stamp, wanted)


def fingerprint() -> str:
    """Where this folder is (the Makefile reads that line), and what decides what gets installed."""
    digest = hashlib.sha256()
    for name in INPUTS:
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    return f"{ROOT}\n{digest.hexdigest()}\n"


def runs(venv: str) -> bool:
    """Whether the environment's Python and pip start. They do not after the folder was moved."""
    pip = os.path.join(venv, "bin", "pip")
    try:
        return subprocess.call([pip, "--version"], stdout=subprocess.DEVNULL) == 0
    except OSError:
        return False


def create(venv: str) -> None:
    """Makes an empty environment, replacing a broken one."""
    say(f"making {os.path.relpath(venv)} with {sys.executable}")
    if os.path.exists(venv):
        shutil.rmtree(venv)
    subprocess.check_call([sys.executable, "-m", "venv", venv])


def install(venv: str) -> None:
    """Installs the project and all it needs at the pinned versions."""
    say("installing dependencies (about half a minute the first time)")
    pip = [os.path.join(venv, "bin", "python"), "-m", "pip", "--disable-pip-version-check"]
    what = ["--editable", ".[all,dev]", "--constraint", "constraints.txt"]
    subprocess.check_call([*pip, "install", "--quiet", *what], cwd=ROOT, stdin=subprocess.DEVNULL)


def read(path: str) -> str:
    """Text of a file, or nothing when it is not there."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def write(path: str, text: str) -> None:
    """Writes a file in one step, so that a reader never sees half of it."""
    with open(path + ".new", "w") as file:
        file.write(text)
    os.replace(path + ".new", path)


def say(text: str) -> None:
    """One line for the person watching."""
    print(f"penstock: {text}", flush=True)


if __name__ == "__main__":
    main()
