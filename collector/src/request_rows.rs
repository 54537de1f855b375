//! The builder of `requests`: one column each, pushed together from the facts of a request and its verdict.
//!
//! It takes no wire types, so every access log format ends here.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use meshlake_schema::{FaultClass, Table, TableBatch};

use crate::address::Address;
use crate::columns::attributes::AttributesColumn;
use crate::columns::sparse::Zeros;
use crate::columns::{BooleanColumn, DictionaryColumn, NumberColumn, TextColumn};
use crate::normalize::requests::facts::{RequestFacts, TraceContext};
use crate::normalize::requests::proxy::ProxyIdentity;
use crate::normalize::requests::{IdentitySource, Peer, Verdict};
use crate::row_attributes::RowAttributes;
use crate::tally::Arrival;

/// Rows of `requests` being built; keeps its memory from one batch to the next. Of its 66 columns a row fills some forty; the
/// others are passed over.
#[derive(Debug, Default)]
pub struct RequestBuilder {
    tenant: DictionaryColumn,
    ingest_time: NumberColumn<TimestampMicrosecondType>,
    time: NumberColumn<TimestampMicrosecondType>,
    time_unix_nano: NumberColumn<Int64Type>,
    duration_nano: NumberColumn<Int64Type>,
    is_timed: BooleanColumn,
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
    proxy_version: DictionaryColumn,
    raw: TextColumn,
    attributes: AttributesColumn,
    attribute_types: DictionaryColumn,
    address: String,
}

/// The eight columns of one end of a call.
#[derive(Debug, Default)]
struct PeerColumns([DictionaryColumn; 8]);

