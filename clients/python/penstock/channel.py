"""Makes the gRPC channel of a client or worker from its options.

Sizes, keepalive and reconnects are set explicitly, because gRPC's defaults notice a dead server
only after hours and wait up to two minutes before they try again.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final

import grpc

from penstock.options import ClientOptions

ChannelArguments = list[tuple[str, int | str]]
Metadata = tuple[tuple[str, str], ...]

# Not below 10 s, which is where servers call it abuse; ours is documented as 30 s.
KEEPALIVE_MS: Final = 30_000


def open_channel(options: ClientOptions) -> grpc.aio.Channel:
    """Makes a channel; connects with the first call. Call it where an event loop runs."""
    arguments = channel_arguments(options)
    if not options.tls:
        return grpc.aio.insecure_channel(options.target, options=arguments)
    return grpc.aio.secure_channel(options.target, _credentials(options), options=arguments)


def call_metadata(options: ClientOptions) -> Metadata:
    """Metadata of every call: the API key, if there is one. A secret: never log it."""
    return (("authorization", f"Bearer {options.api_key}"),) if options.api_key else ()


def channel_arguments(options: ClientOptions) -> ChannelArguments:
    """Channel arguments for these options."""
    arguments: ChannelArguments = [
        ("grpc.primary_user_agent", f"penstock-python/{client_version()}"),
        ("grpc.max_send_message_length", options.max_message_bytes),
        ("grpc.max_receive_message_length", options.max_message_bytes),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.min_reconnect_backoff_ms", 2_000),
        ("grpc.max_reconnect_backoff_ms", 3_000),
    ]
    if options.loopback:
        arguments.append(("grpc.enable_http_proxy", 0))
    return arguments


def client_version() -> str:
    """Version of the installed distribution; `unknown` when run from a bare source tree."""
    try:
        return version("penstock")
    except PackageNotFoundError:
        return "unknown"


def _credentials(options: ClientOptions) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=options.tls_ca.read_bytes() if options.tls_ca else None,
        private_key=options.tls_key.read_bytes() if options.tls_key else None,
        certificate_chain=options.tls_cert.read_bytes() if options.tls_cert else None,
    )
