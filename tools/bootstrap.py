"""Makes the project's virtual environment, once, however many makes ask for it.

Installs the distribution in editable form with every extra, at the versions that
`constraints.txt` pins. A file lock lets several makes run side by side: the first one
installs, the others wait and then find the work done.

Runs under whatever `python3` the machine has, so it uses the standard library only and
keeps to syntax that an old Python can still parse well enough to be told it is too old.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys

OLDEST_PYTHON = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
INPUTS = ("pyproject.toml", "constraints.txt", os.path.join("tools", "bootstrap.py"))
PIP = ("-m", "pip", "--disable-pip-version-check")


class MissingPrerequisite(Exception):
    """The machine lacks something; the text names it and the command that installs it."""


def main():
    """Brings the environment named on the command line up to date."""
    parser = argparse.ArgumentParser(description="Make the virtual environment.")
    parser.add_argument("venv", help="folder of the environment, e.g. .venv")
    venv = os.path.abspath(parser.parse_args().venv)
    try:
        check_prerequisites()
        with exclusive(venv + ".lock"):
            bring_up_to_date(venv)
    except MissingPrerequisite as missing:
        sys.exit("penstock: %s" % missing)
    except subprocess.CalledProcessError as failed:
        sys.exit("penstock: this step failed: %s" % " ".join(failed.cmd))


def check_prerequisites():
    """Refuses a Python that is too old or cannot make an environment."""
    if sys.version_info < OLDEST_PYTHON:
        raise MissingPrerequisite(
            "%s is Python %d.%d, and 3.11 or newer is needed. Install one (Debian, Ubuntu: "
            "`apt-get install python3.11 python3.11-venv`) and name it: `make PYTHON=python3.11 …`"
            % ((sys.executable,) + sys.version_info[:2])
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        raise MissingPrerequisite(
            "Python's venv module is missing. Install it "
            "(Debian, Ubuntu: `apt-get install python3-venv`) and run make again"
        ) from None


class exclusive:  # noqa: N801  (reads as a verb at the call)
    """Holds a file lock for the length of a `with` block, waiting for another holder."""

    def __init__(self, path):
        """Names the lock file; nothing is opened yet."""
        self._path = path

    def __enter__(self):
        """Takes the lock, and says so first when that means waiting."""
        self._file = open(self._path, "w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("another make is installing here, waiting for it")
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        """Gives the lock back. The file stays: removing it would race with a waiter."""
        self._file.close()


def bring_up_to_date(venv):
    """Makes the environment if needed, and installs if the inputs changed since last time."""
    stamp = os.path.join(venv, ".stamp")
    wanted = fingerprint()
    if read(stamp) != wanted:
        if not runs(venv):
            create(venv)
        install(venv)
    write(stamp, wanted)


def fingerprint():
    """Digest of everything that decides what gets installed."""
    digest = hashlib.sha256()
    for name in INPUTS:
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def runs(venv):
    """Whether the environment's Python starts. It does not after the folder was moved."""
    python = os.path.join(venv, "bin", "python")
    return os.path.exists(python) and (
        subprocess.call([python, "-c", "import pip"], stderr=subprocess.DEVNULL) == 0
    )


def create(venv):
    """Makes an empty environment, replacing a broken one."""
    say("making %s with Python %d.%d" % ((os.path.relpath(venv),) + sys.version_info[:2]))
    if os.path.exists(venv):
        shutil.rmtree(venv)
    subprocess.check_call([sys.executable, "-m", "venv", venv])


def install(venv):
    """Installs the project and all it needs at the pinned versions."""
    say("installing dependencies (about half a minute the first time)")
    python = os.path.join(venv, "bin", "python")
    subprocess.check_call(
        [python, *PIP, "install", "--quiet", "--editable", ".[all,dev]", "-c", "constraints.txt"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
    )


def read(path):
    """Text of a file, or nothing when it is not there."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def write(path, text):
    """Writes a file in one step, so that a reader never sees half of it."""
    with open(path + ".new", "w") as file:
        file.write(text)
    os.replace(path + ".new", path)


def say(text):
    """One line for the person watching."""
    print("penstock: " + text, flush=True)


if __name__ == "__main__":
    main()
