//! The builder of `requests`: one column each, pushed together from the facts of a request and its verdict.
//!
//! It takes no wire types, so every access log format ends here.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use meshlake_schema::{FaultClass, Table, TableBatch};

use crate::address::Address;
use crate::columns::attributes::AttributesColumn;
use crate::columns::{BooleanColumn, DictionaryColumn, NumberColumn, TextColumn};
use crate::normalize::requests::facts::RequestFacts;
use crate::normalize::requests::proxy::ProxyIdentity;
use crate::normalize::requests::{IdentitySource, Peer, Verdict};
use crate::row_attributes::RowAttributes;
use crate::tally::Arrival;

/// Rows of `requests` being built; keeps its memory from one batch to the next.
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

    fn finish_what(&mut self) -> [ArrayRef; 26] {
        [
            self.tenant.finish(),
            self.ingest_time.finish_utc(),
            self.time.finish_utc(),
            self.time_unix_nano.finish(),
            self.duration_nano.finish(),
            self.is_timed.finish(),
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

    fn finish_connection(&mut self) -> [ArrayRef; 24] {
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
            self.proxy_version.finish(),
            self.raw.finish(),
            self.attributes.finish(),
            self.attribute_types.finish(),
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
        self.tenant.push(arrival.tenant);
        self.ingest_time.push(arrival.ingest_time.micros());
        self.time.push(seen.start.micros());
        self.time_unix_nano.push(seen.start.0);
        self.duration_nano.push(seen.duration_nano);
        self.is_timed.push_option(seen.is_untimed.then_some(false));
        self.push_request(seen);
        self.push_response(seen, verdict);
        self.source.push(&verdict.source);
        self.destination.push(&verdict.destination);
        self.push_connection(seen);
        self.source_format.push(seen.source_format);
        self.identity_source.push_option(verdict.identity_source.map(IdentitySource::name));
        self.proxy_id.push_option(known(&proxy.node_id));
        self.proxy_version.push_option(known(&proxy.proxy_version));
        self.raw.push_option(raw);
        for (key, value) in attributes.entries() {
            self.attributes.push_entry(key, value);
        }
        self.attributes.end_row();
        self.attribute_types.push(attributes.types());
    }

    fn push_request(&mut self, seen: &RequestFacts<'_>) {
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
                match context.span_id {
                    [0, 0, 0, 0, 0, 0, 0, 0] => self.span_id.push_null(),
                    span_id => self.span_id.push_hex(&span_id),
                }
            }
            None => {
                self.trace_id.push_null();
                self.span_id.push_null();
            }
        }
    }

    fn push_response(&mut self, seen: &RequestFacts<'_>, verdict: &Verdict<'_>) {
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

    fn push_connection(&mut self, seen: &RequestFacts<'_>) {
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
