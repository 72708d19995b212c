"""Task type `shell`: runs a command line or a program.

Payload: `{"command": "date | wc -c"}` or `{"argv": ["date", "-u"]}`, and optionally `env` (added to
the worker's), `cwd`, `timeout_seconds`. Output becomes log lines; the result is
`{"exit_code": 0}`. Any other exit status, a signal, or a timeout is a failure.

The command has a process group of its own. When it ends, is cancelled, or its worker dies, the
whole group ends with it: nothing of it is left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass, field
from typing import Final

from penstock_worker.builtin.output import Output
from penstock_worker.context import Context
from penstock_worker.errors import Fail, NonRetryableError
from penstock_worker.leash import Leash

# Between SIGTERM and SIGKILL when the command is stopped, in seconds. Below the default grace of
# a cancel (10 s), so that the report says how the command ended.
TERM_GRACE: Final = 5.0
MAX_TIMEOUT: Final = 365 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Payload of a `shell` task: exactly one of `command` and `argv`."""

    command: str | None = None
    """A command line for /bin/sh."""
    argv: list[str] | None = None
    """A program and its arguments, started without a shell."""
    env: dict[str, str] = field(default_factory=dict)
    """Environment variables, added to the worker's."""
    cwd: str | None = None
    """Working folder. Default: the worker's."""
    timeout_seconds: float | None = None
    """Longest time to run, above 0."""

    def program(self) -> list[str]:
        """Answers what to start. Raises NonRetryableError for what makes no sense."""
        self._check()
        return (
            ["/bin/sh", "-c", self.command] if self.command is not None else list(self.argv or ())
        )

    def _check(self) -> None:
        if (self.command is None) == (self.argv is None):
            raise _invalid("give exactly one of `command` and `argv`")
        if self.command is not None and not self.command.strip():
            raise _invalid("`command` is empty")
        if self.argv is not None and not (self.argv and self.argv[0]):
            raise _invalid("`argv` names no program")
        for text in (self.command or "", self.cwd or "", *(self.argv or ()), *self.env.values()):
            if "\0" in text:
                raise _invalid("a NUL character cannot be passed to a program")
        if any(not name or "=" in name or "\0" in name for name in self.env):
            raise _invalid("`env` has a variable without a proper name")
        timeout = self.timeout_seconds
        if timeout is not None and not 0 < timeout <= MAX_TIMEOUT:
            raise _invalid(f"`timeout_seconds` is {timeout}; it must be above 0, at most a year")


def _invalid(text: str) -> NonRetryableError:
    return NonRetryableError(f"shell: {text}", kind="penstock_worker.builtin.InvalidCommand")


async def run(command: Command, context: Context) -> dict[str, int]:
    """Runs a command; its exit status decides."""
    program = command.program()
    async with Output(context) as output:
        process = await _start(command, program, output)
        output.close_writers()
        leash = Leash(process.pid)
        try:
            code = await _wait(process, command.timeout_seconds)
        finally:
            await _end_group(process)
            leash.release()
    return _judge(code)


async def _start(
    command: Command, program: list[str], output: Output
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *program,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output.stdout,
            stderr=output.stderr,
            cwd=command.cwd,
            env=os.environ | command.env,
            start_new_session=True,
        )
    except OSError as error:
        raise Fail(
            f"shell: {program[0]!r} cannot be started: {error.strerror}"
            + (f" (working folder {command.cwd!r})" if command.cwd else ""),
            kind="penstock_worker.builtin.CommandNotStarted",
            details={"errno": error.errno or 0},
        ) from error


async def _wait(process: asyncio.subprocess.Process, timeout: float | None) -> int:
    try:
        async with asyncio.timeout(timeout):
            return await process.wait()
    except TimeoutError:
        raise Fail(
            f"shell: the command did not end within {timeout:g} s",
            kind="penstock_worker.builtin.CommandTimedOut",
        ) from None


async def _end_group(process: asyncio.subprocess.Process) -> None:
    """Ends what still runs: SIGTERM, a grace, SIGKILL; the killing survives a second cancel."""
    try:
        if process.returncode is None:
            _signal(process, signal.SIGTERM)
            async with asyncio.timeout(TERM_GRACE):
                await process.wait()
    except TimeoutError:
        pass  # the signal below ends it
    finally:
        _signal(process, signal.SIGKILL)
    await process.wait()


def _signal(process: asyncio.subprocess.Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _judge(code: int) -> dict[str, int]:
    if code == 0:
        return {"exit_code": 0}
    if code > 0:
        raise Fail(
            f"shell: the command ended with exit status {code}",
            kind="penstock_worker.builtin.CommandFailed",
            details={"exit_code": code},
        )
    name = signal.Signals(-code).name if -code in set(signal.Signals) else "unknown"
    raise Fail(
        f"shell: the command was killed by signal {-code} ({name})",
        kind="penstock_worker.builtin.CommandKilled",
        details={"signal": -code, "signal_name": name},
    )
