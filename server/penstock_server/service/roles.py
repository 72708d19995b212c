"""Which role may call what: one line for each RPC of the contract, held complete by a test."""

from typing import Final

from penstock_server.model.access import Role

_LOOK: Final = frozenset({Role.VIEWER, Role.SUBMITTER, Role.OPERATOR, Role.ADMIN})
_SUBMIT: Final = frozenset({Role.SUBMITTER, Role.OPERATOR, Role.ADMIN})
_WORK: Final = frozenset({Role.WORKER, Role.ADMIN})
_OPERATE: Final = frozenset({Role.OPERATOR, Role.ADMIN})
_ADMINISTER: Final = frozenset({Role.ADMIN})
_EVERYBODY: Final = frozenset(Role)

ROLES: Final = {
    "/penstock.v1.TaskService/SubmitTask": _SUBMIT,
    "/penstock.v1.TaskService/SubmitTasks": _SUBMIT,
    "/penstock.v1.TaskService/RunTask": _SUBMIT,
    "/penstock.v1.TaskService/AwaitTask": _LOOK,
    "/penstock.v1.TaskService/GetTask": _LOOK,
    "/penstock.v1.TaskService/UpdateTask": _SUBMIT,
    "/penstock.v1.TaskService/CancelTask": _SUBMIT,
    "/penstock.v1.TaskService/EndTask": _OPERATE,
    "/penstock.v1.TaskService/RetryTask": _SUBMIT,
    "/penstock.v1.TaskService/DeleteTask": _OPERATE,
    "/penstock.v1.TaskService/ListExecutions": _LOOK,
    "/penstock.v1.TaskService/GetExecution": _LOOK,
    "/penstock.v1.TaskService/WatchTasks": _LOOK,
    "/penstock.v1.TaskService/TailLogs": _LOOK,
    "/penstock.v1.WorkerService/LeaseTasks": _WORK,
    "/penstock.v1.WorkerService/ReportExecutions": _WORK,
    "/penstock.v1.WorkerService/ListWorkers": _LOOK,
    "/penstock.v1.WorkerService/DrainWorker": _OPERATE,
    "/penstock.v1.QueueService/GetQueue": _LOOK,
    "/penstock.v1.QueueService/ListQueues": _LOOK,
    "/penstock.v1.QueueService/UpdateQueue": _OPERATE,
    "/penstock.v1.QueueService/PauseQueue": _OPERATE,
    "/penstock.v1.QueueService/ResumeQueue": _OPERATE,
    "/penstock.v1.QueueService/PurgeQueue": _OPERATE,
    "/penstock.v1.QueueService/PeekQueue": _LOOK,
    "/penstock.v1.TaskTypeService/CreateTaskType": _OPERATE,
    "/penstock.v1.TaskTypeService/GetTaskType": _LOOK,
    "/penstock.v1.TaskTypeService/ListTaskTypes": _LOOK,
    "/penstock.v1.TaskTypeService/UpdateTaskType": _OPERATE,
    "/penstock.v1.TaskTypeService/DeleteTaskType": _OPERATE,
    "/penstock.v1.NamespaceService/CreateNamespace": _ADMINISTER,
    "/penstock.v1.NamespaceService/GetNamespace": _EVERYBODY,
    # Answers only those namespaces that the principal may enter.
    "/penstock.v1.NamespaceService/ListNamespaces": _EVERYBODY,
    "/penstock.v1.NamespaceService/UpdateNamespace": _ADMINISTER,
    "/penstock.v1.NamespaceService/DeleteNamespace": _ADMINISTER,
    # Sockets and peers of the server are for those who run it.
    "/grpc.channelz.v1.Channelz/GetTopChannels": _ADMINISTER,
    "/grpc.channelz.v1.Channelz/GetServers": _ADMINISTER,
    "/grpc.channelz.v1.Channelz/GetServer": _ADMINISTER,
    "/grpc.channelz.v1.Channelz/GetServerSockets": _ADMINISTER,
    "/grpc.channelz.v1.Channelz/GetChannel": _ADMINISTER,
    "/grpc.channelz.v1.Channelz/GetSubchannel": _ADMINISTER,
    "/grpc.channelz.v1.Channelz/GetSocket": _ADMINISTER,
}

WHOLE_SERVER: Final = frozenset(path for path in ROLES if path.startswith("/grpc.channelz."))
"""Methods about all namespaces at once: for principals that may enter them all."""

PUBLIC: Final = frozenset(
    {
        # Load balancers ask without credentials, and the contract is no secret.
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/List",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    }
)
"""Methods that need no credentials."""


def roles_of(method: str) -> frozenset[Role]:
    """The roles that may call a method; only administrators where the table says nothing."""
    return ROLES.get(method, _ADMINISTER)
