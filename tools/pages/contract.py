"""The contract with its comments, read from the protos by protoc."""

from __future__ import annotations

import importlib.resources
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from google.protobuf import descriptor_pb2
from grpc_tools import protoc  # type: ignore[import-untyped]

ROOT: Final = Path(__file__).resolve().parents[2]
_FIELD, _NESTED, _ONEOF, _VALUE, _METHOD = 2, 3, 8, 2, 2
_MESSAGES, _ENUMS, _SERVICES = 4, 5, 6
_KINDS: Final = descriptor_pb2.FieldDescriptorProto


@dataclass(frozen=True)
class Field:
    """A field: its type in words, its oneof if it has one, its comment."""

    name: str
    kind: str
    message: str
    """Name of the message or enum that it holds; empty for a scalar."""
    comment: str


@dataclass(frozen=True)
class Message:
    """A message."""

    name: str
    comment: str
    fields: list[Field]


@dataclass(frozen=True)
class Value:
    """A value of an enum."""

    name: str
    number: int
    comment: str


@dataclass(frozen=True)
class Enum:
    """An enum."""

    name: str
    comment: str
    values: list[Value]


@dataclass(frozen=True)
class Method:
    """A method of a service."""

    name: str
    comment: str
    request: str
    response: str
    streams: bool


@dataclass(frozen=True)
class Service:
    """A service."""

    name: str
    comment: str
    methods: list[Method]


@dataclass
class Contract:
    """Everything of the package, in the order of files and declarations."""

    messages: dict[str, Message] = field(default_factory=dict)
    enums: dict[str, Enum] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)


def read_contract() -> Contract:
    """Reads proto/penstock/v1."""
    contract = Contract()
    for file in _compile().file:
        if file.package == "penstock.v1":
            _add(contract, file)
    return contract


def _compile() -> descriptor_pb2.FileDescriptorSet:
    protos = sorted((ROOT / "proto/penstock/v1").glob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "contract.binpb"
        status = protoc.main(
            [
                "protoc",
                f"-I{ROOT / 'proto'}",
                f"-I{importlib.resources.files('grpc_tools') / '_proto'}",
                "--include_source_info",
                f"--descriptor_set_out={out}",
                *(str(path) for path in protos),
            ]
        )
        assert status == 0, "protoc refuses the contract"
        return descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())


def _add(contract: Contract, file: descriptor_pb2.FileDescriptorProto) -> None:
    comments = {
        tuple(place.path): " ".join(place.leading_comments.split())
        for place in file.source_code_info.location
    }
    for number, message in enumerate(file.message_type):
        contract.messages[message.name] = _message(message, comments, (_MESSAGES, number))
    for number, enum in enumerate(file.enum_type):
        contract.enums[enum.name] = _enum(enum, comments, (_ENUMS, number))
    for number, service in enumerate(file.service):
        contract.services[service.name] = _service(service, comments, (_SERVICES, number))


_Comments = Mapping[tuple[int, ...], str]


def _message(
    message: descriptor_pb2.DescriptorProto, comments: _Comments, path: tuple[int, ...]
) -> Message:
    maps = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
    fields = []
    for number, one in enumerate(message.field):
        kind, held = _kind(one, maps)
        if one.HasField("oneof_index") and not one.proto3_optional:
            kind += f", one of `{message.oneof_decl[one.oneof_index].name}`"
        comment = comments.get((*path, _FIELD, number), "")
        fields.append(Field(one.name, kind, held, comment))
    return Message(message.name, comments.get(path, ""), fields)


def _kind(one: descriptor_pb2.FieldDescriptorProto, maps: Mapping[str, Any]) -> tuple[str, str]:
    held = one.type_name.rpartition(".")[2]
    if held in maps:
        key, value = (_scalar(part) for part in maps[held].field)
        return f"map of {key} to {value}", ""
    word = held or _scalar(one)
    ours = held if one.type_name.startswith(".penstock.") else ""
    repeated = one.label == _KINDS.LABEL_REPEATED
    optional = " (optional)" if one.proto3_optional else ""
    return f"list of {word}" if repeated else f"{word}{optional}", ours


def _scalar(one: descriptor_pb2.FieldDescriptorProto) -> str:
    return _KINDS.Type.Name(one.type).removeprefix("TYPE_").lower()


def _enum(
    enum: descriptor_pb2.EnumDescriptorProto, comments: _Comments, path: tuple[int, ...]
) -> Enum:
    values = [
        Value(value.name, value.number, comments.get((*path, _VALUE, number), ""))
        for number, value in enumerate(enum.value)
    ]
    return Enum(enum.name, comments.get(path, ""), values)


def _service(
    service: descriptor_pb2.ServiceDescriptorProto, comments: _Comments, path: tuple[int, ...]
) -> Service:
    methods = [
        Method(
            method.name,
            comments.get((*path, _METHOD, number), ""),
            method.input_type.rpartition(".")[2],
            method.output_type.rpartition(".")[2],
            method.server_streaming,
        )
        for number, method in enumerate(service.method)
    ]
    return Service(service.name, comments.get(path, ""), methods)
