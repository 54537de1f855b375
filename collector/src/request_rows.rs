//! The builder of `requests`: one column each, pushed together from an observation and its verdict.
//!
//! It takes no wire types, so every access log format ends here.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use meshlake_schema::attributes::push_json_string;
use meshlake_schema::{FaultClass, Table, TableBatch};

use crate::columns::attributes::AttributesColumn;
use crate::columns::{BooleanColumn, DictionaryColumn, NumberColumn, TextColumn};
use crate::limits::{ATTRIBUTES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::normalize::requests::observation::{Address, Observation};
use crate::normalize::requests::{IdentitySource, Peer, Verdict};
use crate::tally::{Arrival, Warning, Warnings};

/// Rows of `requests` being built; keeps its memory from one batch to the next.
#[derive(Debug, Default)]
pub struct RequestBuilder {
    tenant: DictionaryColumn,
    ingest_time: NumberColumn<TimestampMicrosecondType>,
    time: NumberColumn<TimestampMicrosecondType>,
    time_unix_nano: NumberColumn<Int64Type>,
    duration_nano: NumberColumn<Int64Type>,
    observer: DictionaryColumn,
    layer: DictionaryColumn,
    counted: BooleanColumn,
    access_log_type: DictionaryColumn,
    protocol: DictionaryColumn,
    method: DictionaryColumn,
    scheme: DictionaryColumn,
    authority: DictionaryColumn,
    path: TextColumn,
    route: DictionaryColumn,
    response_code: NumberColumn<Int32Type>,
    grpc_status: NumberColumn<Int32Type>,
    response_flags: NumberColumn<Int64Type>,
    response_flags_text: DictionaryColumn,
    response_code_details: DictionaryColumn,
    fault_class: DictionaryColumn,
    outcome: DictionaryColumn,
    request_bytes: NumberColumn<Int64Type>,
    response_bytes: NumberColumn<Int64Type>,
    attempts: NumberColumn<Int64Type>,
    source: PeerColumns,
    destination: PeerColumns,
    downstream_remote_address: TextColumn,
    downstream_direct_remote_address: TextColumn,
    downstream_local_address: TextColumn,
    upstream_local_address: TextColumn,
    upstream_host: DictionaryColumn,
    upstream_cluster: DictionaryColumn,
    upstream_duration_nano: NumberColumn<Int64Type>,
    upstream_transport_failure_reason: DictionaryColumn,
    connection_termination_details: DictionaryColumn,
    requested_server_name: DictionaryColumn,
    forwarded_for: DictionaryColumn,
    stream_id: TextColumn,
    request_id: TextColumn,
    trace_id: TextColumn,
    span_id: TextColumn,
    tls_version: DictionaryColumn,
    user_agent: DictionaryColumn,
    source_format: DictionaryColumn,
    identity_source: DictionaryColumn,
    proxy_id: DictionaryColumn,
    raw: TextColumn,
    attributes: AttributesColumn,
    attribute_types: DictionaryColumn,
    address: String,
}

/// The eight columns of one end of a call.
#[derive(Debug, Default)]
struct PeerColumns([DictionaryColumn; 8]);

impl PeerColumns {
    fn push(&mut self, peer: &Peer<'_>) {
        let texts = [
            peer.workload,
            peer.service,
            peer.namespace,
            peer.version,
            peer.cluster,
            peer.principal,
            peer.instance,
            peer.address,
        ];
        for (column, text) in self.0.iter_mut().zip(texts) {
            column.push_option(known(text));
        }
    }

    fn finish(&mut self) -> [ArrayRef; 8] {
        self.0.each_mut().map(DictionaryColumn::finish)
    }
}

/// A text that says something: proxies leave out a missing value, or write it as empty.
fn known(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

impl RequestBuilder {
    /// Rows since the last batch.
    pub fn rows(&self) -> usize {
        self.time.len()
    }

    /// Takes all rows as a batch; `None` when there are none.
    pub fn finish(&mut self) -> Option<TableBatch> {
        if self.rows() == 0 {
            return None;
        }
        let mut columns = Vec::with_capacity(Table::Requests.columns().len());
        columns.extend(self.finish_what());
        columns.extend(self.source.finish());
        columns.extend(self.destination.finish());
        columns.extend(self.finish_connection());
        let batch = RecordBatch::try_new(Arc::clone(Table::Requests.schema()), columns)
            .expect("every row is pushed to every column, in the order of the table");
        Some(TableBatch::try_new(Table::Requests, batch).expect("the schema is the table's own"))
    }

    fn finish_what(&mut self) -> [ArrayRef; 25] {
        [
            self.tenant.finish(),
            self.ingest_time.finish_utc(),
            self.time.finish_utc(),
            self.time_unix_nano.finish(),
            self.duration_nano.finish(),
            self.observer.finish(),
            self.layer.finish(),
            self.counted.finish(),
            self.access_log_type.finish(),
            self.protocol.finish(),
            self.method.finish(),
            self.scheme.finish(),
            self.authority.finish(),
            self.path.finish(),
            self.route.finish(),
            self.response_code.finish(),
            self.grpc_status.finish(),
            self.response_flags.finish(),
            self.response_flags_text.finish(),
            self.response_code_details.finish(),
            self.fault_class.finish(),
            self.outcome.finish(),
            self.request_bytes.finish(),
            self.response_bytes.finish(),
            self.attempts.finish(),
        ]
    }

    fn finish_connection(&mut self) -> [ArrayRef; 23] {
        [
            self.downstream_remote_address.finish(),
            self.downstream_direct_remote_address.finish(),
            self.downstream_local_address.finish(),
            self.upstream_local_address.finish(),
            self.upstream_host.finish(),
            self.upstream_cluster.finish(),
            self.upstream_duration_nano.finish(),
            self.upstream_transport_failure_reason.finish(),
            self.connection_termination_details.finish(),
            self.requested_server_name.finish(),
            self.forwarded_for.finish(),
            self.stream_id.finish(),
            self.request_id.finish(),
            self.trace_id.finish(),
            self.span_id.finish(),
            self.tls_version.finish(),
            self.user_agent.finish(),
            self.source_format.finish(),
            self.identity_source.finish(),
            self.proxy_id.finish(),
            self.raw.finish(),
            self.attributes.finish(),
            self.attribute_types.finish(),
        ]
    }

    /// Pushes one row. `raw` is the line as received where it could not be read in full.
    pub fn push(
        &mut self,
        arrival: &Arrival<'_>,
        seen: &Observation<'_>,
        verdict: &Verdict<'_>,
        proxy_id: &str,
        attributes: &RowAttributes,
        raw: Option<&str>,
    ) {
        self.tenant.push(arrival.tenant);
        self.ingest_time.push(arrival.ingest_time.micros());
        self.time.push(seen.start.micros());
        self.time_unix_nano.push(seen.start.0);
        self.duration_nano.push(seen.duration_nano);
        self.push_request(seen);
        self.push_response(seen, verdict);
        self.source.push(&verdict.source);
        self.destination.push(&verdict.destination);
        self.push_connection(seen);
        self.source_format.push(seen.source_format);
        self.identity_source.push_option(verdict.identity_source.map(IdentitySource::name));
        self.proxy_id.push_option(known(proxy_id));
        self.raw.push_option(raw);
        for (key, value) in attributes.entries() {
            self.attributes.push_entry(key, value);
        }
        self.attributes.end_row();
        self.attribute_types.push(&attributes.types);
    }

    fn push_request(&mut self, seen: &Observation<'_>) {
        self.layer.push(seen.layer.name());
        self.access_log_type.push_option(seen.log_type.name());
        self.protocol.push_option(known(seen.protocol));
        self.method.push_option(known(&seen.method));
        self.scheme.push_option(known(&seen.scheme));
        self.authority.push_option(known(&seen.authority));
        self.path.push_option(known(&seen.path));
        self.route.push_option(known(&seen.route));
        self.request_bytes.push(signed(seen.request_bytes));
        self.forwarded_for.push_option(known(&seen.forwarded_for));
        self.stream_id.push_option(known(&seen.stream_id));
        self.request_id.push_option(known(&seen.request_id));
        self.user_agent.push_option(known(&seen.user_agent));
        match &seen.trace_context {
            Some(context) => {
                self.trace_id.push_hex(&context.trace_id);
                self.span_id.push_hex(&context.span_id);
            }
            None => {
                self.trace_id.push_null();
                self.span_id.push_null();
            }
        }
    }

    fn push_response(&mut self, seen: &Observation<'_>, verdict: &Verdict<'_>) {
        self.observer.push(verdict.observer.name());
        self.counted.push(verdict.counted);
        self.response_code.push_option(seen.response_code);
        self.grpc_status.push_option(seen.grpc_status);
        self.response_flags.push(verdict.flags.0 as i64);
        self.response_flags_text.push_option(verdict.flags.short_names().as_deref());
        self.response_code_details.push_option(known(&seen.response_code_details));
        self.fault_class.push_option(verdict.fault_class.map(FaultClass::name));
        self.outcome.push(verdict.outcome.name());
        self.response_bytes.push(signed(seen.response_bytes));
        self.attempts.push(signed(seen.attempts));
    }

    fn push_connection(&mut self, seen: &Observation<'_>) {
        let addresses = [
            (&mut self.downstream_remote_address, &seen.downstream_remote),
            (&mut self.downstream_direct_remote_address, &seen.downstream_direct_remote),
            (&mut self.downstream_local_address, &seen.downstream_local),
            (&mut self.upstream_local_address, &seen.upstream_local),
        ];
        for (column, address) in addresses {
            column.push_option(written(address, &mut self.address));
        }
        self.upstream_host.push_option(written(&seen.upstream_host, &mut self.address));
        self.upstream_cluster.push_option(known(&seen.upstream_cluster));
        self.upstream_duration_nano.push_option(seen.upstream_duration_nano);
        self.upstream_transport_failure_reason.push_option(known(&seen.upstream_transport_failure_reason));
        self.connection_termination_details.push_option(known(&seen.connection_termination_details));
        self.requested_server_name.push_option(known(&seen.requested_server_name));
        self.tls_version.push_option(known(seen.tls_version));
    }
}

fn written<'s>(address: &Address<'_>, scratch: &'s mut String) -> Option<&'s str> {
    if !address.is_known() {
        return None;
    }
    scratch.clear();
    address.write(scratch);
    Some(scratch)
}

/// Byte counts of a table are signed; no connection carries 2^63 bytes.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The attributes of one row while it is read, before it is known whether the row is accepted. One buffer
/// for all of them, kept from row to row.
///
/// What is kept is what is kept of OTLP: each key once, the last one sent; see `limits`. Of a value that is too long
/// the text is kept as far as it goes, also of a structure, which is then a string.
#[derive(Debug, Default)]
pub struct RowAttributes {
    text: String,
    entries: Vec<Entry>,
    types: String,
    warnings: Warnings,
}

/// Where an attribute is in the texts.
#[derive(Debug, Clone)]
struct Entry {
    key: Range<usize>,
    value: Range<usize>,
    types: Range<usize>,
}

impl RowAttributes {
    pub fn clear(&mut self) {
        self.text.clear();
        self.entries.clear();
        self.types.clear();
        self.warnings = Warnings::default();
    }

    /// What was warned of since [`clear`](Self::clear).
    pub fn warnings(&self) -> &Warnings {
        &self.warnings
    }

    /// Adds a string under the key `prefix` + `name`.
    pub fn push_text(&mut self, prefix: &str, name: &str, value: &str) {
        self.push_with(prefix, name, |text, types| {
            text.push_str(value);
            types.push('s');
        });
    }

    pub fn push_int(&mut self, name: &str, value: u64) {
        self.push_with("", name, |text, types| {
            write!(text, "{value}").expect("writing to a String cannot fail");
            types.push('i');
        });
    }

    /// Adds one object of numbers; those that are absent are left out, nothing when all are.
    pub fn push_numbers(&mut self, name: &str, members: &[(&str, Option<u64>)]) {
        if members.iter().all(|(_, value)| value.is_none()) {
            return;
        }
        self.push_with("", name, |text, types| {
            types.push('{');
            let mut separator = '{';
            for (member, value) in members {
                let Some(value) = value else { continue };
                text.push(separator);
                separator = ',';
                push_json_string(text, member);
                write!(text, ":{value}").expect("writing to a String cannot fail");
                types.push('i');
            }
            text.push('}');
            types.push('}');
        });
    }

    /// Adds a value that `write` appends as text, with its type in the grammar of `attributes.rs`. Does not ask for it
    /// when the row has as many attributes as are kept.
    pub fn push_with(&mut self, prefix: &str, name: &str, write: impl FnOnce(&mut String, &mut String)) {
        if self.entries.len() == ATTRIBUTES_MAX {
            return self.warnings.add(Warning::AttributeDropped, 1);
        }
        let (key_start, types_start) = (self.text.len(), self.types.len());
        self.text.push_str(prefix);
        self.text.push_str(name);
        let mut is_cut = cut(&mut self.text, key_start + KEY_BYTES_MAX);
        let value_start = self.text.len();
        write(&mut self.text, &mut self.types);
        if cut(&mut self.text, value_start + VALUE_BYTES_MAX) {
            is_cut = true;
            self.types.truncate(types_start);
            self.types.push('s');
        }
        self.warnings.add(Warning::ValueCut, u64::from(is_cut));
        let key = key_start..value_start;
        if let Some(at) =
            self.entries.iter().position(|entry| self.text[entry.key.clone()] == self.text[key.clone()])
        {
            self.remove(at);
        }
        let (value, types) = (value_start..self.text.len(), self.types_end()..self.types.len());
        self.entries.push(Entry { key, value, types });
    }

    fn types_end(&self) -> usize {
        self.entries.last().map_or(0, |entry| entry.types.end)
    }

    /// Takes out an entry whose key has come again.
    fn remove(&mut self, at: usize) {
        self.warnings.add(Warning::AttributeRepeated, 1);
        let gone = self.entries.remove(at).types;
        self.types.replace_range(gone.clone(), "");
        for entry in &mut self.entries[at..] {
            entry.types = entry.types.start - gone.len()..entry.types.end - gone.len();
        }
    }

    fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|entry| (&self.text[entry.key.clone()], &self.text[entry.value.clone()]))
    }
}

