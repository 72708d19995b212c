"""How a handler wants to be called, read once from its signature.

A handler takes at most one parameter annotated `Context`, anywhere, and at most one other, which
is given the payload in the form that its annotation asks for.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from penstock.v1 import task_pb2
from penstock_worker import codec
from penstock_worker.context import Context
from penstock_worker.errors import PayloadError
from penstock_worker.shapes import Mismatch, shape

Decode: TypeAlias = Callable[[task_pb2.Payload], Any]


@dataclass(frozen=True, slots=True)
class Binding:
    """Which arguments a handler takes and how its payload is decoded."""

    decode: Decode | None
    """None: the handler takes no payload."""
    payload_name: str | None
    context_name: str | None
    optional: bool
    """True if the payload parameter has a default, used when the task has no payload."""

    def arguments(self, context: Context, payload: task_pb2.Payload) -> dict[str, Any]:
        """Answers the arguments of one call. Raises PayloadError."""
        arguments: dict[str, Any] = {}
        if self.context_name is not None:
            arguments[self.context_name] = context
        if self.decode is None or self.payload_name is None:
            return arguments
        if not (self.optional and payload.WhichOneof("content") is None):
            arguments[self.payload_name] = self.decode(payload)
        return arguments


def bind(function: Callable[..., Any]) -> Binding:
    """Reads a handler's signature. Raises ValueError if it asks for what there is not."""
    hints = _hints(function)
    context_name = payload = None
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if hints.get(parameter.name) is Context and context_name is None:
            context_name = parameter.name
        elif payload is None:
            payload = parameter
        elif parameter.default is parameter.empty:
            raise ValueError(
                f"handler {function.__qualname__} has a parameter too many: {parameter.name!r}."
                " It may take a Context and the payload"
            )
    _check_positional_only(function)
    if payload is None:
        return Binding(None, None, context_name, optional=False)
    decode = _decoder(hints.get(payload.name, inspect.Parameter.empty))
    return Binding(
        decode, payload.name, context_name, optional=payload.default is not payload.empty
    )


def _check_positional_only(function: Callable[..., Any]) -> None:
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise ValueError(
                f"handler {function.__qualname__} has a positional-only parameter"
                f" {parameter.name!r}: arguments are passed by name, remove the `/`"
            )


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except NameError as error:
        raise ValueError(
            f"a type hint of handler {function.__qualname__} cannot be resolved: {error}."
            " Import the name at module level (not under TYPE_CHECKING)"
        ) from error


def _decoder(hint: Any) -> Decode:
    if hint in (inspect.Parameter.empty, Any, object):
        return codec.read_any
    if hint is bytes:
        return codec.read_bytes
    if hint is str:
        return codec.read_text
    if hint is task_pb2.Payload:
        return lambda payload: payload
    if hasattr(hint, "model_validate"):
        return _pydantic(hint)
    return _shaped(hint)


def _pydantic(model: Any) -> Decode:
    def decode(payload: task_pb2.Payload) -> Any:
        value = codec.read_json(payload)
        try:
            return model.model_validate(value)
        except ValueError as error:  # pydantic's ValidationError is one
            raise PayloadError(f"the payload is no {model.__name__}: {error}") from error

    return decode


def _shaped(hint: Any) -> Decode:
    convert = shape(hint)

    def decode(payload: task_pb2.Payload) -> Any:
        value = codec.read_json(payload)
        try:
            return convert(value)
        except Mismatch as mismatch:
            raise PayloadError(f"the payload does not fit the handler: {mismatch}") from mismatch

    return decode
