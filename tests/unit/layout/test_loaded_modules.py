"""What a process really loads. import-linter reads the sources; it cannot see that importing
`penstock.v1` runs `penstock/__init__.py`, or that a module is imported by its name."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import importlib, pkgutil, sys

package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if sys.argv[2] == "deeply" and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(*{name.partition(".")[0] for name in sys.modules})
"""


def loaded_by(package: str, *, how: str) -> set[str]:
    """Top-level names in a fresh process after importing a package, alone or with all below."""
    command = [sys.executable, "-c", PROGRAM, package, how]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_a_runner_process_never_loads_grpc():
    assert loaded_by("penstock_worker.runner", how="deeply").isdisjoint({"grpc", "redis"})


@pytest.mark.parametrize("package", ["penstock", "penstock.v1"])
def test_the_client_loads_nothing_that_only_an_extra_installs(package):
    extras = {
        "penstock_server",
        "penstock_worker",
        "redis",
        "typer",
        "structlog",
        "prometheus_client",
    }

    assert loaded_by(package, how="alone").isdisjoint(extras)
