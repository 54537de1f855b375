"""Asks jaeger.api_v2 and jaeger.api_v3 over gRPC at ADDRESS and prints what is answered as JSON, in an order of its own.

Messages of v2 are described here by their numbers and names alone; v3 has OTLP's, from opentelemetry-proto.
"""

import json
import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from opentelemetry.proto.trace.v1 import trace_pb2

TIME_MAX = 60
Field = descriptor_pb2.FieldDescriptorProto
TYPES = {
    "string": Field.TYPE_STRING, "bytes": Field.TYPE_BYTES, "int32": Field.TYPE_INT32, "int64": Field.TYPE_INT64,
    "uint64": Field.TYPE_UINT64, "bool": Field.TYPE_BOOL, "double": Field.TYPE_DOUBLE,
}
MESSAGES = {
    "Stamp": "seconds:int64=1 nanos:int32=2",
    "KeyValue": "key:string=1 v_type:int32=2 v_str:string=3 v_bool:bool=4 v_int64:int64=5 v_float64:double=6 v_binary:bytes=7",
    "Log": "timestamp:Stamp=1 fields:*KeyValue=2",
    "SpanRef": "trace_id:bytes=1 span_id:bytes=2 ref_type:int32=3",
    "Process": "service_name:string=1 tags:*KeyValue=2",
    "Span": "trace_id:bytes=1 span_id:bytes=2 operation_name:string=3 references:*SpanRef=4 start_time:Stamp=6 "
            "duration:Stamp=7 tags:*KeyValue=8 logs:*Log=9 process:Process=10 warnings:*string=12",
    "SpansResponseChunk": "spans:*Span=1",
    "GetTraceRequest": "trace_id:bytes=1",
    "Tag": "key:string=1 value:string=2",
    "Query": "service_name:string=1 operation_name:string=2 tags:*Tag=3 start_time_min:Stamp=4 start_time_max:Stamp=5 "
             "duration_min:Stamp=6 duration_max:Stamp=7 search_depth:int32=8",
    "FindTracesRequest": "query:Query=1",
    "GetServicesResponse": "services:*string=1",
    "GetOperationsRequest": "service:string=1 span_kind:string=2",
    "Operation": "name:string=1 span_kind:string=2",
    "NamedOperations": "names:*string=1 operations:*Operation=2",
    "Operations": "operations:*Operation=1",
    "GetDependenciesRequest": "start_time:Stamp=1 end_time:Stamp=2",
    "Link": "parent:string=1 child:string=2 call_count:uint64=3",
    "GetDependenciesResponse": "dependencies:*Link=1",
    "HealthCheckRequest": "service:string=1",
    "HealthCheckResponse": "status:int32=1",
    "TraceById": "trace_id:string=1",
}


def declared():
    file = descriptor_pb2.FileDescriptorProto(name="jaeger.proto", package="jaeger", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for text in fields.split():
            field, rest = text.split(":")
            kind, number = rest.split("=")
            label = Field.LABEL_REPEATED if kind.startswith("*") else Field.LABEL_OPTIONAL
            kind = kind.lstrip("*")
            added = message.field.add(name=field, number=int(number), label=label)
            if kind in TYPES:
                added.type = TYPES[kind]
            else:
                added.type, added.type_name = Field.TYPE_MESSAGE, ".jaeger." + kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName("jaeger." + name)) for name in MESSAGES}


def ordered(value):
    if isinstance(value, list):
        return sorted((ordered(item) for item in value), key=json.dumps)
    if isinstance(value, dict):
        return {key: ordered(item) for key, item in sorted(value.items())}
    return value


def told(message):
    return ordered(json_format.MessageToDict(message, preserving_proto_field_name=True))


def main():
    message = declared()
    channel = grpc.insecure_channel(sys.argv[1])

    def unary(method, request, answer):
        call = channel.unary_unary(method, request_serializer=lambda it: it.SerializeToString(),
                                   response_deserializer=answer.FromString)
        return told(call(request, timeout=TIME_MAX))

    def stream(method, request, answer):
        call = channel.unary_stream(method, request_serializer=lambda it: it.SerializeToString(),
                                    response_deserializer=answer.FromString)
        try:
            return list(call(request, timeout=TIME_MAX))
        except grpc.RpcError as error:
            return str(error.code())

    def spans(answered):
        if isinstance(answered, str):
            return answered
        return ordered([told(span) for chunk in answered for span in chunk.spans])

    v2, v3 = "/jaeger.api_v2.QueryService/", "/jaeger.api_v3.QueryService/"
    stamp = message["Stamp"]
    query = message["Query"](service_name="cart", operation_name="items", start_time_min=stamp(seconds=1_500_000_000),
                             start_time_max=stamp(seconds=4_000_000_000), search_depth=20)
    failed = message["Query"]()
    failed.CopyFrom(query)
    failed.tags.add(key="error", value="true")
    find = message["FindTracesRequest"]
    nothing = message["GetServicesResponse"]()
    of_web = message["GetOperationsRequest"](service="web")
    calls = message["GetDependenciesRequest"](start_time=stamp(seconds=1_700_000_000), end_time=stamp(seconds=4_000_000_000))
    by_id, chunk, otlp = message["GetTraceRequest"], message["SpansResponseChunk"], trace_pb2.TracesData
    answers = {
        "services": unary(v2 + "GetServices", nothing, message["GetServicesResponse"]),
        "operations": unary(v2 + "GetOperations", of_web, message["NamedOperations"]),
        "trace": spans(stream(v2 + "GetTrace", by_id(trace_id=b"\x01" * 16), chunk)),
        "no trace": spans(stream(v2 + "GetTrace", by_id(trace_id=b"\xab" * 16), chunk)),
        "found": spans(stream(v2 + "FindTraces", find(query=query), chunk)),
        "found by tag": spans(stream(v2 + "FindTraces", find(query=failed), chunk)),
        "missing query": spans(stream(v2 + "FindTraces", find(), chunk)),
        "services v3": unary(v3 + "GetServices", nothing, message["GetServicesResponse"]),
        "operations v3": unary(v3 + "GetOperations", of_web, message["Operations"]),
        "traces v3": sorted(
            span.span_id.hex() + span.trace_id.hex()
            for trace in stream(v3 + "FindTraces", find(query=query), otlp)
            for resource in trace.resource_spans for scope in resource.scope_spans for span in scope.spans),
        "no trace v3": stream(v3 + "GetTrace", message["TraceById"](trace_id="ab" * 16), otlp),
    }
    answers["dependencies"] = unary(v2 + "GetDependencies", calls, message["GetDependenciesResponse"])
    health = unary("/grpc.health.v1.Health/Check", message["HealthCheckRequest"](), message["HealthCheckResponse"])
    answers["health"] = str(health.get("status"))
    print(json.dumps(answers))


main()
