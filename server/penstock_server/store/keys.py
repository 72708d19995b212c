"""Every key of the store, spelled once, for Python and for the scripts.

A key is `{p<n>}:<kind>:…`: all keys of a partition share the hash tag `{p<n>}`, so one script may
touch any of them.
Parts come from bounded alphabets without `:`, except the last part where it says so.

Times are milliseconds by the store's clock. `QUEUE` below stands for `<namespace>:<queue>`.
"""

from typing import Final

TEMPLATES: Final = {
    # ---- a task -----------------------------------------------------------------------------
    # string: two bytes of header length, header (msgpack, see policy.py), spec as the service wrote
    # it.
    # Goes when the full record goes.
    "spec": "spec:{namespace}:{id}",
    # string: msgpack of small fields, one behind the other: what is a task's own
    # (OWN_TASK_FIELDS), what it shares with others (SHARED_TASK_FIELDS), then a map of what else
    # there is (RARE_TASK_FIELDS) or false. Outlives the spec as the stub of an ended task.
    "task": "task:{namespace}:{id}",
    # list of ended executions (msgpack), oldest first, the latest ones only; one that succeeded
    # with a short report stands in the task's record instead. Goes with the spec.
    "executions": "executions:{namespace}:{id}",
    # string: when progress was reported, and what (msgpack). Goes with the spec.
    "progress": "progress:{namespace}:{id}",
    # stream of log lines, id `<execution>-<number>`. Goes with the spec.
    "logs": "logs:{namespace}:{id}",
    # ---- a queue ----------------------------------------------------------------------------
    # hash (QUEUE_FIELDS). Never goes by itself.
    "queue": "queue:{namespace}:{queue}",
    # sorted set, all scores 0, of the namespace's queues in this partition.
    "queues": "queues:{namespace}",
    # hash: task type → how many are ready. One for each purge epoch.
    "types": "types:{namespace}:{queue}:{epoch}",
    # sorted set: fairness key → virtual time. One for each epoch and type.
    "groups": "groups:{namespace}:{queue}:{epoch}:{type}",
    # sorted set: task id → (9 - priority) * 1e13 + time it became ready. The fairness key may hold
    # `:`.
    "ready": "ready:{namespace}:{queue}:{epoch}:{type}:{group}",
    # sorted set: id of a SCHEDULED task → when it is due.
    "due": "due:{namespace}:{queue}:{epoch}",
    # sorted set: id of a READY task with a timeout → when it expires.
    "expiring": "expiring:{namespace}:{queue}:{epoch}",
    # sorted set: task id → when its lease, or a timeout of its execution, runs out.
    "leases": "leases:{namespace}:{queue}",
    # sorted set: task id → when it became a dead letter.
    "dead": "dead:{namespace}:{queue}",
    # set: ids of servers with a poll that waits for the queue. Lives for a minute after one came.
    "waiters": "waiters:{namespace}:{queue}",
    # ---- a partition ------------------------------------------------------------------------
    # sorted set: QUEUE → no later than the first score of its `due` and `expiring` sets.
    "due_queues": "due_queues",
    # sorted set: QUEUE → no later than the first score of its `leases` set.
    "lease_queues": "lease_queues",
    # sorted set: `<namespace>:<id>` of full records of ended tasks → when they may go.
    "ended": "ended",
    # list: QUEUE and epoch, as `<namespace>:<queue>:<epoch>`, whose tasks are to be cancelled as
    # purged.
    "purges": "purges",
    # hash: `<namespace>:n` → tasks that have not ended, `<namespace>:b` → bytes of their specs.
    "backlog": "backlog",
    # stream of events: n is a contiguous counter, b counts bytes, d is msgpack (see decode.py).
    "events": "events",
    # string: the counter of the latest event entry.
    "event_count": "event_count",
    # string: bytes of all event entries ever written.
    "event_bytes": "event_bytes",
    # hash: id of an event entry that nobody can read → msgpack of why, and of its first bytes.
    "quarantine": "quarantine",
    # hash: when the reaper of the partition last ran, and until when it takes nothing away.
    "reaper": "reaper",
    # string: id of the server that does a duty, for a short time.
    "duty": "duty:{name}",
    # ---- repeated calls ---------------------------------------------------------------------
    # string: first task id of the call; behind it msgpack of the count of its items, and of those
    # whose ids do not follow from it (see submit.lua). Lives for the request window.
    "request": "request:{namespace}:{request}",
    # string: task id and spec hash. Lives for the window of the idempotency key. The key may hold
    # `:`.
    "idempotency": "idempotency:{namespace}:{queue}:{key}",
    # ---- worker sessions --------------------------------------------------------------------
    # hash: latest poll number and when the session polled or reported in this partition. Lives for
    # an hour.
    "poll": "poll:{namespace}:{session}",
    # hash: session id → how many leases it holds in this partition.
    "held": "held:{namespace}",
    # hash: directive id → msgpack (see directives.py). Lives for two hours.
    "directives": "directives:{namespace}:{session}",
    # hash: what a session says of itself. Partition 0. Lives for a day after it was last seen.
    "session": "session:{namespace}:{session}",
    # sorted set: session id → when it was last seen. Partition 0.
    "sessions": "sessions:{namespace}",
    # ---- the installation, partition 0 ------------------------------------------------------
    # hash: partitions, layout, compatible range, history id. Written once.
    "meta": "meta",
    # hash: namespace → msgpack of its record.
    "namespaces": "namespaces",
    # hash: task type → msgpack of its record. Partition 0.
    "task_types": "task_types:{namespace}",
    # hash: key id → msgpack of an API key's record; the secret only as its SHA-256.
    "access_keys": "access_keys",
}

