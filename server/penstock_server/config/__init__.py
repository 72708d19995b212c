"""The settings of the server: defaults ← penstock.yaml ← its override ← PENSTOCK_… ← flags.

Only `app` and the programs that start it read this room; every other room gets options of its own,
so that none of them depends on how settings are spelled.
"""

from penstock_server.config.model import CertificateRule, Config
from penstock_server.config.sources import ConfigError, Problem, load_config
from penstock_server.config.table import SettingRow, configuration_page, settings_table
from penstock_server.config.units import Address, StoreUrl

__all__ = [
    "Address",
    "CertificateRule",
    "Config",
    "ConfigError",
    "Problem",
    "SettingRow",
    "StoreUrl",
    "configuration_page",
    "load_config",
    "settings_table",
]