impl PeerColumns {
    fn fill(&mut self, row: usize, peer: &Peer<'_>) {
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
            column.fill(row, known(text));
        }
    }

    fn finish(&mut self, batch: &Zeros) -> [ArrayRef; 8] {
        self.0.each_mut().map(|column| column.finish_rows(batch))
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
        let rows = self.rows();
        if rows == 0 {
            return None;
        }
        let batch = Zeros::new(rows);
        let mut columns = Vec::with_capacity(Table::Requests.columns().len());
        columns.extend(self.finish_what(&batch));
        columns.extend(self.source.finish(&batch));
        columns.extend(self.destination.finish(&batch));
        columns.extend(self.finish_connection(&batch));
        let batch = RecordBatch::try_new(Arc::clone(Table::Requests.schema()), columns)
            .expect("every row is pushed to every column, in the order of the table");
        Some(TableBatch::try_new(Table::Requests, batch).expect("the schema is the table's own"))
    }

    fn finish_what(&mut self, batch: &Zeros) -> [ArrayRef; 26] {
        [
            self.tenant.finish_rows(batch),
            self.ingest_time.finish_utc(),
            self.time.finish_utc(),
            self.time_unix_nano.finish(),
            self.duration_nano.finish(),
            self.is_timed.finish_rows(batch),
            self.observer.finish_rows(batch),
            self.layer.finish_rows(batch),
            self.counted.finish(),
            self.access_log_type.finish_rows(batch),
            self.protocol.finish_rows(batch),
            self.method.finish_rows(batch),
            self.scheme.finish_rows(batch),
            self.authority.finish_rows(batch),
            self.path.finish_rows(batch),
            self.route.finish_rows(batch),
            self.response_code.finish_rows(batch),
            self.grpc_status.finish_rows(batch),
            self.response_flags.finish(),
            self.response_flags_text.finish_rows(batch),
            self.response_code_details.finish_rows(batch),
            self.fault_class.finish_rows(batch),
            self.outcome.finish_rows(batch),
            self.request_bytes.finish(),
            self.response_bytes.finish(),
            self.attempts.finish(),
        ]
    }

    fn finish_connection(&mut self, batch: &Zeros) -> [ArrayRef; 24] {
        [
            self.downstream_remote_address.finish_rows(batch),
            self.downstream_direct_remote_address.finish_rows(batch),
            self.downstream_local_address.finish_rows(batch),
            self.upstream_local_address.finish_rows(batch),
            self.upstream_host.finish_rows(batch),
            self.upstream_cluster.finish_rows(batch),
            self.upstream_duration_nano.finish_rows(batch),
            self.upstream_transport_failure_reason.finish_rows(batch),
            self.connection_termination_details.finish_rows(batch),
            self.requested_server_name.finish_rows(batch),
            self.forwarded_for.finish_rows(batch),
            self.stream_id.finish_rows(batch),
            self.request_id.finish_rows(batch),
            self.trace_id.finish_rows(batch),
            self.span_id.finish_rows(batch),
            self.tls_version.finish_rows(batch),
            self.user_agent.finish_rows(batch),
            self.source_format.finish_rows(batch),
            self.identity_source.finish_rows(batch),
            self.proxy_id.finish_rows(batch),
            self.proxy_version.finish_rows(batch),
            self.raw.finish_rows(batch),
            self.attributes.finish(),
            self.attribute_types.finish_rows(batch),
        ]
    }

    /// Pushes one row. `raw` is the line as received where it could not be read in full.
    pub fn push(
        &mut self,
        arrival: &Arrival<'_>,
        seen: &RequestFacts<'_>,
        verdict: &Verdict<'_>,
        proxy: &ProxyIdentity,
        attributes: &RowAttributes,
        raw: Option<&str>,
    ) {
        let row = self.rows();
        self.tenant.push(arrival.tenant);
        self.ingest_time.push(arrival.ingest_time.micros());
        self.time.push(seen.start.micros());
        self.time_unix_nano.push(seen.start.0);
        self.duration_nano.push(seen.duration_nano);
        self.is_timed.fill(row, seen.is_untimed.then_some(false));
        self.push_request(row, seen);
        self.push_response(row, seen, verdict);
        self.source.fill(row, &verdict.source);
        self.destination.fill(row, &verdict.destination);
        self.push_connection(row, seen);
        self.source_format.push(seen.source_format);
        self.identity_source.fill(row, verdict.identity_source.map(IdentitySource::name));
        self.proxy_id.fill(row, known(&proxy.node_id));
        self.proxy_version.fill(row, known(&proxy.proxy_version));
        self.raw.fill(row, raw);
        for (key, value) in attributes.entries() {
            self.attributes.push_entry(key, value);
        }
        self.attributes.end_row();
        self.attribute_types.push(attributes.types());
    }

    fn push_request(&mut self, row: usize, seen: &RequestFacts<'_>) {
        self.layer.push(seen.layer.name());
        self.access_log_type.fill(row, seen.log_type.name());
        self.protocol.fill(row, known(seen.protocol));
        self.method.fill(row, known(&seen.method));
        self.scheme.fill(row, known(&seen.scheme));
        self.authority.fill(row, known(&seen.authority));
        self.path.fill(row, known(&seen.path));
        self.route.fill(row, known(&seen.route));
        self.request_bytes.push(signed(seen.request_bytes));
        self.forwarded_for.fill(row, known(&seen.forwarded_for));
        self.stream_id.fill(row, known(&seen.stream_id));
        self.request_id.fill(row, known(&seen.request_id));
        self.user_agent.fill(row, known(&seen.user_agent));
        if let Some(TraceContext { trace_id, span_id }) = &seen.trace_context {
            self.trace_id.pad_nulls(row);
            self.trace_id.push_hex(trace_id);
            if *span_id != [0; 8] {
                self.span_id.pad_nulls(row);
                self.span_id.push_hex(span_id);
            }
        }
    }

    fn push_response(&mut self, row: usize, seen: &RequestFacts<'_>, verdict: &Verdict<'_>) {
        self.observer.push(verdict.observer.name());
        self.counted.push(verdict.counted);
        self.response_code.fill(row, seen.response_code);
        self.grpc_status.fill(row, seen.grpc_status);
        self.response_flags.push(verdict.flags.0 as i64);
        self.response_flags_text.fill(row, verdict.flags.short_names().as_deref());
        self.response_code_details.fill(row, known(&seen.response_code_details));
        self.fault_class.fill(row, verdict.fault_class.map(FaultClass::name));
        self.outcome.push(verdict.outcome.name());
        self.response_bytes.push(signed(seen.response_bytes));
        self.attempts.push(signed(seen.attempts));
    }

    fn push_connection(&mut self, row: usize, seen: &RequestFacts<'_>) {
        let addresses = [
            (&mut self.downstream_remote_address, &seen.downstream_remote),
            (&mut self.downstream_direct_remote_address, &seen.downstream_direct_remote),
            (&mut self.downstream_local_address, &seen.downstream_local),
            (&mut self.upstream_local_address, &seen.upstream_local),
        ];
        for (column, address) in addresses {
            column.fill(row, written(address, &mut self.address));
        }
        self.upstream_host.fill(row, written(&seen.upstream_host, &mut self.address));
        self.upstream_cluster.fill(row, known(&seen.upstream_cluster));
        self.upstream_duration_nano.fill(row, seen.upstream_duration_nano);
        self.upstream_transport_failure_reason.fill(row, known(&seen.upstream_transport_failure_reason));
        self.connection_termination_details.fill(row, known(&seen.connection_termination_details));
        self.requested_server_name.fill(row, known(&seen.requested_server_name));
        self.tls_version.fill(row, known(seen.tls_version));
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

#[cfg(test)]
mod tests {
    use meshlake_schema::UnixNanos;

    use super::*;
    use crate::normalize::requests::judge;
    use crate::normalize::requests::proxy::WorkloadFacts;

    #[test]
    fn a_request_of_no_facts_is_a_row_of_the_table() {
        let mut builder = RequestBuilder::default();
        assert!(builder.finish().is_none());
        let zero = UnixNanos(0);
        let arrival = Arrival { tenant: "t", ingest_time: zero, earliest: zero, latest: zero };
        let proxy = ProxyIdentity::new("", "", WorkloadFacts::default());
        let seen = RequestFacts::default();
        for _ in 0..3 {
            builder.push(&arrival, &seen, &judge(&seen, &proxy), &proxy, &RowAttributes::default(), None);
        }
        assert_eq!(builder.rows(), 3);
        let batch = builder.finish().expect("three rows");
        assert_eq!(batch.row_count(), 3);
        assert_eq!(builder.rows(), 0);
    }
}
