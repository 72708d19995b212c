"""Finds the Worker that `module:attribute` or `file.py:attribute` names."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from types import ModuleType
from typing import Final

from penstock_worker.errors import WorkerStartError
from penstock_worker.failure import own_frames_trimmed
from penstock_worker.worker import Worker

DEFAULT_ATTRIBUTE: Final = "worker"
FILE_MODULE: Final = "__penstock_file__"


def load(target: str) -> Worker:
    """Loads the Worker. Raises WorkerStartError with what is wrong and what to do."""
    place, _, attribute = target.partition(":")
    attribute = attribute or DEFAULT_ATTRIBUTE
    if not place:
        raise WorkerStartError(
            f"{target!r} names no worker: write module:attribute, e.g. mypackage.tasks:worker"
        )
    module = _load_file(place) if place.endswith(".py") else _load_module(place)
    value = module
    for part in attribute.split("."):
        if not hasattr(value, part):
            raise WorkerStartError(
                f"module {place!r} has no {attribute!r}.{_candidates(module, place)}"
            )
        value = getattr(value, part)
    return _checked(value, target)


def _checked(value: object, target: str) -> Worker:
    if not isinstance(value, Worker):
        raise WorkerStartError(
            f"{target!r} is a {type(value).__qualname__}, not a penstock_worker.Worker"
        )
    if len(value.registry) == 0:
        raise WorkerStartError(
            f"worker {target!r} has no handlers: decorate functions with @worker.task(…)"
        )
    return value


def _candidates(module: ModuleType, place: str) -> str:
    names = [name for name, value in vars(module).items() if isinstance(value, Worker)]
    if names:
        return f" It has {', '.join(f'{place}:{name}' for name in names)}"
    return " It has no Worker at all: make one with `worker = penstock_worker.Worker()`"


def _load_module(name: str) -> ModuleType:
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise WorkerStartError(
                f"there is no module {name!r} on the path (looked from {folder})."
                " Run the command where the module is, or set PYTHONPATH"
            ) from error
        raise _broken(name, error) from error
    except (Exception, SystemExit) as error:
        raise _broken(name, error) from error


def _load_file(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(FILE_MODULE, path)
    if not os.path.isfile(path) or spec is None or spec.loader is None:
        raise WorkerStartError(f"there is no file {path!r} (looked from {os.getcwd()})")
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    module = importlib.util.module_from_spec(spec)
    sys.modules[FILE_MODULE] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise _broken(path, error) from error
    return module


def _broken(place: str, error: BaseException) -> WorkerStartError:
    frames = own_frames_trimmed(error.__traceback__)
    text = "".join(traceback.format_exception(type(error), error, frames))
    return WorkerStartError(f"module {place!r} cannot be loaded:\n{text}")