OWN_TASK_FIELDS: Final = {
    "n": "size of the spec, bytes",
    "c": "when it was taken in",
    "t": "random bits of the latest lease token; absent once the lease was revoked or lost",
    "re": "report of the execution that succeeded, if it is short; all else of it stands here",
}
"""Fields in front of a task's record: another task has them alike by chance at most."""

SHARED_TASK_FIELDS: Final = {
    "s": "state, as in the contract",
    "q": "queue",
    "y": "task type",
    "g": "fairness key",
    "p": "priority",
    "sq": "sequence: number of changes",
    "a": "attempts that counted",
    "x": "executions started",
    "k": "crashes",
    "r": "releases in a row",
    "f": "fence of the latest lease",
    "w": "session of the latest lease",
    "b": "when the latest execution was leased",
    "e": "when it ended",
}
"""Fields behind its own ones: equal for tasks of a kind that were leased and ended together.

So the scripts read and change them once for all those tasks of a call (see task.lua).
"""

TASK_FIELDS: Final = (*OWN_TASK_FIELDS, *SHARED_TASK_FIELDS)
"""Fields of a task's record that nearly every task has, in the order in which they are packed.

Times in milliseconds. One that is absent is packed as nil, and a record without rare ones ends with
false. Their number and order are the layout: a field that is needed later is a rare one.
"""

ALWAYS_THERE: Final = frozenset(["s", "q", "y", "g", "p", "sq", "a", "x", "k", "r"])
"""Shared fields that no task lacks."""

RARE_TASK_FIELDS: Final = {
    "u": "when it last changed, unless another time tells; absent means as c",
    "d": "when it is or was due; absent means as c",
    "a0": "attempts before the latest retry by an operator",
    "k0": "crashes before the latest retry by an operator",
    "ac": "number of the latest execution that was accepted",
    "o": "outcome of the latest execution in the list of ended ones; 9: an operator's word",
    "cr": "cancel reason",
    "cq": "when a requested cancel revokes the lease",
    "wt": "servers that wait for its end or its logs, separated by commas",
    "ll": "number of the last log line of the latest execution",
    "lb": "bytes of log lines of the latest execution",
    "L": "term of its leases; absent means the server's",
    "to": "longest time of one execution",
    "hb": "longest silence of the handler",
    "hs": "when the handler was last heard of",
    "ts": "longest wait for a worker",
    "tt": "when it expires, whatever happens",
    "rt": "how long its full record stays once it has ended; absent means the server's",
    "ik": "its idempotency key; absent when it has none",
    "iw": "when its idempotency key may be forgotten, once it has ended",
}
"""Fields that most tasks lack: packed by name in one map behind the others.

Spans and times in milliseconds.
"""

