//! Reads the columns of `spans` that tell of calls.
//!
//! A proxy's spans carry what matters in plain attributes under the proxy's own names; those are read for
//! proxies only, for looking a key up in a map is the slowest read there is.

use arrow::array::RecordBatch;

use crate::cells::Book;
use crate::columns::{Attributes, FirstLinks, Integers, Text};
use crate::measure::Protocol;
use crate::party::{Marks, PartyId, PartyName};
use crate::peers::PeerEvidence;

/// Columns that the fold reads of proxies' spans.
pub const PROXY_COLUMNS: &[&str] = &[
    "time_unix_nano",
    "duration_nano",
    "trace_id",
    "span_id",
    "parent_span_id",
    "name",
    "kind",
    "is_proxy",
    "adjusted_count",
    "outcome",
    "links",
    "service_name",
    "service_namespace",
    "service_version",
    "service_instance_id",
    "http_request_method",
    "server_address",
    "network_peer_address",
    "peer_service",
    "rpc_system",
    "db_system_name",
    "db_namespace",
    "messaging_system",
    "messaging_destination_name",
    "attributes",
];

/// Columns that the fold reads of all other spans: the same without the last, `attributes`.
pub const COLUMNS: &[&str] = PROXY_COLUMNS.split_at(PROXY_COLUMNS.len() - 1).0;

/// What a span without `service.name`, or with an empty one, is called. Source: OpenTelemetry resource semantic conventions.
pub const UNKNOWN_SERVICE: &str = "unknown_service";

/// OTLP's SpanKind, as far as pairing tells kinds apart: unspecified is internal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

impl SpanKind {
    pub(super) fn of(number: i64) -> SpanKind {
        match number {
            2 => SpanKind::Server,
            3 => SpanKind::Client,
            4 => SpanKind::Producer,
            5 => SpanKind::Consumer,
            _ => SpanKind::Internal,
        }
    }

    /// The span stands for a call that was received.
    pub fn is_received(self) -> bool {
        matches!(self, SpanKind::Server | SpanKind::Consumer)
    }

    /// The span stands for a call that was made.
    pub fn is_made(self) -> bool {
        matches!(self, SpanKind::Client | SpanKind::Producer)
    }
}

/// The columns of a batch.
pub(super) struct SpanColumns<'a> {
    pub(super) time: Integers<'a>,
    pub(super) duration: Integers<'a>,
    pub(super) kind: Integers<'a>,
    pub(super) trace_id: Text<'a>,
    pub(super) span_id: Text<'a>,
    pub(super) parent: Text<'a>,
    pub(super) name: Text<'a>,
    pub(super) outcome: Text<'a>,
    pub(super) service: Text<'a>,
    pub(super) namespace: Text<'a>,
    pub(super) version: Text<'a>,
    pub(super) instance: Text<'a>,
    pub(super) method: Text<'a>,
    pub(super) server_address: Text<'a>,
    pub(super) network_peer_address: Text<'a>,
    pub(super) peer_service: Text<'a>,
    pub(super) rpc_system: Text<'a>,
    pub(super) db_system: Text<'a>,
    pub(super) db_namespace: Text<'a>,
    pub(super) messaging_system: Text<'a>,
    pub(super) messaging_destination: Text<'a>,
    pub(super) links: FirstLinks<'a>,
    pub(super) attributes: Attributes<'a>,
}

/// What only a proxy's span says, all of it in plain attributes.
#[derive(Default)]
pub(super) struct ProxyTags<'a> {
    pub(super) upstream_cluster: Option<&'a str>,
    service: Option<&'a str>,
    namespace: Option<&'a str>,
    version: Option<&'a str>,
    pub(super) is_gateway: bool,
}

impl ProxyTags<'_> {
    /// With `spawn_upstream_span`, Envoy calls the outer span of an outbound listener SERVER though it
    /// stands for a call that was made, and the inner one of an inbound listener CLIENT though it only
    /// hands the call to its own application.
    pub(super) fn kind(&self, kind: SpanKind) -> SpanKind {
        let cluster = self.upstream_cluster.unwrap_or_default();
        match kind {
            SpanKind::Server if cluster.starts_with("outbound|") => SpanKind::Client,
            SpanKind::Client if cluster.starts_with("inbound|") => SpanKind::Internal,
            kind => kind,
        }
    }
}

