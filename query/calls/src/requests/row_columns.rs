//! The columns of a batch of `requests` that tell of calls.

use arrow::array::{Array as _, BooleanArray, RecordBatch};

use super::asked;
use crate::columns::{Integers, Text};
use crate::grouping::Grain;
use crate::hashing::mixed_pair;
use crate::hosts::is_address;
use crate::party::PartyName;

/// Columns that every fold reads.
const COLUMNS: &[&str] = &[
    "time_unix_nano",
    "duration_nano",
    "is_timed",
    "observer",
    "layer",
    "counted",
    "access_log_type",
    "method",
    "authority",
    "path",
    "response_code",
    "grpc_status",
    "response_flags",
    "response_code_details",
    "outcome",
    "request_bytes",
    "response_bytes",
    "attempts",
    "source_workload",
    "source_service",
    "source_namespace",
    "source_version",
    "source_principal",
    "source_instance",
    "source_address",
    "destination_workload",
    "destination_service",
    "destination_namespace",
    "destination_version",
    "destination_instance",
    "destination_address",
    "downstream_remote_address",
    "downstream_direct_remote_address",
    "downstream_local_address",
    "upstream_local_address",
    "upstream_host",
    "upstream_cluster",
    "stream_id",
    "request_id",
    "proxy_id",
];

/// Columns that the fold reads where more is told apart, beside [`COLUMNS`].
const WHOLE_COLUMNS: &[&str] = &[
    "route",
    "response_flags_text",
    "source_cluster",
    "destination_cluster",
    "destination_principal",
    "tls_version",
];

/// The columns that a question with this grain reads.
pub fn columns(grain: Grain) -> Vec<&'static str> {
    let whole = if grain.tells_callers() { WHOLE_COLUMNS } else { &[] };
    let proxy = grain.tells_proxies().then_some("proxy_version");
    let mut columns: Vec<&'static str> = COLUMNS.iter().chain(whole).copied().chain(proxy).collect();
    for column in asked::columns(grain) {
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    columns
}

/// The columns of one end of the call.
pub struct End<'a> {
    pub(super) workload: Text<'a>,
    pub(super) service: Text<'a>,
    pub(super) namespace: Text<'a>,
    pub(super) version: Text<'a>,
    pub(super) instance: Text<'a>,
    pub(super) address: Text<'a>,
}

impl<'a> End<'a> {
    pub(super) fn of(batch: &'a RecordBatch, end: &str) -> Self {
        let text = |column: &str| Text::of(batch, &format!("{end}_{column}"));
        End {
            workload: text("workload"),
            service: text("service"),
            namespace: text("namespace"),
            version: text("version"),
            instance: text("instance"),
            address: text("address"),
        }
    }

    /// The party, unless the row knows only its address.
    pub(super) fn name(&self, row: usize) -> Option<PartyName<'a>> {
        let name = self.service.get(row).or_else(|| self.workload.get(row))?;
        (!is_address(name)).then(|| PartyName {
            name,
            namespace: self.namespace.get(row),
            workload: self.workload.get(row),
            version: self.version.get(row),
            ..PartyName::default()
        })
    }

    pub(super) fn code(&self, row: usize) -> u64 {
        let words = [&self.workload, &self.service, &self.namespace, &self.version, &self.address];
        words.iter().fold(0, |code, text| mixed_pair(code, text.code(row)))
    }
}

