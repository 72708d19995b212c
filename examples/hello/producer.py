"""A producer: `python producer.py`, while the worker runs."""

import asyncio

from penstock import Client


async def main() -> None:
    async with Client.from_env() as client:
        print(await client.run("hello.greet", "world"))
        submitted = await client.submit("hello.greet", "you")
        print(await client.await_result(submitted.task_id))


asyncio.run(main())
