"""Takes spans over OTLP as a collector does, and throws them away: a process of its own.

Prints where it listens; ends with its standard input.
"""

from __future__ import annotations

import sys
from concurrent import futures
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as pb_grpc


class Sink(pb_grpc.TraceServiceServicer):
    """Takes everything."""

    def Export(self, request: Any, context: Any) -> pb.ExportTraceServiceResponse:
        """Takes some spans."""
        return pb.ExportTraceServiceResponse()


def main() -> None:
    """Serves until standard input ends."""
    server = grpc.server(futures.ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    add: Any = pb_grpc.add_TraceServiceServicer_to_server
    add(Sink(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"http://127.0.0.1:{port}", flush=True)
    sys.stdin.read()
    server.stop(None)


if __name__ == "__main__":
    main()
