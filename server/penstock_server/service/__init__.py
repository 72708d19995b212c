"""The edge: translates, validates, authorises and calls the engine. No rules, no Redis."""
