"""Holds requests to the bounds that the contract names, before anything else looks at them.

One function for each method, named after it. It raises FieldInvalid with every field that is wrong,
or TooLarge. `submit_tasks` and `report_executions` also give a list, aligned with the items: the
error of each item, or None. Nothing here reads or changes state: what depends on state (is there
such a task?) is the engine's to say.
"""

from penstock_server.service.validate.limits import Limits
from penstock_server.service.validate.namespaces import (
    create_namespace,
    delete_namespace,
    get_namespace,
    list_namespaces,
    update_namespace,
)
from penstock_server.service.validate.queues import (
    get_queue,
    list_queues,
    pause_queue,
    peek_queue,
    purge_queue,
    resume_queue,
    update_queue,
)
from penstock_server.service.validate.submits import run_task, submit_task, submit_tasks
from penstock_server.service.validate.task_types import (
    create_task_type,
    delete_task_type,
    get_task_type,
    list_task_types,
    update_task_type,
)
from penstock_server.service.validate.tasks import (
    await_task,
    cancel_task,
    delete_task,
    end_task,
    get_execution,
    get_task,
    list_executions,
    retry_task,
    tail_logs,
    update_task,
    watch_tasks,
)
from penstock_server.service.validate.workers import (
    drain_worker,
    lease_tasks,
    list_workers,
    report_executions,
)

__all__ = [
    "Limits",
    "await_task",
    "cancel_task",
    "create_namespace",
    "create_task_type",
    "delete_namespace",
    "delete_task",
    "delete_task_type",
    "drain_worker",
    "end_task",
    "get_execution",
    "get_namespace",
    "get_queue",
    "get_task",
    "get_task_type",
    "lease_tasks",
    "list_executions",
    "list_namespaces",
    "list_queues",
    "list_task_types",
    "list_workers",
    "page_size",
    "pause_queue",
    "peek_queue",
    "purge_queue",
    "report_executions",
    "resume_queue",
    "retry_task",
    "run_task",
    "submit_task",
    "submit_tasks",
    "tail_logs",
    "update_namespace",
    "update_queue",
    "update_task",
    "update_task_type",
    "watch_tasks",
]


def page_size(asked: int, default: int, maximum: int) -> int:
    """Gives the page size to use: the default for 0, and at most the maximum. Negative ones were
    refused before."""
    return min(asked or default, maximum)
