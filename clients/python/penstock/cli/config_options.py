"""The options that say what holds for a queue or a task type, and how its config changes by them.

Whatever is not given stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer

from penstock.cli.exits import usage
from penstock.cli.spec import set_number, set_span

_POLICY: Final = "Defaults for tasks that bring none"


@dataclass(frozen=True, kw_only=True)
class ConfigOptions:
    """What can be set on a queue and on a task type."""

    description: Annotated[str | None, typer.Option(help="For people.", metavar="TEXT")] = None
    lease: Annotated[str | None, typer.Option(help="Term of leases, 5s to 1h.", metavar="SPAN")] = (
        None
    )
    retention: Annotated[
        str | None, typer.Option(help="How long ended tasks stay.", metavar="SPAN")
    ] = None
    max_attempts: Annotated[
        int | None,
        typer.Option(help="Executions that may fail.", metavar="N", rich_help_panel=_POLICY),
    ] = None
    max_crashes: Annotated[
        int | None, typer.Option(help="Crashes allowed.", metavar="N", rich_help_panel=_POLICY)
    ] = None
    execution_timeout: Annotated[
        str | None, typer.Option(help="Longest execution.", metavar="SPAN", rich_help_panel=_POLICY)
    ] = None

    def check(self, command: str, config: Any) -> None:
        """Raises a usage error if nothing is given, or something that does not fit `config`."""
        if all(value is None for value in vars(self).values()):
            remedy = f"`penstock {command} --help` lists what can be set"
            raise usage("nothing to set", remedy=remedy)
        self.set_on(config)

    def set_on(self, config: Any) -> None:
        """Sets what is given. Raises a usage error that names the option at fault."""
        if self.description is not None:
            config.description = self.description
        set_span(config, "lease_duration", self.lease, "--lease")
        set_span(config, "retention", self.retention, "--retention")
        set_number(config.retry_policy, "max_attempts", self.max_attempts, "--max-attempts")
        set_number(config.retry_policy, "max_crashes", self.max_crashes, "--max-crashes")
        set_span(config.timeouts, "start_to_close", self.execution_timeout, "--execution-timeout")


@dataclass(frozen=True, kw_only=True)
class QueueOptions(ConfigOptions):
    """What can be set on a queue."""

    backoff: Annotated[
        str | None, typer.Option(help="First wait.", metavar="SPAN", rich_help_panel=_POLICY)
    ] = None
    max_backoff: Annotated[
        str | None, typer.Option(help="Longest wait.", metavar="SPAN", rich_help_panel=_POLICY)
    ] = None

    def set_on(self, config: Any) -> None:
        """Sets what is given. Raises a usage error that names the option at fault."""
        super().set_on(config)
        set_span(config.retry_policy, "initial_backoff", self.backoff, "--backoff")
        set_span(config.retry_policy, "max_backoff", self.max_backoff, "--max-backoff")


@dataclass(frozen=True, kw_only=True)
class TypeOptions(ConfigOptions):
    """What can be set on a task type."""

    priority: Annotated[
        int | None,
        typer.Option(help="0 (last) to 9 (first).", metavar="N", rich_help_panel=_POLICY),
    ] = None

    def set_on(self, config: Any) -> None:
        """Sets what is given. Raises a usage error that names the option at fault."""
        super().set_on(config)
        set_number(config, "priority", self.priority, "--priority")
