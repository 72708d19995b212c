"""The settings of the server: defaults ← penstock.yaml ← its override ← PENSTOCK_… ← flags.

Only `app` and the programs that start it read this room; every other room gets options of its own,
so that none of them depends on how settings are spelled.
"""

from penstock_server.config.model import CertificateRule, Config
from penstock_server.config.sources import (
    ConfigError,
    LoadedConfig,
    Problem,
    load_config,
    load_with_origins,
)
from penstock_server.config.table import (
    SettingRow,
    configuration_page,
    settings_table,
    shown_value,
)
from penstock_server.config.units import Address, StoreUrl

__all__ = [
    "Address",
    "CertificateRule",
    "Config",
    "ConfigError",
    "LoadedConfig",
    "Problem",
    "SettingRow",
    "StoreUrl",
    "configuration_page",
    "load_config",
    "load_with_origins",
    "settings_table",
    "shown_value",
]