/// Cuts `text` to at most `bytes_max`, between characters; whether it was longer.
fn cut(text: &mut String, bytes_max: usize) -> bool {
    let is_longer = text.len() > bytes_max;
    text.truncate(text.floor_char_boundary(bytes_max));
    is_longer
}

#[cfg(test)]
mod tests {
    use meshlake_schema::UnixNanos;
    use meshlake_schema::attributes::map_to_json;
    use serde_json::json;

    use super::*;
    use crate::normalize::requests::judge;
    use crate::normalize::requests::proxy::{ProxyIdentity, WorkloadFacts};

    #[test]
    fn an_empty_observation_is_a_row_of_the_table() {
        let mut builder = RequestBuilder::default();
        assert!(builder.finish().is_none());
        let zero = UnixNanos(0);
        let arrival = Arrival { tenant: "t", ingest_time: zero, earliest: zero, latest: zero };
        let proxy = ProxyIdentity::new("", "", WorkloadFacts::default());
        let seen = Observation::default();
        for _ in 0..3 {
            builder.push(&arrival, &seen, &judge(&seen, &proxy), "", &RowAttributes::default(), None);
        }
        assert_eq!(builder.rows(), 3);
        let batch = builder.finish().expect("three rows");
        assert_eq!(batch.row_count(), 3);
        assert_eq!(builder.rows(), 0);
    }

