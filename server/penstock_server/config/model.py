"""Every setting of the server, with its default, its bounds and its meaning.

`penstock config` and docs/reference/configuration.md are printed from these fields, so a field's
description is its documentation.
"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from penstock_server.config.units import (
    Address,
    ListenAddress,
    OptionalAddress,
    Size,
    Span,
    StoreAddress,
    StoreUrl,
    parse_switch,
)

MiB = 2**20
GiB = 2**30
_YEAR = timedelta(days=365)


def _existing_file(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return path


PemFile = Annotated[Path, AfterValidator(_existing_file)]
RoleName = Literal["viewer", "submitter", "worker", "operator", "admin"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class StoreSettings(_Section):
    """Where hot state lives."""

    url: StoreAddress = Field(
        default=StoreUrl("embedded"),
        description="`embedded` starts a Valkey in the data folder; else the URL of your own Redis "
        "or Valkey: redis://, rediss:// or unix://.",
    )
    partitions: int = Field(
        default=1,
        ge=1,
        le=1_024,
        description="Slices of the hot store. Fixed when the store is first used; 1 keeps "
        "everything atomic, more let a cluster spread queues over nodes.",
    )
    appendfsync: Literal["everysec", "always"] = Field(
        default="everysec",
        description="When the embedded store flushes to disk. `everysec`: a crash of the store "
        "process or the machine can lose up to about 2 s of acknowledged writes; `always`: none.",
    )


class LimitSettings(_Section):
    """How much of everything is allowed."""

    payload_bytes: Size = Field(
        default=1 * MiB, ge=1024, le=16 * MiB, description="Largest payload of a task."
    )
    result_bytes: Size = Field(
        default=1 * MiB, ge=1024, le=16 * MiB, description="Largest result of an execution."
    )
    request_bytes: Size = Field(
        default=32 * MiB,
        ge=64 * 1024,
        le=256 * MiB,
        description="Largest request. A larger one is refused as TOO_LARGE; one of more than twice "
        "this is cut off by the transport as RESOURCE_EXHAUSTED without details.",
    )
    namespaces: int = Field(
        default=1_000, ge=1, le=100_000, description="Namespaces of the server."
    )
    queues_per_namespace: int = Field(
        default=10_000, ge=1, le=1_000_000, description="Queues of one namespace."
    )
    task_types_per_namespace: int = Field(
        default=1_000, ge=1, le=100_000, description="Task types of one namespace with a record."
    )
    backlog_tasks: int = Field(
        default=10_000_000,
        ge=1,
        description="Tasks of one namespace that wait (SCHEDULED or READY). Beyond it submits are "
        "refused as BACKLOG_FULL.",
    )
    backlog_bytes: Size = Field(
        default=8 * GiB,
        ge=1 * MiB,
        description="Bytes of the specs of those tasks. Beyond it submits are refused likewise.",
    )
    leasing_memory_percent: int = Field(
        default=110,
        ge=101,
        le=1_000,
        description="Percent of the store's maxmemory in use at which nothing is leased any more, "
        "until it is 5 below. At 100 the store refuses submits; what runs may always report.",
    )
    concurrent_calls: int = Field(
        default=4_096,
        ge=16,
        le=1_000_000,
        description="Short calls under way in one server process. Beyond it: OVERLOADED.",
    )
    concurrent_polls: int = Field(
        default=16_384,
        ge=16,
        le=1_000_000,
        description="Waiting calls (LeaseTasks, RunTask, AwaitTask) under way in one process.",
    )
    concurrent_streams: int = Field(
        default=4_096,
        ge=16,
        le=1_000_000,
        description="Streams (WatchTasks, TailLogs) open in one server process.",
    )
    streams_per_principal: int = Field(
        default=1_024, ge=1, le=1_000_000, description="Of these, streams of one principal."
    )
    call_timeout: Span = Field(
        default=timedelta(seconds=30),
        ge=timedelta(seconds=1),
        le=timedelta(minutes=10),
        description="Longest time a short call may take on the server, whatever its deadline. "
        "Beyond it: DEADLINE_EXCEEDED. Waiting calls add the wait that they ask for.",
    )


class LeaseSettings(_Section):
    """How long a worker holds a task."""

    term: Span = Field(
        default=timedelta(seconds=60),
        ge=timedelta(seconds=5),
        le=timedelta(hours=1),
        description="Term of a lease. Workers renew it at a third.",
    )
    accept_within: Span = Field(
        default=timedelta(seconds=10),
        # A shorter outage than the reaper takes for one must not use it up.
        ge=timedelta(seconds=3),
        le=timedelta(minutes=10),
        description="Term of a lease until its worker has accepted it.",
    )
    releases_in_a_row: int = Field(
        default=20,
        ge=1,
        le=1_000,
        description="Releases without another outcome between them after which a task becomes a "
        "dead letter.",
    )


class RetentionSettings(_Section):
    """How long and how much is kept. What comes first ends it."""

    ended_age: Span = Field(
        default=timedelta(hours=24),
        ge=timedelta(0),
        le=_YEAR,
        description="Full records of ended tasks.",
    )
    ended_count: int = Field(
        default=100_000,
        ge=0,
        description="Full records of ended tasks per partition, dead letters included. Beyond it "
        "those go first whose time is over first.",
    )
    dead_age: Span = Field(
        default=timedelta(days=30), ge=timedelta(0), le=_YEAR, description="Dead letters."
    )
    stub_age: Span = Field(
        default=timedelta(hours=1),
        ge=timedelta(hours=1),
        le=_YEAR,
        description="What is left of an ended task (id, state, fence, outcome), so that a late "
        "repeat of a report or a retry is answered right.",
    )
    request_id_window: Span = Field(
        default=timedelta(minutes=10),
        ge=timedelta(minutes=10),
        le=timedelta(days=1),
        description="How long a `request_id` is remembered. The contract promises 10 min.",
    )
    events_age: Span = Field(
        default=timedelta(minutes=10),
        ge=timedelta(seconds=10),
        le=timedelta(days=7),
        description="Events, for watches that resume.",
    )
    events_count: int = Field(
        default=100_000,
        ge=1_000,
        description="Entries of the event stream per partition. One entry holds the events of one "
        "store call.",
    )
    events_bytes: Size = Field(
        default=256 * MiB, ge=1 * MiB, description="Bytes of the event stream per partition."
    )
    log_lines: int = Field(
        default=10_000, ge=0, le=1_000_000, description="Log lines per execution."
    )
    log_bytes: Size = Field(
        default=4 * MiB, ge=0, le=256 * MiB, description="Bytes of log text per execution."
    )


class CertificateRule(_Section):
    """Who the holder of a client certificate is."""

    name: str = Field(description="Subject alternative name; `*` stands for any text.")
    role: RoleName = Field(description="What it may do.")
    namespaces: tuple[str, ...] = Field(default=("*",), description="Where. `*` means everywhere.")


class SecuritySettings(_Section):
    """Who may call, and how calls are protected."""

    tls_cert: PemFile | None = Field(
        default=None, description="Certificate chain of the server, a PEM file. Turns TLS on."
    )
    tls_key: PemFile | None = Field(default=None, description="Its private key, a PEM file.")
    tls_ca: PemFile | None = Field(
        default=None, description="Certificates that sign client certificates, a PEM file."
    )
    require_client_cert: bool = Field(
        default=False,
        description="Refuse connections without a client certificate signed by `tls_ca`.",
    )
    certificates: tuple[CertificateRule, ...] = Field(
        default=(),
        description="Roles for client certificates: a list of {name, role, namespaces}; the first "
        "whose name fits a subject alternative name decides.",
    )
    keys: Annotated[Literal["auto", "on", "off"], BeforeValidator(parse_switch)] = Field(
        default="auto",
        description="Whether calls need an API key. `auto`: from the first key that is created on. "
        "`off`: never, everybody is an administrator.",
    )
    insecure: bool = Field(
        default=False,
        description="Allow to listen beyond this machine without TLS, or with nobody having to say "
        "who they are.",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("security.tls_cert and security.tls_key belong together: set both")
        if self.certificates and not self.require_client_cert:
            raise ValueError(
                "security.certificates needs security.require_client_cert=true: without it nobody"
                " is asked for a certificate"
            )
        if self.require_client_cert and (self.tls_ca is None or self.tls_cert is None):
            raise ValueError(
                "security.require_client_cert needs security.tls_cert, tls_key and tls_ca"
            )
        return self

    @property
    def tls(self) -> bool:
        """True if calls are encrypted."""
        return self.tls_cert is not None


class TelemetrySettings(_Section):
    """What the server tells about itself."""

    otlp_endpoint: str | None = Field(
        default=None,
        description="OTLP gRPC receiver for spans, e.g. `http://127.0.0.1:4317`. Unset: no spans.",
    )
    sample_ratio: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="Share of the calls without a trace context for which the server begins a "
        "trace. Calls with one follow the caller's decision.",
    )
    service_name: str = Field(
        default="penstock-server", description="`service.name` of the server's spans."
    )


class LogSettings(_Section):
    """What the server writes to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least serious lines that are written."
    )
    format: Literal["auto", "console", "json"] = Field(
        default="auto",
        description="`auto`: `console` on a terminal, else key=value lines as in `console`.",
    )


