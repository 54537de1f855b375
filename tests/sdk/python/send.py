"""Sends telemetry by the OpenTelemetry SDK for Python, and prints what the SDK recorded as JSON.

What is printed is read off the objects that the SDK gives to its exporter: for each table a list of rows, columns
named as in the table, integers beyond 2**53 - 1 as strings. A column that is left out holds nothing. Attribute values
carry their type, as `attribute_types` writes it: {"i": 1}, {"[": [{"s": "a"}]}; null is a value without a type.

Usage: send.py signals PROTOCOL SERVICE         one of everything that the SDK can record
       send.py spans PROTOCOL SERVICE           spans in small requests, until standard input ends
PROTOCOL is grpc or http/protobuf; the endpoint comes from the SDK's own environment variables.
"""

import base64
import importlib
import itertools
import json
import logging
import math
import sys
import threading
import time
from collections.abc import Mapping, Sequence

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.metrics import Observation
from opentelemetry.sdk import metrics
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogram,
    Gauge,
    Histogram,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState

TEXT = 'grüße, 世界 \U0001f30d "quoted" back\\slash\nline\ttab\x01'

ATTRIBUTES = {
    "text": TEXT,
    "text.empty": "",
    "bool.true": True,
    "bool.false": False,
    "int.min": -(2**63),
    "int.max": 2**63 - 1,
    "int.beyond_double": 2**53 + 1,
    "double.tenth": 0.1,
    "double.whole": 3.0,
    "double.min": 5e-324,
    "double.max": sys.float_info.max,
    "double.negative_zero": -0.0,
    "double.nan": math.nan,
    "double.infinity": math.inf,
    "double.minus_infinity": -math.inf,
    "texts": ["a", "", TEXT],
    "bools": [True, False],
    "ints": [-(2**63), 0, 2**63 - 1],
    "doubles": [0.1, -0.0, math.nan, math.inf, 1e300],
    "empty": [],
    "bytes": b"\x00\xff",
    "map": {"z": [1, "1", 1.0, None, {"deep": True}], "a": b"\x01", "empty": {}},
    # These have a column of their own.
    "http.request.method": "GET",
    "http.response.status_code": 503,
    "http.route": "/grüße/{name}",
    "server.address": "cart.shop",
    "server.port": 8080,
    # This has one for text: the number fills it as text, and stays in the map.
    "url.path": 7,
}

SCOPE = {
    "schema_url": "https://opentelemetry.io/schemas/1.36.0",
    "attributes": {"scope.text": TEXT, "scope.ints": [1, 2]},
}


def integer(value):
    return value if value is None or abs(value) < 2**53 else str(value)


