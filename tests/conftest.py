"""Makes every run alike: no setting of the person at the keyboard reaches a test."""

from __future__ import annotations

import os
from typing import Final

from hypothesis import settings

from support.tools import on_ci

#: Variables that are for the tests themselves.
KEPT: Final = ("PENSTOCK_CI", "PENSTOCK_TEST_")

for name in [name for name in os.environ if name.startswith("PENSTOCK_")]:
    if not name.startswith(KEPT):
        del os.environ[name]

# A slow machine is not a bug, so there is no deadline per example. In CI the examples are
# always the same: a red run there can be repeated anywhere.
settings.register_profile("penstock", deadline=None, derandomize=on_ci(), print_blob=True)
settings.load_profile("penstock")