class DrainSettings(_Section):
    """How the server goes away."""

    grace: Span = Field(
        default=timedelta(seconds=20),
        ge=timedelta(0),
        le=timedelta(hours=1),
        description="Time that calls under way are given to end after SIGTERM or SIGINT.",
    )


class Config(BaseSettings):
    """All settings of a server. Frozen; made by `load_config`."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    listen: ListenAddress = Field(
        default=Address("127.0.0.1", 7700),
        description="Where gRPC is served. Port 0: chosen by the system.",
    )
    metrics: OptionalAddress = Field(
        default=Address("127.0.0.1", 7790),
        description="Where the Prometheus page is served, or `off`. With several processes each "
        "adds its number to the port.",
    )
    data: Path = Field(
        default=Path("penstock-data"), description="Folder of the embedded store and its lock."
    )
    processes: int = Field(
        default=1, ge=1, le=64, description="Server processes that share the port (SO_REUSEPORT)."
    )
    store: StoreSettings = Field(default=StoreSettings())
    limits: LimitSettings = Field(default=LimitSettings())
    lease: LeaseSettings = Field(default=LeaseSettings())
    retention: RetentionSettings = Field(default=RetentionSettings())
    security: SecuritySettings = Field(default=SecuritySettings())
    telemetry: TelemetrySettings = Field(default=TelemetrySettings())
    log: LogSettings = Field(default=LogSettings())
    drain: DrainSettings = Field(default=DrainSettings())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *others: PydanticBaseSettingsSource,
        **named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load_config` has merged: it remembers where each value came from."""
        return (init_settings,)

    @model_validator(mode="after")
    def _closed_beyond_this_machine(self) -> Self:
        security = self.security
        identified = security.keys == "on" or security.require_client_cert
        if self.listen.is_loopback or security.insecure or (security.tls and identified):
            return self
        raise ValueError(
            f"listen {self.listen} can be reached from other machines: set security.tls_cert and "
            "tls_key, and security.keys=on or security.require_client_cert=true; or accept the "
            "risk with --insecure"
        )
