//! Metrics of every shape, with what is odd in names, units and labels.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::payloads::string;

const SECOND: u64 = 1_000_000_000;
const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;

/// When an export is, and the how manieth it is, from 1 on.
#[derive(Clone, Copy)]
pub struct Export {
    pub number: u64,
    pub time: u64,
}

impl Export {
    fn start(self) -> u64 {
        self.time - 10 * SECOND
    }
}

/// One export of a service with a namespace and an instance, and of one that only has a host.
pub fn all_shapes(export: Export) -> ExportMetricsServiceRequest {
    let cart = vec![
        string("service.name", "cart"),
        string("service.namespace", "shop"),
        string("service.instance.id", "cart-1"),
        string("k8s.pod.name", "cart-5d9"),
        string("k8s.namespace.name", "prod"),
        string("host.name", "node-7"),
        value("process.pid", Value::IntValue(42)),
        value("cpu.share", Value::DoubleValue(0.5)),
        value("is.canary", Value::BoolValue(true)),
    ];
    let scope = InstrumentationScope {
        name: "lib/http".to_owned(),
        version: "1.2.3".to_owned(),
        attributes: vec![string("scope.kind", "auto")],
        ..InstrumentationScope::default()
    };
    let mut metrics = numbers(export);
    metrics.extend(distributions(export));
    let scoped = ScopeMetrics {
        scope: Some(scope),
        metrics,
        schema_url: "https://opentelemetry.io/schemas/1.30.0".to_owned(),
    };
    let bare = ScopeMetrics { metrics: numbers(export), ..ScopeMetrics::default() };
    ExportMetricsServiceRequest {
        resource_metrics: vec![
            of(cart, scoped),
            of(vec![string("service.name", "edge")], bare.clone()),
            of(vec![string("host.name", "node-8")], bare),
        ],
    }
}

fn of(attributes: Vec<KeyValue>, metrics: ScopeMetrics) -> ResourceMetrics {
    ResourceMetrics {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_metrics: vec![metrics],
        ..ResourceMetrics::default()
    }
}

fn value(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        description: format!("Test of {name}."),
        data: Some(data),
        ..Metric::default()
    }
}

/// Gauges and sums under names and units of many kinds.
fn numbers(export: Export) -> Vec<Metric> {
    let gauges = [
        ("queue.size", "By"),
        ("cpu.utilization", "1"),
        ("disk_usage_ratio", "1"),
        ("2xx.share", "%"),
        ("net.throughput", "By/s"),
        ("wait.time.seconds", "s"),
        ("a__b..c", "{thing}"),
        ("speed", "km/h"),
        ("temp:room", "Cel"),
    ];
    let sums = [("http.requests", "{request}"), ("jobs_total", ""), ("total.bytes", "By"), ("rows", "1/m")];
    let gauge =
        |(name, unit): (&str, &str)| metric(name, unit, Data::Gauge(Gauge { data_points: points(export) }));
    let sum = |(name, unit): (&str, &str), temporality: i32, is_monotonic: bool| {
        let data_points = points(export);
        metric(name, unit, Data::Sum(Sum { data_points, aggregation_temporality: temporality, is_monotonic }))
    };
    let counters = sums.map(|named| sum(named, CUMULATIVE, true));
    let up_down = sum(("in.flight", "1"), CUMULATIVE, false);
    let delta = sum(("delta.hits", ""), DELTA, true);
    gauges.map(gauge).into_iter().chain(counters).chain([up_down, delta]).collect()
}

/// Two points: one with attributes whose names are the same in Prometheus and of every type, one with none.
fn points(export: Export) -> Vec<NumberDataPoint> {
    let odd = vec![
        string("http.method", "GET"),
        string("http_method", "get"),
        string("_private", "x"),
        string("0day", "y"),
        string("empty", ""),
        string("job", "own"),
        value("code", Value::IntValue(-200)),
        value("ratio", Value::DoubleValue(3.0)),
        value("tiny", Value::DoubleValue(1e-9)),
        value("on", Value::BoolValue(false)),
    ];
    let point = |attributes, value| NumberDataPoint {
        attributes,
        start_time_unix_nano: export.start(),
        time_unix_nano: export.time,
        value: Some(value),
        ..NumberDataPoint::default()
    };
    let number = export.number;
    vec![point(odd, Number::AsInt(7 * number as i64)), point(vec![], Number::AsDouble(0.1 * number as f64))]
}

fn distributions(export: Export) -> Vec<Metric> {
    let explicit = |temporality| {
        Data::Histogram(Histogram {
            data_points: explicit_points(export),
            aggregation_temporality: temporality,
        })
    };
    let exponential = |scale| {
        let data_points = vec![exponential_point(export, scale)];
        Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality: CUMULATIVE })
    };
    vec![
        metric("http.server.request.duration", "s", explicit(CUMULATIVE)),
        metric("delta.sizes", "By", explicit(DELTA)),
        metric("exp.latency", "ms", exponential(3)),
        metric("exp.fine", "ms", exponential(11)),
        metric("gc.pause", "us", Data::Summary(Summary { data_points: vec![summary_point(export)] })),
    ]
}

fn explicit_points(export: Export) -> Vec<HistogramDataPoint> {
    let number = export.number;
    let whole = HistogramDataPoint {
        start_time_unix_nano: export.start(),
        time_unix_nano: export.time,
        count: 6 * number,
        sum: Some(1.5 * number as f64),
        explicit_bounds: vec![0.005, 0.1, 2.0, 1e6],
        bucket_counts: vec![number, 2 * number, 0, 2 * number, number],
        ..HistogramDataPoint::default()
    };
    let attributes = vec![string("kind", "bare")];
    let bare = HistogramDataPoint {
        attributes,
        sum: None,
        explicit_bounds: vec![],
        bucket_counts: vec![],
        ..whole.clone()
    };
    vec![whole, bare]
}

fn exponential_point(export: Export, scale: i32) -> ExponentialHistogramDataPoint {
    let number = export.number;
    ExponentialHistogramDataPoint {
        start_time_unix_nano: export.start(),
        time_unix_nano: export.time,
        count: 16 * number,
        sum: Some(12.25 * number as f64),
        scale,
        zero_count: number,
        positive: Some(Buckets {
            offset: -5,
            bucket_counts: vec![number, 0, 3 * number, 0, 0, 0, 0, 5 * number, number],
        }),
        negative: Some(Buckets { offset: 9, bucket_counts: vec![2 * number, 3 * number] }),
        ..ExponentialHistogramDataPoint::default()
    }
}

fn summary_point(export: Export) -> SummaryDataPoint {
    let at = |quantile, value| ValueAtQuantile { quantile, value };
    SummaryDataPoint {
        start_time_unix_nano: export.start(),
        time_unix_nano: export.time,
        count: 10 * export.number,
        sum: 3.5 * export.number as f64,
        quantile_values: vec![at(0.0, 0.25), at(0.5, 1.0), at(0.999, 8.0), at(1.0, 9.0)],
        ..SummaryDataPoint::default()
    }
}