    #[test]
    fn attributes_read_back_with_their_types() {
        let mut attributes = RowAttributes::default();
        attributes.push_text("request_header.", "x-a", "1");
        attributes.push_int("port", 8080);
        attributes.push_numbers("sizes", &[("a", Some(1)), ("b", None), ("c", Some(u64::MAX))]);
        attributes.push_numbers("none", &[("a", None)]);
        let read = map_to_json(attributes.entries(), &attributes.types);
        let want = json!({"request_header.x-a": "1", "port": 8080, "sizes": {"a": 1, "c": u64::MAX}});
        assert_eq!(serde_json::Value::Object(read), want);
        attributes.clear();
        assert_eq!(attributes.entries().count(), 0);
    }

    #[test]
    fn each_key_is_there_once_and_the_last_holds() {
        let mut attributes = RowAttributes::default();
        attributes.push_text("", "a", "1");
        attributes.push_numbers("sizes", &[("x", Some(1)), ("y", Some(2))]);
        attributes.push_int("b", 2);
        attributes.push_text("", "sizes", "none");
        attributes.push_int("a", 3);
        let read = map_to_json(attributes.entries(), &attributes.types);
        assert_eq!(serde_json::Value::Object(read), json!({"b": 2, "sizes": "none", "a": 3}));
        assert_eq!(attributes.warnings().given().collect::<Vec<_>>(), [(Warning::AttributeRepeated, 2)]);
    }

