"""The few words that are exchanged with a store before clients exist: PING, INFO, SHUTDOWN."""

import asyncio
from pathlib import Path
from typing import Final

_ANSWER_WITHIN: Final = 5.0


class NotListening(Exception):
    """Nobody listens on the socket."""


async def ask(socket: Path, command: str, *, within: float = _ANSWER_WITHIN) -> str:
    """Sends one command and gives the answer as text; empty if the store closed the connection.

    Raises NotListening, and TimeoutError after `within` seconds.
    """
    async with asyncio.timeout(within):
        try:
            reader, writer = await asyncio.open_unix_connection(socket)
        except (FileNotFoundError, ConnectionError) as error:
            raise NotListening from error
        try:
            writer.write(f"{command}\r\n".encode())
            return await _answer(reader)
        finally:
            writer.close()


async def _answer(reader: asyncio.StreamReader) -> str:
    try:
        line = (await reader.readline()).decode().strip()
        if line.startswith("$"):
            return (await reader.readexactly(int(line[1:]))).decode()
    except (ConnectionError, asyncio.IncompleteReadError):
        return ""
    return line


async def info(socket: Path, section: str) -> dict[str, str]:
    """The fields of one section of INFO. Raises as `ask`."""
    text = await ask(socket, f"INFO {section}")
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
