"""Turns the settings into the options of each room; no room knows how settings are spelled."""

import os
import socket

from penstock_server.config import Config
from penstock_server.embedded import EmbeddedOptions
from penstock_server.engine.access import KeyRing
from penstock_server.model.access import Role
from penstock_server.model.records import StoreLimits
from penstock_server.service.interceptors import AdmissionLimits, Authenticator, CertificateRule
from penstock_server.service.listening import ListenOptions
from penstock_server.service.tls import TlsOptions
from penstock_server.service.validate.limits import Limits
from penstock_server.telemetry.logging import LogOptions
from penstock_server.telemetry.tracing import TracingOptions


def log_options(config: Config) -> LogOptions:
    """Which log lines are written, and how."""
    return LogOptions(level=config.log.level, format=config.log.format)


def tracing_options(config: Config) -> TracingOptions:
    """Where spans go."""
    telemetry = config.telemetry
    return TracingOptions(
        endpoint=telemetry.otlp_endpoint,
        sample_ratio=telemetry.sample_ratio,
        service_name=telemetry.service_name,
        instance=f"{socket.gethostname()}:{os.getpid()}",
    )


def embedded_options(config: Config) -> EmbeddedOptions:
    """How the embedded store is run."""
    return EmbeddedOptions(folder=config.data, appendfsync=config.store.appendfsync)


def store_limits(config: Config) -> StoreLimits:
    """Bounds that the store's scripts apply."""
    lease, kept, limits = config.lease, config.retention, config.limits
    return StoreLimits(
        accept_within=lease.accept_within,
        lease_term=lease.term,
        request_window=kept.request_id_window,
        ended_age=kept.ended_age,
        ended_count=kept.ended_count,
        stub_age=kept.stub_age,
        dead_age=kept.dead_age,
        event_entries=kept.events_count,
        event_bytes=kept.events_bytes,
        event_window=kept.events_age,
        log_lines=kept.log_lines,
        log_bytes=kept.log_bytes,
        namespaces=limits.namespaces,
        queues_per_namespace=limits.queues_per_namespace,
        task_types_per_namespace=limits.task_types_per_namespace,
        backlog_count=limits.backlog_tasks,
        backlog_bytes=limits.backlog_bytes,
        releases_in_a_row=lease.releases_in_a_row,
    )


def request_limits(config: Config) -> Limits:
    """Bounds that requests are held against."""
    return Limits(
        payload_bytes=config.limits.payload_bytes, result_bytes=config.limits.result_bytes
    )


def admission_limits(config: Config) -> AdmissionLimits:
    """How many calls may be under way."""
    limits = config.limits
    return AdmissionLimits(
        calls=limits.concurrent_calls,
        polls=limits.concurrent_polls,
        streams=limits.concurrent_streams,
        streams_per_principal=limits.streams_per_principal,
    )


def listen_options(config: Config, *, share_port: bool) -> ListenOptions:
    """Where and how calls are taken."""
    limits = config.limits
    lanes = (2 * limits.concurrent_calls, limits.concurrent_polls, 2 * limits.concurrent_streams)
    return ListenOptions(
        address=str(config.listen),
        tls=_tls_options(config),
        request_bytes=limits.request_bytes,
        most_calls=sum(lanes),
        share_port=share_port,
    )


def _tls_options(config: Config) -> TlsOptions | None:
    security = config.security
    if security.tls_cert is None or security.tls_key is None:
        return None
    return TlsOptions(
        certificate=security.tls_cert,
        key=security.tls_key,
        client_authority=security.tls_ca,
        client_certificate_required=security.require_client_cert,
    )


def authenticator(config: Config, keys: KeyRing) -> Authenticator:
    """Who makes a call."""
    rules = [
        CertificateRule(
            rule.name,
            Role(rule.role),
            None if "*" in rule.namespaces else frozenset(rule.namespaces),
        )
        for rule in config.security.certificates
    ]
    return Authenticator(
        keys, certificates=rules, certificate_required=config.security.require_client_cert
    )
