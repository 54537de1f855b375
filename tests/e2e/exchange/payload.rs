//! The body of a request: from OTLP/JSON to what the transport carries.

use anyhow::{Context as _, Result, bail};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde::de::DeserializeOwned;

use super::case::{Case, Coding, PerSignal, Record, of};
use super::mark::Mark;
use super::recipe::{Ingredients, counted, frame, gzip};
use super::signal::{Signal, Transport};
use super::zstd;
use crate::payloads::string;

/// The body of a request over `transport`, and the message in it.
///
/// # Errors
/// A case that cannot be written down for this transport.
pub fn body(case: &Case, signal: Signal, transport: Transport, mark: &Mark) -> Result<Vec<u8>> {
    let message = message(case, signal, transport, mark)?;
    let packed = match case.coding {
        None | Some(Coding::Identity) => message,
        Some(Coding::Gzip | Coding::XGzip) => gzip(&message),
        Some(Coding::Zstd) => zstd::frame(&message),
    };
    if transport != Transport::Grpc || !case.framed {
        return Ok(packed);
    }
    let is_packed = case.declared_coding().is_some_and(|coding| coding != "identity");
    Ok(frame(case.flag.unwrap_or(u8::from(is_packed)), &packed))
}

fn message(case: &Case, signal: Signal, transport: Transport, mark: &Mark) -> Result<Vec<u8>> {
    if let Some(request) = of(case.request.as_ref(), signal) {
        return export(signal, transport, mark.fill(request));
    }
    if let Some(parts) = of(case.wire.as_ref(), signal) {
        let ingredients = Ingredients { mark, good: &[], transport };
        let record = with_fields(signal, mark, &ingredients.cook(parts)?)?;
        return Ok(enclosed(mark, &record));
    }
    let good = good_record(signal, of(case.fields.as_ref(), signal).map_or("", String::as_str));
    let records = match of(case.records.as_ref(), signal) {
        Some(records) => records.as_slice(),
        None => &[Record::One("$good".to_owned())],
    };
    let records = records.iter().map(|record| match record {
        Record::One(text) => text.replace("$good", &good),
        Record::Many { times, of } => numbered(*times, &of.replace("$good", &good)),
    });
    let records = mark.fill(&records.collect::<Vec<_>>().join(","));
    let whole = export(signal, transport, json_request(signal, mark, &records))?;
    match of(case.body.as_ref(), signal) {
        Some(parts) => Ingredients { mark, good: &whole, transport }.cook(parts),
        None => Ok(whole),
    }
}

/// `record` so many times, with its number in it.
fn numbered(times: usize, record: &str) -> String {
    let one = |number: usize| {
        let (id, before) = (format!("{:016x}", number + 1), format!("{number:016x}"));
        record.replace("$id", &id).replace("$before", &before)
    };
    (0..times).map(one).collect::<Vec<_>>().join(",")
}

/// A record that is stored, as OTLP/JSON, with further members.
fn good_record(signal: Signal, fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { "," };
    match signal {
        Signal::Traces => {
            let name = if names_itself(fields) { "" } else { r#""name":"n","# };
            format!(
                r#"{{{name}"traceId":"$trace","spanId":"$span","startTimeUnixNano":"$now","endTimeUnixNano":"$now"{comma}{fields}}}"#
            )
        }
        Signal::Metrics => format!(
            r#"{{"name":"m","gauge":{{"dataPoints":[{{"timeUnixNano":"$now","asInt":"7"{comma}{fields}}}]}}}}"#
        ),
        Signal::Logs => format!(r#"{{"timeUnixNano":"$now","severityNumber":9{comma}{fields}}}"#),
    }
}

/// Whether JSON members have a name among them. A span without one is stored with a warning.
fn names_itself(fields: &str) -> bool {
    let members = serde_json::from_str::<serde_json::Value>(&format!("{{{fields}}}"));
    members.is_ok_and(|members| members.get("name").is_some())
}

fn json_request(signal: Signal, mark: &Mark, records: &str) -> String {
    let [resources, scopes, list] = signal.list_names();
    let name = &mark.name;
    let service = format!(r#"[{{"key":"service.name","value":{{"stringValue":"{name}"}}}}]"#);
    format!(
        r#"{{"{resources}":[{{"resource":{{"attributes":{service}}},"{scopes}":[{{"{list}":[{records}]}}]}}]}}"#
    )
}

/// An export request that is given as OTLP/JSON, in the encoding of the transport.
fn export(signal: Signal, transport: Transport, json: String) -> Result<Vec<u8>> {
    match (transport, signal) {
        (Transport::Json, _) => Ok(json.into_bytes()),
        (_, Signal::Traces) => protobuf::<ExportTraceServiceRequest>(&json),
        (_, Signal::Metrics) => protobuf::<ExportMetricsServiceRequest>(&json),
        (_, Signal::Logs) => protobuf::<ExportLogsServiceRequest>(&json),
    }
}

fn protobuf<M: prost::Message + DeserializeOwned>(json: &str) -> Result<Vec<u8>> {
    let message: M = serde_json::from_str(json).with_context(|| format!("read as OTLP/JSON: {json}"))?;
    Ok(message.encode_to_vec())
}

/// A good record in protobuf with the bytes of further fields behind its own.
fn with_fields(signal: Signal, mark: &Mark, fields: &[u8]) -> Result<Vec<u8>> {
    let json = mark.fill(&good_record(signal, ""));
    match signal {
        Signal::Traces => Ok([protobuf::<Span>(&json)?.as_slice(), fields].concat()),
        Signal::Logs => Ok([protobuf::<LogRecord>(&json)?.as_slice(), fields].concat()),
        Signal::Metrics => {
            let metric: Metric = serde_json::from_str(&json)?;
            let point = point_of(&metric).context("a good metric has one point")?;
            let mut gauge = Vec::new();
            counted(&mut gauge, 1, &[point.encode_to_vec().as_slice(), fields].concat());
            let mut whole = Metric { data: None, ..metric }.encode_to_vec();
            counted(&mut whole, 5, &gauge);
            Ok(whole)
        }
    }
}

fn point_of(metric: &Metric) -> Option<&NumberDataPoint> {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    match metric.data.as_ref()? {
        Data::Gauge(gauge) => gauge.data_points.first(),
        _ => None,
    }
}

/// One record in one scope of one resource: field 1 of a request is a resource's part, of which field 1 is the
/// resource and field 2 a scope's part, of which field 2 is a record, whatever the signal.
fn enclosed(mark: &Mark, record: &[u8]) -> Vec<u8> {
    let resource = Resource { attributes: vec![string("service.name", &mark.name)], ..Resource::default() };
    let (mut scope, mut envelope, mut request) = (Vec::new(), Vec::new(), Vec::new());
    counted(&mut scope, 2, record);
    counted(&mut envelope, 1, &resource.encode_to_vec());
    counted(&mut envelope, 2, &scope);
    counted(&mut request, 1, &envelope);
    request
}

/// The path of a request.
///
/// # Errors
/// A case that names no path for this signal.
pub fn path(case: &Case, signal: Signal, transport: Transport) -> Result<String> {
    match (&case.path, transport) {
        (None, Transport::Grpc) => Ok(signal.grpc_path().to_owned()),
        (None, _) => Ok(signal.http_path().to_owned()),
        (Some(PerSignal::All(path)), _) => Ok(path.clone()),
        (Some(paths), _) => match of(Some(paths), signal) {
            Some(path) => Ok(path.clone()),
            None => bail!("{}: no path for {signal:?}", case.name),
        },
    }
}
