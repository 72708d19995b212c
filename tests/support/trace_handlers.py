"""Handlers whose executions go well, fail once, or hang until their worker is killed."""

from __future__ import annotations

import asyncio

from opentelemetry import trace

from penstock_worker import Context, Worker

worker = Worker("traced")


@worker.task("traced.double")
async def double(number: int) -> int:
    return 2 * number


@worker.task("traced.where")
async def where() -> str:
    return span_id()


@worker.task("traced.where.thread")
def where_in_thread() -> str:
    return span_id()


@worker.task("traced.where.isolated", isolated=True)
def where_isolated() -> str:
    return span_id()


def span_id() -> str:
    """The span that a span made here would be a child of."""
    return f"{trace.get_current_span().get_span_context().span_id:016x}"


@worker.task("traced.fail_once")
async def fail_once(context: Context) -> str:
    if context.attempt == 1:
        raise LookupError("not there yet")
    return "there"


@worker.task("traced.hang_once")
async def hang_once(context: Context) -> str:
    if context.execution == 1:
        # The report that carries it proves to whoever watches that the lease was accepted.
        context.progress(0.5)
        await asyncio.sleep(3600)
    return "done"
