"""Proof that the tests hold the promises: each mechanism is switched off, and a test must fail."""