impl<'a> SpanColumns<'a> {
    pub(super) fn of(batch: &'a RecordBatch) -> Self {
        let text = |name: &str| Text::of(batch, name);
        SpanColumns {
            time: Integers::of(batch, "time_unix_nano"),
            duration: Integers::of(batch, "duration_nano"),
            kind: Integers::of(batch, "kind"),
            trace_id: text("trace_id"),
            span_id: text("span_id"),
            parent: text("parent_span_id"),
            name: text("name"),
            outcome: text("outcome"),
            service: text("service_name"),
            namespace: text("service_namespace"),
            version: text("service_version"),
            instance: text("service_instance_id"),
            method: text("http_request_method"),
            server_address: text("server_address"),
            network_peer_address: text("network_peer_address"),
            peer_service: text("peer_service"),
            rpc_system: text("rpc_system"),
            db_system: text("db_system_name"),
            db_namespace: text("db_namespace"),
            messaging_system: text("messaging_system"),
            messaging_destination: text("messaging_destination_name"),
            links: FirstLinks::of(batch),
            attributes: Attributes::of(batch),
        }
    }

    /// Source: istio pilot/pkg/networking/core/tracing.go for the tags, Envoy's tracing docs for node_id.
    pub(super) fn proxy(&self, row: usize) -> ProxyTags<'a> {
        let tag = |key: &str| self.attributes.get(row, key).filter(|value| *value != "unknown");
        ProxyTags {
            upstream_cluster: tag("upstream_cluster"),
            service: tag("istio.canonical_service"),
            namespace: tag("istio.namespace"),
            version: tag("istio.canonical_revision"),
            is_gateway: tag("node_id").is_some_and(|id| id.starts_with("router~")),
        }
    }

    pub(super) fn party(&self, row: usize, proxy: &ProxyTags<'a>, book: &mut Book) -> PartyId {
        let name = PartyName {
            name: proxy.service.or_else(|| self.service.get(row)).unwrap_or(UNKNOWN_SERVICE),
            namespace: proxy.namespace.or_else(|| self.namespace.get(row)),
            workload: None,
            version: proxy.version.or_else(|| self.version.get(row)),
            scope: None,
        };
        let gateway = if proxy.is_gateway { Marks::GATEWAY } else { Marks::NONE };
        book.parties.intern(&name, gateway.with(Marks::OBSERVED))
    }

    pub(super) fn peer_evidence(&self, row: usize, upstream_cluster: Option<&'a str>) -> PeerEvidence<'a> {
        PeerEvidence {
            db_system: self.db_system.get(row),
            db_namespace: self.db_namespace.get(row),
            messaging_system: self.messaging_system.get(row),
            messaging_destination: self.messaging_destination.get(row),
            peer_service: self.peer_service.get(row),
            server_address: self.server_address.get(row),
            network_peer_address: self.network_peer_address.get(row),
            upstream_cluster,
        }
    }

    pub(super) fn protocol(&self, row: usize, evidence: &PeerEvidence<'_>) -> Protocol {
        let messaging = evidence.messaging_system.or(evidence.messaging_destination);
        match (evidence.db_system, messaging, self.rpc_system.get(row), self.method.get(row)) {
            (Some(_), ..) => Protocol::Database,
            (_, Some(_), ..) => Protocol::Messaging,
            (_, _, Some("grpc"), _) => Protocol::Grpc,
            (_, _, _, Some(_)) => Protocol::Http,
            _ => Protocol::Unknown,
        }
    }
}

pub(super) fn hex64(text: Option<&str>) -> u64 {
    text.and_then(|text| u64::from_str_radix(text, 16).ok()).unwrap_or(0)
}

pub(super) fn hex128(text: Option<&str>) -> u128 {
    text.and_then(|text| u128::from_str_radix(text, 16).ok()).unwrap_or(0)
}
