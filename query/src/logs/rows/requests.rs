//! Rows of `requests`: the line that the proxy wrote where it could not be read in full, else the line that Istio's proxies write.
//!
//! A stream is what one side of a service's proxies saw with one outcome: its labels are the service, its workload, namespace,
//! pod and cluster, who observed, the format that was read, and a level made of the outcome. All that a line tells is stored
//! beside it by name, so that nobody has to parse it.
//!
//! Source: "Envoy access logs", Default access log format,
//! <https://istio.io/latest/docs/tasks/observability/logs/access-log/>.

use std::borrow::Cow;
use std::fmt::Write as _;

use arrow::array::RecordBatch;
use meshlake_logql::{LabelSet, label_name};
use meshlake_promql::Labels;
use meshlake_schema::rows::{Attributes, Integers, Text};
use meshlake_schema::{UnixNanos, read_columns};

use super::logs::UNKNOWN_SERVICE;
use super::{Each, Needs, SOURCE, give, wrong};
use crate::logs::error::LogsError;
use crate::logs::streams::Streams;

read_columns! {
    /// What a line is made of.
    struct RequestRows of meshlake_schema::Table::Requests {
        time_unix_nano: Integers,
        observer: Text,
        outcome: Text,
        source_format: Text,
        source_service: Text,
        source_workload: Text,
        source_namespace: Text,
        source_cluster: Text,
        source_instance: Text,
        destination_service: Text,
        destination_workload: Text,
        destination_namespace: Text,
        destination_cluster: Text,
        destination_instance: Text,
        duration_nano: Integers,
        protocol: Text,
        method: Text,
        authority: Text,
        path: Text,
        route: Text,
        response_code: Integers,
        grpc_status: Integers,
        response_flags_text: Text,
        response_code_details: Text,
        request_bytes: Integers,
        response_bytes: Integers,
        downstream_remote_address: Text,
        downstream_local_address: Text,
        upstream_local_address: Text,
        upstream_host: Text,
        upstream_cluster: Text,
        upstream_duration_nano: Integers,
        upstream_transport_failure_reason: Text,
        connection_termination_details: Text,
        requested_server_name: Text,
        forwarded_for: Text,
        request_id: Text,
        trace_id: Text,
        span_id: Text,
        user_agent: Text,
        raw: Text,
        attributes: Attributes,
    }
}

/// How many of the columns tell time and stream.
const ALWAYS: usize = 14;

pub const DICTIONARIES: &[&str] = &[
    "observer",
    "outcome",
    "source_format",
    "source_service",
    "source_workload",
    "source_namespace",
    "source_cluster",
    "source_instance",
    "destination_service",
    "destination_workload",
    "destination_namespace",
    "destination_cluster",
    "destination_instance",
];

const NANOS_PER_MILLI: i64 = 1_000_000;

