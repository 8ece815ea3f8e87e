"""The sweep's peer: Python's grpcio asks the agents one after the other.

peer.py fresh|kept LOOKS DESCRIPTORS: the same arguments, input and output as functions/probe/examples/sweep.rs, and the
contract's compiled descriptors besides.
"""

import json
import sys
import time

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message_factory import GetMessages

PACKAGE = "muster.v1"
DEADLINE_SECONDS = 1
# No proxy stands between a program and its own machine.
OPTIONS = [("grpc.enable_http_proxy", 0)]


def main(mode: str, looks: int, descriptors: str) -> None:
    with open(descriptors, "rb") as file:
        messages = GetMessages(FileDescriptorSet.FromString(file.read()).file)
    request = messages[f"{PACKAGE}.GetMetricsRequest"]
    response = messages[f"{PACKAGE}.GetMetricsResponse"]
    endpoints = sys.stdin.read().split()

    def connect(endpoint: str) -> grpc.Channel:
        return grpc.insecure_channel(endpoint, options=OPTIONS)

    def method(channel: grpc.Channel) -> grpc.UnaryUnaryMultiCallable:
        return channel.unary_unary(
            f"/{PACKAGE}.MonitorC/GetMetrics",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )

    def ask(get_metrics: grpc.UnaryUnaryMultiCallable) -> None:
        if not get_metrics(request(), timeout=DEADLINE_SECONDS).HasField("status"):
            raise ValueError("an agent answered without a status")

    def look_fresh() -> None:
        for endpoint in endpoints:
            with connect(endpoint) as channel:
                ask(method(channel))

    def look_kept() -> None:
        for get_metrics in kept:
            ask(get_metrics)

    look = {"fresh": look_fresh, "kept": look_kept}[mode]
    kept = [method(connect(endpoint)) for endpoint in endpoints] if mode == "kept" else []
    look()  # The warm-up.
    cpu_us, wall_us = [], []
    for _ in range(looks):
        wall, cpu = time.perf_counter(), time.process_time()
        look()
        cpu_us.append((time.process_time() - cpu) * 1e6 / len(endpoints))
        wall_us.append((time.perf_counter() - wall) * 1e6 / len(endpoints))
    json.dump({"cpu_us": cpu_us, "wall_us": wall_us}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
