"""Measures Penstock: real store, server, worker and producer, each a process of its own."""