def double(value):
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def typed(value):
    if value is None:
        return None
    if isinstance(value, bool):
        return {"b": value}
    if isinstance(value, int):
        return {"i": integer(value)}
    if isinstance(value, float):
        return {"d": double(value)}
    if isinstance(value, str):
        return {"s": value}
    if isinstance(value, bytes):
        return {"y": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {"{": typed_map(value)}
    assert isinstance(value, Sequence), value
    return {"[": [typed(element) for element in value]}


def typed_map(attributes):
    return {key: typed(value) for key, value in (attributes or {}).items()}


def trace_id(value):
    return trace.format_trace_id(value) if value else None


def span_id(value):
    return trace.format_span_id(value) if value else None


def origin(resource, scope):
    return {
        "resource": typed_map(resource.attributes),
        "resource_schema_url": resource.schema_url or None,
        "resource_dropped_attributes_count": 0,
        "scope_name": scope.name,
        "scope_version": scope.version or None,
        "scope_attributes": typed_map(scope.attributes) or None,
        "scope_schema_url": scope.schema_url or None,
        "scope_dropped_attributes_count": 0,
    }


def remote_flags(context):
    """Bit 8: it is known whether the context is remote; bit 9: it is. This exporter sends no flag beside them."""
    return 0x100 | (0x200 if context is not None and context.is_remote else 0)


def span_rows(spans):
    for span in spans:
        context = span.get_span_context()
        yield "spans", {
            "time_unix_nano": integer(span.start_time),
            "duration_nano": integer(span.end_time - span.start_time),
            "trace_id": trace_id(context.trace_id),
            "span_id": span_id(context.span_id),
            "parent_span_id": span_id(span.parent.span_id) if span.parent else None,
            "trace_state": context.trace_state.to_header() or None,
            "flags": remote_flags(span.parent),
            "name": span.name,
            "kind": span.kind.value + 1,
            "status_code": span.status.status_code.value,
            "status_message": span.status.description or None,
            "dropped_attributes_count": span.dropped_attributes,
            "dropped_events_count": span.dropped_events,
            "dropped_links_count": span.dropped_links,
            "attributes": typed_map(span.attributes),
            "events": [
                {
                    "time_unix_nano": integer(event.timestamp),
                    "name": event.name,
                    "attributes": typed_map(event.attributes),
                    "dropped_attributes_count": event.dropped_attributes,
                }
                for event in span.events
            ],
            "links": [
                {
                    "trace_id": trace_id(link.context.trace_id),
                    "span_id": span_id(link.context.span_id),
                    # This exporter does not send a link's tracestate.
                    "trace_state": "",
                    "attributes": typed_map(link.attributes),
                    "dropped_attributes_count": link.dropped_attributes,
                    "flags": remote_flags(link.context),
                }
                for link in span.links
            ],
            **origin(span.resource, span.instrumentation_scope),
        }


def log_rows(records):
    for readable in records:
        record = readable.log_record
        yield "logs", {
            "time_unix_nano": integer(record.timestamp),
            "observed_time_unix_nano": integer(record.observed_timestamp),
            "severity_number": record.severity_number.value if record.severity_number else 0,
            "severity_text": record.severity_text or None,
            "body": typed(record.body),
            "event_name": record.event_name or None,
            "trace_id": trace_id(record.trace_id),
            "span_id": span_id(record.span_id),
            "flags": int(record.trace_flags),
            "dropped_attributes_count": readable.dropped_attributes,
            "attributes": typed_map(record.attributes),
            **origin(readable.resource, readable.instrumentation_scope),
        }


def metric_rows(data):
    for of_resource in data.resource_metrics:
        for of_scope in of_resource.scope_metrics:
            for metric in of_scope.metrics:
                for point in metric.data.data_points:
                    table, shape = point_shape(metric.data, point)
                    yield table, {
                        "time_unix_nano": integer(point.time_unix_nano),
                        "start_time_unix_nano": integer(point.start_time_unix_nano),
                        "metric_name": metric.name,
                        "metric_description": metric.description or None,
                        "metric_unit": metric.unit or None,
                        "flags": 0,
                        "exemplars": [exemplar_row(exemplar) for exemplar in point.exemplars],
                        "attributes": typed_map(point.attributes),
                        **origin(of_resource.resource, of_scope.scope),
                        **shape,
                    }


def exemplar_row(exemplar):
    return {
        "time_unix_nano": integer(exemplar.time_unix_nano),
        "value": double(exemplar.value),
        "value_int": integer(exemplar.value) if isinstance(exemplar.value, int) else None,
        "trace_id": trace_id(exemplar.trace_id),
        "span_id": span_id(exemplar.span_id),
        "attributes": typed_map(exemplar.filtered_attributes),
    }


def point_shape(data, point):
    """The table of a data point, and what it has beside what all points have."""
    if isinstance(data, Histogram | ExponentialHistogram):
        distribution = {
            "aggregation_temporality": data.aggregation_temporality.value,
            "count": point.count,
            "sum": double(point.sum),
            "min": double(point.min),
            "max": double(point.max),
        }
        if isinstance(data, Histogram):
            bounds = [double(bound) for bound in point.explicit_bounds]
            buckets = {"explicit_bounds": bounds, "bucket_counts": list(point.bucket_counts)}
            return "metric_histograms", distribution | buckets
        buckets = {"scale": point.scale, "zero_count": point.zero_count, "zero_threshold": 0.0}
        for sign in ["positive", "negative"]:
            half = getattr(point, sign)
            buckets[f"{sign}_offset"] = half.offset if half.bucket_counts else 0
            buckets[f"{sign}_bucket_counts"] = list(half.bucket_counts)
        return "metric_exp_histograms", distribution | buckets
    value_int = integer(point.value) if isinstance(point.value, int) else None
    value = {"value": double(point.value), "value_int": value_int}
    if isinstance(data, Gauge):
        return "metric_points", value | {"metric_type": "gauge"}
    return "metric_points", value | {
        "metric_type": "sum",
        "aggregation_temporality": data.aggregation_temporality.value,
        "is_monotonic": data.is_monotonic,
    }


class Recorded:
    """What exporters have sent with success, by table."""

    def __init__(self, protocol):
        self.package = "opentelemetry.exporter.otlp.proto." + {"grpc": "grpc", "http/protobuf": "http"}[protocol]
        self.tables = {}
        self.unsent = 0

    def exporter(self, module, name, rows_of, **options):
        """An exporter of the SDK that notes here what it has sent."""
        recorded = self
        exporter = getattr(importlib.import_module(f"{self.package}.{module}"), name)
        # They would say once in 20 seconds that something is sent again; whoever started this waits for each time.
        for logger in list(logging.root.manager.loggerDict):
            logging.getLogger(logger).filters.clear()

        class Recording(exporter):
            def export(self, batch, *arguments, **keywords):
                recorded.unsent += 1
                result = super().export(batch, *arguments, **keywords)
                if result.name == "SUCCESS":
                    for table, row in rows_of(batch):
                        recorded.tables.setdefault(table, []).append(row)
                    recorded.unsent -= 1
                return result

        return Recording(**options)

    def span_exporter(self):
        return self.exporter("trace_exporter", "OTLPSpanExporter", span_rows)

    def log_exporter(self):
        return self.exporter("_log_exporter", "OTLPLogExporter", log_rows)

    def metric_exporter(self, temporality):
        classes = [metrics.Counter, metrics.ObservableCounter, metrics.Histogram]
        temporalities = dict.fromkeys(classes, temporality)
        return self.exporter(
            "metric_exporter", "OTLPMetricExporter", metric_rows, preferred_temporality=temporalities
        )


def send_spans(recorded, resource):
    processor = BatchSpanProcessor(recorded.span_exporter())
    providers = [TracerProvider(resource=resource), TracerProvider(resource=resource, span_limits=one_of_each())]
    for provider in providers:
        provider.add_span_processor(processor)
    tracer = providers[0].get_tracer("sdk.spans", "1.2.3", **SCOPE)
    remote = SpanContext(
        trace_id=0xABCDEF0123456789ABCDEF0123456789,
        span_id=0x0123456789ABCDEF,
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
        trace_state=TraceState([("vendor", "value"), ("other", "a:b")]),
    )
    caller = trace.set_span_in_context(NonRecordingSpan(remote))
    with tracer.start_as_current_span("GET /grüße/{name}", caller, SpanKind.SERVER, ATTRIBUTES) as server:
        for kind in [SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER, SpanKind.INTERNAL]:
            with tracer.start_as_current_span(f"a span that is {kind.name}", kind=kind) as span:
                span.set_status(StatusCode.OK)
        server.add_event("an event", ATTRIBUTES)
        server.add_event("a second", {"number": 2}, timestamp=time.time_ns() - 123_456_789)
        server.record_exception(ValueError(TEXT))
        server.set_status(Status(StatusCode.ERROR, TEXT))
    links = [Link(remote, ATTRIBUTES), Link(server.get_span_context())]
    end = time.time_ns()
    # A root span with times of its own, down to the nanosecond.
    linked = tracer.start_span("linked", links=links, start_time=end - 3_600_000_000_001)
    linked.end(end)
    many = {"a": 1, "b": 2, "c": 3}
    links = [Link(remote, many), Link(remote, many)]
    limited = providers[1].get_tracer("sdk.limited").start_span("limited", links=links, attributes=many)
    for name in ["first", "second", "third"]:
        limited.add_event(name, many)
    limited.end()
    processor.force_flush()
    return server


def one_of_each():
    limits = ["attributes", "span_attributes", "events", "links", "event_attributes", "link_attributes"]
    return SpanLimits(**{f"max_{limit}": 1 for limit in limits})


def send_logs(recorded, resource, span):
    processor = BatchLogRecordProcessor(recorded.log_exporter())
    provider = LoggerProvider(resource=resource)
    provider.add_log_record_processor(processor)
    logger = provider.get_logger("sdk.logs", "1.2.3", **SCOPE)
    bodies = list(ATTRIBUTES.values()) + [None]
    severities = list(SeverityNumber)
    for number, body in enumerate(bodies):
        severity = severities[number % len(severities)]
        now = time.time_ns()
        record = LogRecord(
            timestamp=None if number == 0 else now - number,
            observed_timestamp=now,
            context=trace.set_span_in_context(span) if number % 2 else None,
            severity_number=severity,
            severity_text=severity.name,
            body=body,
            attributes={"test.number": number, **(ATTRIBUTES if number < 2 else {})},
            event_name="an.event" if number % 3 == 0 else None,
        )
        logger.emit(record)
    processor.force_flush()


def send_metrics(recorded, resource, span):
    # Collected by hand, in both temporalities.
    readers = [
        PeriodicExportingMetricReader(recorded.metric_exporter(temporality), export_interval_millis=math.inf)
        for temporality in [AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA]
    ]
    views = [
        View(instrument_name="test.exponential", aggregation=ExponentialBucketHistogramAggregation(max_size=20)),
        # What is left out of a series is in its exemplars.
        View(instrument_name="test.exemplars", attribute_keys={"kept"}),
    ]
    provider = metrics.MeterProvider(metric_readers=readers, resource=resource, views=views)
    meter = provider.get_meter("sdk.metrics", "1.2.3", **SCOPE)
    ints = meter.create_counter("test.counter.int", unit="By", description=TEXT)
    doubles = meter.create_counter("test.counter.double", unit="s")
    up_down = meter.create_up_down_counter("test.up_down")
    gauge = meter.create_gauge("test.gauge", unit="Cel")
    histogram = meter.create_histogram(
        "test.histogram", unit="ms", explicit_bucket_boundaries_advisory=[0.0, 0.1, 10.0, 1e9]
    )
    default = meter.create_histogram("test.histogram.default")
    exponential = meter.create_histogram("test.exponential", unit="ms")
    exemplars = meter.create_counter("test.exemplars")
    observed = {"of": "a callback"}
    meter.create_observable_counter("test.observed.counter", [lambda _: [Observation(2**53 + 3, observed)]])
    meter.create_observable_up_down_counter("test.observed.up_down", [lambda _: [Observation(-0.5, observed)]])
    meter.create_observable_gauge("test.observed.gauge", [lambda _: [Observation(-(2**63), observed)]])
    series = [{}, {"text": TEXT, "int": 1, "bool": True, "texts": ["a", "b"]}]
    for collection in range(2):
        for attributes in series:
            ints.add(2**53 + 1 - collection, attributes)
            doubles.add(0.1 + collection, attributes)
            up_down.add(-7, attributes)
            gauge.set(-40.25 - collection, attributes)
            for value in [0, 0.1, 0.3, 11, 1e10]:
                histogram.record(value, attributes)
                default.record(value, attributes)
                exponential.record(value, attributes)
        with trace.use_span(span):
            exemplars.add(1 + collection, {"kept": "a", "left out": TEXT})
        for reader in readers:
            reader.force_flush()


def send_until_told_to_stop(recorded, resource):
    told_to_stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), told_to_stop.set()), daemon=True).start()
    processor = BatchSpanProcessor(recorded.span_exporter(), schedule_delay_millis=20, max_export_batch_size=64)
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("sdk.many")
    for number in itertools.count():
        tracer.start_span(f"span {number}", attributes={"test.number": number}).end()
        if told_to_stop.wait(0.01):
            break
    # Unlike a shutdown, this lets retries come to their end.
    processor.force_flush()


def main():
    what, protocol, service = sys.argv[1:]
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    recorded = Recorded(protocol)
    attributes = {"service.name": service, "service.version": "1.2.3", "text": TEXT, "ints": [1, 2], "double": 0.5}
    resource = Resource.create(attributes, schema_url="https://opentelemetry.io/schemas/1.37.0")
    if what == "spans":
        send_until_told_to_stop(recorded, resource)
    else:
        span = send_spans(recorded, resource)
        send_logs(recorded, resource, span)
        send_metrics(recorded, resource, span)
    if recorded.unsent:
        sys.exit(f"{recorded.unsent} exports failed")
    json.dump(recorded.tables, sys.stdout, allow_nan=False)


main()
