"""A worker: `penstock worker worker.py:worker` in this folder."""

from penstock_worker import Context, Worker

worker = Worker("hello")


@worker.task("hello.greet")
async def greet(name: str, context: Context) -> str:
    context.logger.info("greeting %s", name)
    return f"Hello, {name}!"


@worker.task("hello.divide")
def divide(numbers: list[float]) -> float:
    return numbers[0] / numbers[1]