pub fn columns(needs: &Needs<'_>) -> Vec<&'static str> {
    let count = if needs.lines || needs.metadata { RequestRows::NAMES.len() } else { ALWAYS };
    RequestRows::NAMES[..count].to_vec()
}

pub fn entries(
    batch: &RecordBatch,
    needs: &Needs<'_>,
    streams: &mut Streams,
    each: &mut Each<'_>,
) -> Result<(), LogsError> {
    let rows = RequestRows::of(batch).map_err(|error| wrong(&error))?;
    let mut key = Vec::new();
    for row in 0..batch.num_rows() {
        let Some(nanos) = rows.time_unix_nano.get(row).filter(|nanos| needs.has_time(*nanos)) else {
            continue;
        };
        key.clear();
        key.push(b'r');
        for column in rows.of_stream(row) {
            key.extend(column.get(row).unwrap_or_default().as_bytes());
            key.push(0);
        }
        let place = streams.place(&key, &needs.pipeline, || (rows.labels(row), Vec::new()))?;
        let stream = &streams.found()[place];
        if !stream.is_asked {
            continue;
        }
        let line = match rows.raw.get(row) {
            Some(raw) => Cow::Borrowed(raw),
            None if needs.lines => Cow::Owned(rows.line(row, nanos)),
            None => Cow::Borrowed(""),
        };
        give(needs, stream, (nanos, line), |labels| rows.add_metadata(row, labels), each)?;
    }
    Ok(())
}

impl<'a> RequestRows<'a> {
    /// Whether the callee's proxy saw it, so that the line is the callee's.
    fn is_received(&self, row: usize) -> bool {
        self.observer.get(row) == Some("server")
    }

    /// Observer, outcome, format; service, workload, namespace, cluster and instance of whose proxy it was.
    fn of_stream(&self, row: usize) -> [Text<'a>; 8] {
        let own = if self.is_received(row) {
            [
                self.destination_service,
                self.destination_workload,
                self.destination_namespace,
                self.destination_cluster,
                self.destination_instance,
            ]
        } else {
            [
                self.source_service,
                self.source_workload,
                self.source_namespace,
                self.source_cluster,
                self.source_instance,
            ]
        };
        let [service, workload, namespace, cluster, instance] = own;
        [self.observer, self.outcome, self.source_format, service, workload, namespace, cluster, instance]
    }

    fn labels(&self, row: usize) -> Labels {
        let texts = self.of_stream(row).map(|column| column.named(row));
        let [observer, outcome, format, service, workload, namespace, cluster, instance] = texts;
        let name = service.or(workload).unwrap_or(UNKNOWN_SERVICE);
        let job = namespace.map_or(name.to_owned(), |namespace| format!("{namespace}/{name}"));
        let level = match outcome {
            Some("error") => "error",
            Some("client_error" | "aborted") => "warn",
            _ => "info",
        };
        let known = [
            ("observer", observer),
            ("format", format),
            ("app", workload.or(service)),
            ("namespace", namespace),
            ("cluster", cluster),
            ("pod", instance),
        ];
        let always = [("service_name", name), ("job", &job), ("level", level), (SOURCE, "requests")];
        let known = known.into_iter().filter_map(|(name, value)| Some((name, value?)));
        Labels::from_pairs(always.into_iter().chain(known))
    }

    fn add_metadata(&self, row: usize, labels: &mut LabelSet<'_>) {
        for (name, column) in self.texts() {
            if let Some(value) = column.named(row) {
                labels.add_metadata(name, value.to_owned());
            }
        }
        let millis = self.duration_nano.or_zero(row) as f64 / NANOS_PER_MILLI as f64;
        labels.add_metadata("duration_ms", millis.to_string());
        let numbers = [
            ("response_code", self.response_code),
            ("grpc_status", self.grpc_status),
            ("request_bytes", self.request_bytes),
            ("response_bytes", self.response_bytes),
        ];
        for (name, column) in numbers {
            if let Some(value) = column.get(row) {
                labels.add_metadata(name, value.to_string());
            }
        }
        for (key, value) in self.attributes.entries(row) {
            labels.add_metadata(label_name(key).into_owned(), value.to_owned());
        }
    }

    fn texts(&self) -> [(&'static str, Text<'a>); 22] {
        [
            ("method", self.method),
            ("path", self.path),
            ("authority", self.authority),
            ("protocol", self.protocol),
            ("route", self.route),
            ("outcome", self.outcome),
            ("response_flags", self.response_flags_text),
            ("response_code_details", self.response_code_details),
            ("source_service", self.source_service),
            ("source_workload", self.source_workload),
            ("source_namespace", self.source_namespace),
            ("destination_service", self.destination_service),
            ("destination_workload", self.destination_workload),
            ("destination_namespace", self.destination_namespace),
            ("upstream_host", self.upstream_host),
            ("upstream_cluster", self.upstream_cluster),
            ("downstream_remote_address", self.downstream_remote_address),
            ("forwarded_for", self.forwarded_for),
            ("request_id", self.request_id),
            ("trace_id", self.trace_id),
            ("span_id", self.span_id),
            ("user_agent", self.user_agent),
        ]
    }

    /// The line in Istio's default format; `-` where there is nothing to tell.
    fn line(&self, row: usize, nanos: i64) -> String {
        let text = |column: Text<'a>| column.named(row).unwrap_or("-");
        let number = |column: Integers<'a>| column.get(row).map_or("-".to_owned(), |value| value.to_string());
        let millis = |column: Integers<'a>| {
            column.get(row).map_or("-".to_owned(), |nanos| (nanos / NANOS_PER_MILLI).to_string())
        };
        let mut line = format!("[{}] ", start_time(nanos));
        let (method, path, protocol) = (text(self.method), text(self.path), text(self.protocol));
        let written = [
            format!("\"{method} {path} {protocol}\""),
            number(self.response_code),
            text(self.response_flags_text).to_owned(),
            text(self.response_code_details).to_owned(),
            text(self.connection_termination_details).to_owned(),
            format!("\"{}\"", text(self.upstream_transport_failure_reason)),
            number(self.request_bytes),
            number(self.response_bytes),
            millis(self.duration_nano),
            millis(self.upstream_duration_nano),
            format!("\"{}\"", text(self.forwarded_for)),
            format!("\"{}\"", text(self.user_agent)),
            format!("\"{}\"", text(self.request_id)),
            format!("\"{}\"", text(self.authority)),
            format!("\"{}\"", text(self.upstream_host)),
            text(self.upstream_cluster).to_owned(),
            text(self.upstream_local_address).to_owned(),
            text(self.downstream_local_address).to_owned(),
            text(self.downstream_remote_address).to_owned(),
            text(self.requested_server_name).to_owned(),
            text(self.route).to_owned(),
        ];
        write!(line, "{}", written.join(" ")).expect("a text takes any text");
        line
    }
}

/// With milliseconds, as Envoy writes it.
fn start_time(nanos: i64) -> String {
    let whole = UnixNanos(nanos.div_euclid(1_000_000_000) * 1_000_000_000).to_rfc3339();
    let millis = nanos.rem_euclid(1_000_000_000) / NANOS_PER_MILLI;
    format!("{}.{millis:03}Z", whole.trim_end_matches('Z'))
}
