"""The settings as a table: for `penstock config`, for the documentation, and for checking keys."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from penstock_server.config.model import Config
from penstock_server.config.units import Address, StoreUrl, format_size, format_span

ENV_PREFIX: Final = "PENSTOCK_"


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting: its key in a file, its environment variable, default, bounds and meaning."""

    key: str
    variable: str
    default: str
    bounds: str
    meaning: str


def setting_fields(
    model: type[BaseModel] = Config, prefix: str = ""
) -> Iterator[tuple[str, FieldInfo]]:
    """Every setting that holds a value, as (dotted key, field), in the order of declaration."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from setting_fields(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def variable_of(key: str) -> str:
    """The environment variable of a setting, e.g. `PENSTOCK_LEASE__TERM` for `lease.term`."""
    return ENV_PREFIX + key.replace(".", "__").upper()


def settings_table() -> list[SettingRow]:
    """Every setting with its default and meaning."""
    return [
        SettingRow(
            key=key,
            variable=variable_of(key),
            default=shown_value(key, field.default),
            bounds=_bounds(key, field),
            meaning=field.description or "",
        )
        for key, field in setting_fields()
    ]


def configuration_page() -> str:
    """docs/reference/configuration.md, whole."""
    lines = [_HEAD]
    for row in settings_table():
        bounds = f" ({row.bounds})" if row.bounds else ""
        lines.append(f"| `{row.key}` | `{row.default}`{bounds} | {row.meaning} |\n")
    return "".join(lines)


def shown_value(key: str, value: Any) -> str:
    """The value of a setting as one would write it; a password in it is not shown."""
    if value is None:
        return "off" if key == "metrics" else "unset"
    if value == ():
        return "[]"
    if isinstance(value, bool):
        return str(value).lower()
    if key.endswith("_bytes"):
        return format_size(value)
    if isinstance(value, Address | StoreUrl | str):
        return str(value)
    return format_span(value) if hasattr(value, "total_seconds") else str(value)


def _bounds(key: str, field: FieldInfo) -> str:
    low = next((m.ge for m in field.metadata if hasattr(m, "ge")), None)
    high = next((m.le for m in field.metadata if hasattr(m, "le")), None)
    if low is None:
        return ""
    return (
        f"{shown_value(key, low)} to {shown_value(key, high)}"
        if high is not None
        else f"at least {shown_value(key, low)}"
    )


_HEAD: Final = """\
# Configuration

<!-- Written by `python -m penstock_server.config`; a test keeps it up to date. -->

A setting comes from the first of these that has it:

1. a flag of `penstock server` or `penstock up`: `--listen`, `--store`, `--data`, `--metrics`,
   `--processes`, `--insecure`, `--log-level`, `--log-format`, or `--set KEY=VALUE` for
   any setting;
2. an environment variable: `PENSTOCK_` and the key in capitals, with two underscores for each
   dot, e.g. `PENSTOCK_LEASE__TERM=30s`; `PENSTOCK_STORE` stands for `PENSTOCK_STORE__URL`;
3. `penstock.override.yaml`, for what is true on this machine only;
4. `penstock.yaml` in the working folder, or the file that `--config` or `PENSTOCK_CONFIG`
   names (its override stands beside it);
5. the default.

```yaml
# penstock.yaml
listen: 127.0.0.1:7700
lease:
  term: 30s
retention:
  ended_age: 48h
```

Spans have a unit: `ms`, `s`, `min`, `h`, `d`. Sizes are bytes, or have `KiB`, `MiB`, `GiB`. A key
that does not exist, and a value that is not allowed, stop the server at its start with the name of
the file, variable or flag that it came from.
`penstock config` prints what holds, and where each value came from.

| key | default (bounds) | meaning |
| --- | --- | --- |
"""