/// The columns of a batch.
pub struct Columns<'a> {
    pub(super) observer: Text<'a>,
    pub(super) layer: Text<'a>,
    pub(super) access_log_type: Text<'a>,
    pub(super) method: Text<'a>,
    pub(super) authority: Text<'a>,
    pub(super) path: Text<'a>,
    pub(super) outcome: Text<'a>,
    pub(super) time: Integers<'a>,
    pub(super) duration: Integers<'a>,
    is_timed: Option<&'a BooleanArray>,
    pub(super) response_code: Integers<'a>,
    pub(super) grpc_status: Integers<'a>,
    pub(super) flags: Integers<'a>,
    pub(super) details: Text<'a>,
    pub(super) bytes_in: Integers<'a>,
    pub(super) bytes_out: Integers<'a>,
    pub(super) attempts: Integers<'a>,
    pub(super) source: End<'a>,
    pub(super) destination: End<'a>,
    pub(super) principal: Text<'a>,
    pub(super) route: Text<'a>,
    pub(super) flags_text: Text<'a>,
    pub(super) source_cluster: Text<'a>,
    pub(super) destination_cluster: Text<'a>,
    pub(super) destination_principal: Text<'a>,
    pub(super) tls_version: Text<'a>,
    pub(super) downstream_remote: Text<'a>,
    pub(super) downstream_direct: Text<'a>,
    pub(super) downstream_local: Text<'a>,
    pub(super) upstream_local: Text<'a>,
    pub(super) upstream_host: Text<'a>,
    pub(super) upstream_cluster: Text<'a>,
    pub(super) stream_id: Text<'a>,
    pub(super) request_id: Text<'a>,
    pub(super) proxy_id: Text<'a>,
    proxy_version: Text<'a>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(batch: &'a RecordBatch) -> Self {
        let text = |name: &str| Text::of(batch, name);
        let integers = |name: &str| Integers::of(batch, name);
        Columns {
            observer: text("observer"),
            layer: text("layer"),
            access_log_type: text("access_log_type"),
            method: text("method"),
            authority: text("authority"),
            path: text("path"),
            outcome: text("outcome"),
            time: integers("time_unix_nano"),
            duration: integers("duration_nano"),
            is_timed: batch.column_by_name("is_timed").and_then(|column| column.as_any().downcast_ref()),
            response_code: integers("response_code"),
            grpc_status: integers("grpc_status"),
            flags: integers("response_flags"),
            details: text("response_code_details"),
            bytes_in: integers("request_bytes"),
            bytes_out: integers("response_bytes"),
            attempts: integers("attempts"),
            source: End::of(batch, "source"),
            destination: End::of(batch, "destination"),
            principal: text("source_principal"),
            route: text("route"),
            flags_text: text("response_flags_text"),
            source_cluster: text("source_cluster"),
            destination_cluster: text("destination_cluster"),
            destination_principal: text("destination_principal"),
            tls_version: text("tls_version"),
            downstream_remote: text("downstream_remote_address"),
            downstream_direct: text("downstream_direct_remote_address"),
            downstream_local: text("downstream_local_address"),
            upstream_local: text("upstream_local_address"),
            upstream_host: text("upstream_host"),
            upstream_cluster: text("upstream_cluster"),
            stream_id: text("stream_id"),
            request_id: text("request_id"),
            proxy_id: text("proxy_id"),
            proxy_version: text("proxy_version"),
        }
    }

    /// Whether the duration is one. Files of older versions lack the column, and then it is taken for one.
    pub(super) fn is_timed(&self, row: usize) -> bool {
        self.is_timed.is_none_or(|is_timed| is_timed.is_null(row) || is_timed.value(row))
    }

    /// Where the caller's end of the connection to this proxy is.
    pub(super) fn downstream(&self, row: usize) -> Option<&'a str> {
        self.downstream_direct.get(row).or_else(|| self.downstream_remote.get(row))
    }
    /// Whether the proxy answered by itself, without a try to reach the upstream: a redirect, a fixed answer.
    /// Source: Envoy, `stream_info.h`, response code details, of which `via_upstream` is the upstream's own answer.
    pub(super) fn is_own_answer(&self, row: usize) -> bool {
        let is_own = self.details.get(row).is_some_and(|details| details != "via_upstream");
        is_own && self.attempts.or_zero(row) == 0 && self.upstream_host.get(row).is_none()
    }

    /// Whether a proxy says by the row that a request goes on, which ends in a row of its own.
    pub(super) fn is_progress(&self, row: usize) -> bool {
        self.access_log_type.get(row) == Some("DownstreamPeriodic")
    }

    /// Whether a waypoint wrote the row: it stands before the callee. Sources: Istio's node ids,
    /// `<type>~<address>~<pod>.<namespace>~<domain>`, and the clusters of a waypoint, `inbound-vip|...`.
    pub(super) fn is_waypoint(&self, row: usize) -> bool {
        let begins = |text: &Text<'a>, with: &str| text.get(row).is_some_and(|text| text.starts_with(with));
        begins(&self.upstream_cluster, "inbound-vip|") || begins(&self.proxy_id, "waypoint~")
    }

    /// The release of the proxy that stands beside who received the call: a waypoint stands beside nobody.
    pub(super) fn own_proxy_version(&self, row: usize) -> Option<&'a str> {
        self.proxy_version.get(row).filter(|_| !self.is_waypoint(row))
    }

    /// The address of the proxy in its node id, if it has one.
    pub(super) fn proxy_address(&self, row: usize) -> Option<&'a str> {
        self.proxy_id.get(row)?.split('~').nth(1).filter(|address| is_address(address))
    }
}