QUEUE_FIELDS: Final = {
    "e": "purge epoch, from 0",
    "c": "when it first existed",
    "pz": "why it is paused; absent when it is not",
    "vt": "virtual time of the latest lease",
    "cf": "config as the service wrote it",
    "v": "version of the config",
}
"""Fields of the queue hash."""


def tag(partition: int) -> str:
    """The hash tag that all keys of the partition begin with; the one key that scripts declare."""
    return f"{{p{partition}}}"


def key(partition: int, kind: str, **parts: object) -> str:
    """Spells a key for Python. Scripts get the same templates through `lua_source`."""
    return f"{tag(partition)}:{TEMPLATES[kind].format(**parts)}"


def server_channel(server_id: str) -> str:
    """Pub/sub channel on which scripts tell one server what it waits for.

    A hint: nothing rests on it.
    """
    return f"penstock:server:{server_id}"


DIRECTIVE_CHANNEL: Final = "penstock:directives"
"""Pub/sub channel on which scripts tell all servers that a session has a new directive."""


def lua_source(kinds: list[str]) -> str:
    """The templates as Lua functions, for the kinds that a script uses: `key_ready(namespace,
    queue, …)`.
    """
    return "\n".join(_lua_function(kind) for kind in kinds)


def lua_task_fields() -> str:
    """What scripts need to pack and unpack records of tasks, as Lua source."""
    own, shared = ", ".join(OWN_TASK_FIELDS), ", ".join([*SHARED_TASK_FIELDS, "rare"])
    fields = ", ".join(f"{name} = {name}" for name in shared.split(", "))
    pieces = " .. ".join(map(_lua_packed, SHARED_TASK_FIELDS))
    return f"""\
-- Where a task's own fields end in its record, and what they are. It raises, or gives nothing, if
-- that is no record.
local unpack_limit = cmsgpack.unpack_limit
local function own_in(record)
  local last, {own} = unpack_limit(record, {len(OWN_TASK_FIELDS)})
  if last > 0 and n + c > 0 and (not t or #t == 16) then return last, {own} end
end
-- The fields behind them. Gives nothing if there are more or fewer; raises where one is of another
-- type, by the lengths and sums that are taken of them.
local function shared_in(bytes)
  local {shared}, more = cmsgpack.unpack(bytes)
  if more ~= nil or rare == nil or not (#q + #y + #g + s + p + sq + a + x + k + r) then return end
  local fields = {{{fields}}}
  for name, value in pairs(rare or {{}}) do fields[name] = value end
  return fields
end
local function packed_shared(task)
  local packed = packed
  return {pieces} .. (task.rare and cmsgpack.pack(task.rare) or packed[false])
end"""


def _lua_packed(name: str) -> str:
    return (
        f"packed[task.{name}]"
        if name in ALWAYS_THERE
        else f"(task.{name} and packed[task.{name}] or NIL)"
    )


def _lua_function(kind: str) -> str:
    pieces: list[str] = []
    names: list[str] = []
    for part in TEMPLATES[kind].replace("}", "{").split("{"):
        if part.isidentifier() and f"{{{part}}}" in TEMPLATES[kind]:
            names.append(part)
            pieces.append(part)
        elif part:
            pieces.append(f"'{part}'")
    pieces[0] = f"P .. ':{pieces[0][1:]}"
    return f"local function key_{kind}({', '.join(names)}) return {' .. '.join(pieces)} end"
