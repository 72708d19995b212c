"""The process that runs user code: `python -m penstock_worker.runner`, started by the supervisor.

Nothing in this package, nor in what it imports, loads gRPC: user code that holds the
interpreter lock must not be able to delay the renewal of a lease.
"""
