"""`penstock keys`: make, list and revoke API keys, with direct access to the store."""

from __future__ import annotations

from penstock.cli.command import group

app = group("keys", "Make, list and revoke API keys (needs access to the store).")
