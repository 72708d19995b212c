"""Names of log events. A log line is one of these and fields; the text of a line is never parsed.

`noun.verb in the past`, in the words of docs and contract. Names are kept once published, because
people search and alert by them.
"""

from typing import Final

# ---- the server --------------------------------------------------------------------------------
SERVER_STARTED: Final = "server.started"
SERVER_READY: Final = "server.ready"
SERVER_DRAINING: Final = "server.draining"
SERVER_STOPPED: Final = "server.stopped"
SERVER_FAILED: Final = "server.failed"
SERVER_OPEN: Final = "server.open"
PROCESS_STARTED: Final = "process.started"
PROCESS_DIED: Final = "process.died"
METRICS_SERVED: Final = "metrics.served"

# ---- calls -------------------------------------------------------------------------------------
CALL_FAULT: Final = "call.fault"
CALL_REFUSED: Final = "call.refused"
KEYS_CHANGED: Final = "keys.changed"
KEYS_UNREADABLE: Final = "keys.unreadable"
CERTIFICATE_RELOADED: Final = "certificate.reloaded"
CERTIFICATE_REJECTED: Final = "certificate.rejected"

# ---- the store ---------------------------------------------------------------------------------
STORE_STARTED: Final = "store.started"
STORE_LOADING: Final = "store.loading"
STORE_DIED: Final = "store.died"
STORE_STOPPED: Final = "store.stopped"
STORE_ORPHAN_ENDED: Final = "store.orphan_ended"
STORE_LOST: Final = "store.lost"
STORE_FOUND: Final = "store.found"
LEASING_STOPPED: Final = "leasing.stopped"
LEASING_RESUMED: Final = "leasing.resumed"

# ---- duties ------------------------------------------------------------------------------------
LEASE_EXPIRED: Final = "lease.expired"
TASK_MENDED: Final = "task.mended"
TASK_UNREADABLE: Final = "task.unreadable"
QUEUE_UNSERVED: Final = "queue.unserved"