    #[test]
    fn what_is_kept_of_an_attribute_and_of_all_is_bounded() {
        let mut attributes = RowAttributes::default();
        for (bytes, warned) in [(KEY_BYTES_MAX - 1, 0), (KEY_BYTES_MAX, 1)] {
            attributes.push_text("p", &"k".repeat(bytes), "v");
            assert_eq!(attributes.warnings().count(Warning::ValueCut), warned, "a key of {bytes} and 1");
        }
        attributes.clear();
        for (bytes, warned) in [(VALUE_BYTES_MAX, 0), (VALUE_BYTES_MAX + 1, 1)] {
            attributes.push_text("", &format!("v{bytes}"), &"v".repeat(bytes));
            assert_eq!(attributes.warnings().count(Warning::ValueCut), warned, "{bytes}");
        }
        attributes.push_with("", "structure", |text, types| {
            text.push_str(&format!(r#"{{"k":"{}"}}"#, "v".repeat(VALUE_BYTES_MAX)));
            types.push_str("{s}");
        });
        assert_eq!(attributes.types, "sss");
        assert!(attributes.entries().all(|(_, value)| value.len() == VALUE_BYTES_MAX));
        for number in attributes.entries.len()..=ATTRIBUTES_MAX {
            assert_eq!(attributes.warnings().count(Warning::AttributeDropped), 0);
            attributes.push_int(&format!("n{number}"), 0);
        }
        assert_eq!(attributes.warnings().count(Warning::AttributeDropped), 1);
        assert_eq!(attributes.entries().count(), ATTRIBUTES_MAX);
    }
}
