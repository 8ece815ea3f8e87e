"""Asks an agent what it is, knowing nothing of its contract but its name.

Every message type comes from the agent's own reflection, so this shares no code with the agent:
neither its gRPC library nor a generated stub. Prints one JSON object for the test to judge.
"""

import json
import sys
import time

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

SERVICE = "muster.v1.MonitorC"
DEADLINE_SECONDS = 20


def main(address: str) -> None:
    # No proxy stands between a program and its own machine.
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(address, options=options) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        service = DescriptorPool(database).FindServiceByName(SERVICE)

        def call(name: str, **fields: object) -> dict:
            method = service.methods_by_name[name]
            response = channel.unary_unary(
                f"/{SERVICE}/{name}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=GetMessageClass(method.output_type).FromString,
            )(GetMessageClass(method.input_type)(**fields), timeout=DEADLINE_SECONDS)
            return MessageToDict(response, preserving_proto_field_name=True)

        health = health_pb2_grpc.HealthStub(channel)

        def serving(name: str) -> str:
            request = health_pb2.HealthCheckRequest(service=name)
            status = health.Check(request, timeout=DEADLINE_SECONDS).status
            return health_pb2.HealthCheckResponse.ServingStatus.Name(status)

        metrics = call("GetMetrics")
        end = time.monotonic() + DEADLINE_SECONDS
        while "samples" not in metrics and time.monotonic() < end:
            # The first sample is taken at the start; whoever is quicker asks again.
            metrics = call("GetMetrics")
        answers = {
            "services": sorted(database.get_services()),
            "methods": sorted(service.methods_by_name),
            "health": {name: serving(name) for name in ("", SERVICE)},
            "ping": call("Ping", sequence=42),
            "metrics": metrics,
        }
        json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
