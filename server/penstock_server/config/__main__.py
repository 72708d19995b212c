"""Writes docs/reference/configuration.md to standard output."""

import sys

from penstock_server.config.table import configuration_page

sys.stdout.write(configuration_page())
