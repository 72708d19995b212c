"""docs/reference/api.md: every service, message and enum with the comments of the protos."""

from __future__ import annotations

from typing import Final

from pages.contract import Contract, Enum, Message, Method, Service
from pages.form import REMARK, table


def page(contract: Contract) -> str:
    """The whole page."""
    methods = [method for service in contract.services.values() for method in service.methods]
    told = {name for method in methods for name in (method.request, method.response)}
    parts = [_HEAD]
    services = sorted(contract.services.values(), key=lambda one: _rank(one.name))
    parts += [_service(contract, service) for service in services]
    parts.append("\n## Messages\n")
    parts += [_message(m, contract) for m in contract.messages.values() if m.name not in told]
    parts.append("\n## Enums\n")
    parts += [_enum(enum) for enum in contract.enums.values()]
    return "".join(parts)


def _rank(service: str) -> int:
    """Those that most people look for come first, new ones last."""
    return _FIRST.index(service) if service in _FIRST else len(_FIRST)


def _service(contract: Contract, service: Service) -> str:
    methods = "".join(_method(contract, method) for method in service.methods)
    return f"\n## {service.name}\n\n`penstock.v1.{service.name}`. {service.comment}\n{methods}"


def _method(contract: Contract, method: Method) -> str:
    request, response = contract.messages[method.request], contract.messages[method.response]
    stream = "stream of " if method.streams else ""
    return (
        f"\n### {method.name}\n\n{method.comment}\n"
        f"\n`{request.name}`: {request.comment}\n{_fields(request, contract)}"
        f"\nAnswers {stream}`{response.name}`: {response.comment}\n{_fields(response, contract)}"
    )


def _message(message: Message, contract: Contract) -> str:
    return f"\n### {message.name}\n\n{message.comment}\n{_fields(message, contract)}"


def _fields(message: Message, contract: Contract) -> str:
    if not message.fields:
        return ""
    rows = [
        [f"`{field.name}`", _linked(field.kind, field.message), field.comment]
        for field in message.fields
    ]
    return "\n" + table(["field", "type", "meaning"], rows)


def _linked(kind: str, message: str) -> str:
    return kind.replace(message, f"[{message}](#{message.lower()})", 1) if message else kind


def _enum(enum: Enum) -> str:
    rows = [[f"`{value.name}`", str(value.number), value.comment] for value in enum.values]
    body = table(["value", "number", "meaning"], rows)
    return f"\n### {enum.name}\n\n{enum.comment}\n\n{body}"


_FIRST: Final = ("TaskService", "WorkerService", "QueueService", "NamespaceService")
_HEAD: Final = f"""\
# API

{REMARK}

The contract is the package `penstock.v1` in `proto/penstock/v1`. This page is made from its
comments. A field that is not set has the default that its line names. Times are UTC timestamps,
spans are durations.
Which refusals mean what stands in [Errors](errors.md).

The server also answers `grpc.health.v1.Health`, server reflection (v1alpha) and channelz (v1).
"""
