"""Reads settings from files, environment and flags, and remembers where each came from.

A wrong key or value is a `Problem` that names the setting and its origin, so that nobody has to
guess which of five places holds the mistake. All problems are reported at once.
"""

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from penstock_server.config.model import Config
from penstock_server.config.table import ENV_PREFIX, setting_fields

KEYS: Final = tuple(key for key, _ in setting_fields())
DEFAULT_FILE: Final = "penstock.yaml"
DEFAULT_ORIGIN: Final = "default"

# Shorter names for what is set most often.
ALIASES: Final = {"store": "store.url"}

# Variables of the client, the worker and the tests, which share the prefix.
_OTHERS: Final = frozenset(
    {
        "PENSTOCK_ADDRESS",
        "PENSTOCK_API_KEY",
        "PENSTOCK_CI",
        "PENSTOCK_CONFIG",
        "PENSTOCK_NAMESPACE",
        "PENSTOCK_PLAINTEXT_KEY",
        "PENSTOCK_TLS_CA",
        "PENSTOCK_TLS_CERT",
        "PENSTOCK_TLS_KEY",
    }
)
_OTHERS_PREFIXES: Final = ("PENSTOCK_WORKER_", "PENSTOCK_TEST_", "PENSTOCK_CLIENT_")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one setting, and where it was set."""

    key: str
    origin: str
    message: str

    def __str__(self) -> str:
        return (
            f"{self.origin}: {self.key}: {self.message}"
            if self.key
            else f"{self.origin}: {self.message}"
        )


class ConfigError(Exception):
    """The settings are not usable; `problems` has every reason."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


@dataclass(slots=True)
class _Layers:
    """Settings as they come in: the later one wins."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def put(self, key: str, value: Any, origin: str) -> None:
        key = ALIASES.get(key, key)
        if key not in KEYS:
            self.problems.append(Problem(key, origin, unknown_key(key)))
            return
        self.values[key] = value
        self.origins[key] = origin


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """The settings, and for each where it came from (`default`, a file, a variable or a flag)."""

    config: Config
    origins: Mapping[str, str]


def load_config(
    *,
    flags: Mapping[str, str] | None = None,
    config_file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Config:
    """The settings for a server that starts in `folder` (default: the working folder).

    `flags` maps dotted keys to text. Raises ConfigError.
    """
    loaded = load_with_origins(flags=flags, config_file=config_file, environ=environ, folder=folder)
    return loaded.config


def load_with_origins(
    *,
    flags: Mapping[str, str] | None = None,
    config_file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> LoadedConfig:
    """As `load_config`, with the origin of every setting. Raises ConfigError."""
    environ = os.environ if environ is None else environ
    layers = _Layers()
    for path, required in _files(config_file, environ, folder or Path.cwd()):
        _read_file(layers, path, required=required)
    _read_environment(layers, environ)
    for key, value in (flags or {}).items():
        layers.put(key, _parsed(key, value), f"flag {_flag_of(key)}")
    config = _validated(layers)
    return LoadedConfig(config, {key: layers.origins.get(key, DEFAULT_ORIGIN) for key in KEYS})


def unknown_key(key: str) -> str:
    """What to say about a key that does not exist."""
    near = difflib.get_close_matches(key, KEYS, n=3, cutoff=0.6) or [
        known for known in KEYS if known.rpartition(".")[2] == key.rpartition(".")[2]
    ]
    hint = "did you mean " + " or ".join(f"`{known}`" for known in near[:3]) + "?" if near else ""
    return f"there is no such setting{'; ' + hint if hint else ''} (`penstock config` lists all)"


def _files(
    named: Path | None, environ: Mapping[str, str], folder: Path
) -> Iterable[tuple[Path, bool]]:
    chosen = named or (Path(environ["PENSTOCK_CONFIG"]) if environ.get("PENSTOCK_CONFIG") else None)
    base = folder / (chosen or DEFAULT_FILE)
    yield base, chosen is not None
    yield base.with_name(f"{base.stem}.override{base.suffix}"), False


def _read_file(layers: _Layers, path: Path, *, required: bool) -> None:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if required:
            layers.problems.append(Problem("", str(path), "there is no such file"))
        return
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        layers.problems.append(Problem("", str(path), f"cannot be read as YAML: {error}"))
        return
    if tree is not None and not isinstance(tree, dict):
        layers.problems.append(Problem("", str(path), "must hold settings as `key: value` lines"))
    elif tree:
        for key, value in _leaves(tree):
            layers.put(key, value, str(path))


def _leaves(tree: Mapping[Any, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in tree.items():
        key = f"{prefix}{name}"
        # A section that was left empty in the file says nothing.
        if isinstance(value, dict) or (value is None and _is_section(key)):
            yield from _leaves(value or {}, f"{key}.")
        else:
            yield key, value


def _is_section(key: str) -> bool:
    return any(known.startswith(f"{key}.") for known in KEYS)


def _read_environment(layers: _Layers, environ: Mapping[str, str]) -> None:
    for variable in sorted(environ):
        if not variable.startswith(ENV_PREFIX) or variable in _OTHERS:
            continue
        if variable.startswith(_OTHERS_PREFIXES) or not environ[variable]:
            continue
        key = variable.removeprefix(ENV_PREFIX).lower().replace("__", ".")
        layers.put(key, _parsed(key, environ[variable]), f"environment variable {variable}")


def _parsed(key: str, text: str) -> Any:
    # Lists are written as YAML in a variable or flag; all else is text that its field reads.
    return yaml.safe_load(text) if key == "security.certificates" else text


def _flag_of(key: str) -> str:
    short = {"store.url": "store", "log.level": "log-level", "log.format": "log-format"}
    named = {"listen", "metrics", "data", "processes", "security.insecure"}
    if key in short:
        return f"--{short[key]}"
    return f"--{key.rpartition('.')[2]}" if key in named else f"--set {key}"


def _validated(layers: _Layers) -> Config:
    try:
        config = Config(**_nested(layers.values))
    except ValidationError as error:
        layers.problems.extend(_problem(detail, layers) for detail in error.errors())
        raise ConfigError(layers.problems) from None
    if layers.problems:
        raise ConfigError(layers.problems)
    return config


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *sections, name = key.split(".")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[name] = value
    return tree


def _problem(detail: Any, layers: _Layers) -> Problem:
    path = [str(part) for part in detail["loc"]]
    key = next((k for n in range(len(path), 0, -1) if (k := ".".join(path[:n])) in KEYS), "")
    message = detail["msg"].removeprefix("Value error, ")
    # The value itself is not shown where it may hold a password.
    shown = (
        "" if key not in layers.values or key == "store.url" else f" (got {layers.values[key]!r})"
    )
    return Problem(key, layers.origins.get(key, "settings"), f"{message}{shown}")
