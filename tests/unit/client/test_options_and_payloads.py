"""Options from code and environment, payloads there and back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from google.protobuf import struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from penstock import BackoffOptions, ClientOptions, Payload
from penstock import payload as payloads
from penstock.channel import channel_arguments
from penstock.errors import InvalidRequest


@pytest.mark.parametrize(
    ("address", "target", "loopback", "tls"),
    [
        ("127.0.0.1:7700", "127.0.0.1:7700", True, False),
        ("localhost", "localhost:7700", True, False),
        ("[::1]:7701", "[::1]:7701", True, False),
        ("http://127.0.0.1:1/", "127.0.0.1:1", True, False),
        ("unix:/run/penstock.sock", "unix:/run/penstock.sock", True, False),
        ("https://tasks.example.com", "tasks.example.com:7700", False, True),
        ("grpcs://tasks.example.com:443", "tasks.example.com:443", False, True),
        ("dns:///tasks:7700", "dns:///tasks:7700", False, False),
        ("127.0.0.1.example.com:7700", "127.0.0.1.example.com:7700", False, False),
        ("localhost.example.com:7700", "localhost.example.com:7700", False, False),
    ],
)
def test_an_address_says_where_and_how(address, target, loopback, tls):
    options = ClientOptions(address=address)

    assert (options.target, options.loopback, options.tls) == (target, loopback, tls)


def test_loopback_never_goes_through_a_proxy():
    near = dict(channel_arguments(ClientOptions()))
    far = dict(channel_arguments(ClientOptions(address="tasks.example.com")))

    assert near["grpc.enable_http_proxy"] == 0
    assert "grpc.enable_http_proxy" not in far
    assert near["grpc.keepalive_time_ms"] == 30_000


def test_options_come_from_the_environment_and_changes_go_before_it():
    environ = {
        "PENSTOCK_ADDRESS": "https://tasks.example.com",
        "PENSTOCK_NAMESPACE": "billing",
        "PENSTOCK_API_KEY": "pk_secret",
        "PENSTOCK_TLS_CA": "/etc/ca.pem",
        "PENSTOCK_TLS_CERT": "",
    }

    options = ClientOptions.from_env(environ, namespace="other")

    assert options == ClientOptions(
        address="https://tasks.example.com",
        namespace="other",
        api_key="pk_secret",
        tls_ca=Path("/etc/ca.pem"),
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"address": ""}, "must not be empty"),
        ({"tls_cert": Path("c"), "tls_ca": Path("a")}, "PENSTOCK_TLS_KEY"),
        ({"tls_cert": Path("c"), "tls_key": Path("k")}, "TLS is off"),
        ({"submit_flights": 0}, "1 to 16"),
        ({"timeout": timedelta(0)}, "positive"),
        ({"address": "tasks.example.com", "api_key": "pk_secret"}, "in the clear"),
    ],
)
def test_options_that_cannot_work_are_refused_with_what_to_do(changes, text):
    with pytest.raises(ValueError, match=text) as raised:
        ClientOptions(**changes)

    assert "pk_secret" not in str(raised.value)


def test_a_key_in_the_clear_can_be_allowed():
    options = ClientOptions.from_env(
        {"PENSTOCK_ADDRESS": "tasks", "PENSTOCK_API_KEY": "k", "PENSTOCK_PLAINTEXT_KEY": "1"}
    )

    assert options.api_key == "k"


def test_a_backoff_that_shrinks_is_refused():
    with pytest.raises(ValueError, match="multiplier"):
        BackoffOptions(multiplier=0.5)
    with pytest.raises(ValueError, match="initial"):
        BackoffOptions(initial=timedelta(0))


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOATS | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=8,
)


@given(JSON | st.binary())
def test_what_is_encoded_decodes_to_the_same(value):
    assert payloads.decode(payloads.encode(value)) == value


@dataclass
class Point:
    x: int
    y: int


def test_dataclasses_become_objects_at_any_depth():
    encoded = payloads.encode({"points": [Point(1, 2)]})

    assert encoded.data == b'{"points":[{"x":1,"y":2}]}'
    assert encoded.content_type == "application/json"


def test_a_payload_passes_through_as_it_is():
    mine = Payload(content_type="image/png", data=b"\x89PNG", metadata={"encoding": "gzip"})

    assert payloads.encode(mine) is mine
    assert payloads.decode(mine) == b"\x89PNG"


def test_a_json_value_of_the_contract_is_read():
    value = struct_pb2.Value()
    value.struct_value.update({"a": [1, "b", None]})

    assert payloads.decode(Payload(json=value)) == {"a": [1, "b", None]}


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), {"a": object()}])
def test_what_json_does_not_know_is_refused(value):
    with pytest.raises(InvalidRequest, match="cannot be sent as JSON"):
        payloads.encode(value)


def test_a_payload_that_lies_about_being_json_is_said_so():
    with pytest.raises(payloads.PayloadError, match="says it is JSON"):
        payloads.decode(Payload(content_type="application/json; charset=utf-8", data=b"{"))
