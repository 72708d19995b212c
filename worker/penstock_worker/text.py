"""Cutting texts to the contract's bounds, which count bytes of UTF-8."""

from __future__ import annotations


def cut(text: str, limit: int) -> str:
    """Answers the text's start, at most `limit` bytes of UTF-8; a cut text ends in `…`.

    Code points that UTF-8 cannot hold (lone surrogates) become `?`.
    """
    data = text.encode(errors="replace")
    if len(data) <= limit:
        return data.decode()
    return data[: limit - 3].decode(errors="ignore") + "…"


def cut_front(text: str, limit: int) -> str:
    """Answers the text's end, at most `limit` bytes of UTF-8; a cut text begins with `…`."""
    data = text.encode(errors="replace")
    if len(data) <= limit:
        return data.decode()
    return "…" + data[3 - limit :].decode(errors="ignore")
