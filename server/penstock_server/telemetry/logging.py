"""Log lines: an event name and fields, as key=value text or JSON, on standard error.

Lines of libraries that use the standard `logging` come out in the same form. Fields whose names
say that they hold a secret or user data are masked, and so is every API key and URL password
inside a text, wherever it comes from.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

MASK: Final = "***"

_SECRET_FIELDS: Final = frozenset(
    {
        "api_key",
        "authorization",
        "body",
        "credentials",
        "key_text",
        "lease_token",
        "metadata",
        "password",
        "payload",
        "result",
        "secret",
        "spec",
        "token",
    }
)
_SECRET_TEXTS: Final = (
    (re.compile(r"\bpsk_([a-z0-9]+)_[A-Za-z0-9]+"), rf"psk_\1_{MASK}"),
    (re.compile(r"(?<=://)([^\s/:@]*):[^\s/@]+@"), rf"\1:{MASK}@"),
    (re.compile(r"(?i)\b(bearer) +\S+"), rf"\1 {MASK}"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """Which lines are written, and how. `stream` default: standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"
    stream: TextIO | None = None


def configure_logging(options: LogOptions) -> None:
    """Makes all log lines of this process come out as the options say."""
    level = logging.getLevelNamesMapping()[options.level.upper()]
    stream = options.stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_shared(),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_output(options, stream),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    _through_standard_logging(level)


def _through_standard_logging(level: int) -> None:
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger: `log.info(events.SERVER_READY, address=…)`. Made at import, configured later."""
    return cast(FilteringBoundLogger, structlog.stdlib.get_logger(name))


def redact(_: object, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Masks secrets and user data, by name of the field and by form of the text."""
    for name, value in event.items():
        if name in _SECRET_FIELDS:
            event[name] = MASK
        elif isinstance(value, str):
            event[name] = redact_text(value)
    return event


def redact_text(text: str) -> str:
    """The text with API keys and URL passwords masked."""
    for pattern, replacement in _SECRET_TEXTS:
        text = pattern.sub(replacement, text)
    return text


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _output(options: LogOptions, stream: TextIO) -> list[Processor]:
    # Stacks become text first, so that secrets in them are masked too.
    if options.format == "json":
        return [
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.JSONRenderer(default=str),
        ]
    return [
        structlog.processors.format_exc_info,
        redact,
        structlog.dev.ConsoleRenderer(
            colors=stream.isatty(),
            exception_formatter=structlog.dev.plain_traceback,
            pad_event_to=0,
        ),
    ]


# Until somebody configures it, the handlers of the program decide, and by default only warnings are
# written. structlog's own default would print every line to standard output.
if not structlog.is_configured():
    _through_standard_logging(logging.INFO)
