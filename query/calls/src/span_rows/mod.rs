//! Reads the columns of `spans` that tell of calls into records of fixed size.
//!
//! Names repeat in almost every row; what was made of the names of a row is looked up by the codes of its cells,
//! so that their text is read once a batch. A proxy's spans carry what matters in plain attributes under the
//! proxy's own names; those are read for proxies only, for looking a key up in a map is the slowest read there is.

mod role;
mod tags;

use arrow::array::RecordBatch;
use meshlake_schema::Outcome;

use self::role::{Said, role};
use self::tags::ProxyTags;
use super::cells::{Book, DetailId, Grain};
use super::columns::{Attributes, Integers, Links, Text, boolean, double};
use super::hashing::{NumberMap, mixed_pair};
use super::hosts::is_local;
use super::measure::{Protocol, milli, outcome_of};
use super::party::{Marks, PartyId, PartyName};
use super::peers::{Peer, PeerEvidence, Strength, peer};
use super::settled::detail::{Detail, Observer};
use super::spans::{Flags, Link, LinksAt, Role, Span};

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
    "http_response_status_code",
    "http_request_resend_count",
    "url_full",
    "server_address",
    "server_port",
    "network_peer_address",
    "network_peer_port",
    "peer_service",
    "rpc_system",
    "rpc_grpc_status_code",
    "db_system_name",
    "db_namespace",
    "messaging_system",
    "messaging_destination_name",
    "messaging_operation_type",
    "attributes",
];

/// Columns that the fold reads of all other spans: the same without the last, `attributes`.
pub const COLUMNS: &[&str] = PROXY_COLUMNS.split_at(PROXY_COLUMNS.len() - 1).0;

/// What a span without `service.name` is called. Source: OpenTelemetry resource semantic conventions.
pub const UNKNOWN_SERVICE: &str = "unknown_service";

/// The kind of a span that calls. Source: `opentelemetry/proto/trace/v1/trace.proto`.
const CLIENT: i64 = 3;

/// The columns of a batch, and what was made of their names so far.
pub struct SpanRows<'a> {
    columns: Columns<'a>,
    parties: NumberMap<u64, PartyId>,
    peers: NumberMap<u64, (PartyId, Flags)>,
    details: NumberMap<u64, DetailId>,
    said: NumberMap<u64, Said>,
}

struct Columns<'a> {
    time: Integers<'a>,
    duration: Integers<'a>,
    kind: Integers<'a>,
    trace_id: Text<'a>,
    span_id: Text<'a>,
    parent: Text<'a>,
    name: Text<'a>,
    outcome: Text<'a>,
    service: Text<'a>,
    namespace: Text<'a>,
    version: Text<'a>,
    instance: Text<'a>,
    method: Text<'a>,
    http_status: Integers<'a>,
    grpc_status: Integers<'a>,
    url: Text<'a>,
    server_address: Text<'a>,
    server_port: Integers<'a>,
    network_peer_address: Text<'a>,
    network_peer_port: Integers<'a>,
    peer_service: Text<'a>,
    rpc_system: Text<'a>,
    db_system: Text<'a>,
    db_namespace: Text<'a>,
    messaging_system: Text<'a>,
    messaging_destination: Text<'a>,
    messaging_operation: Text<'a>,
    resends: Integers<'a>,
    links: Links<'a>,
    attributes: Attributes<'a>,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Self {
        let text = |name: &str| Text::of(batch, name);
        let integers = |name: &str| Integers::of(batch, name);
        Columns {
            time: integers("time_unix_nano"),
            duration: integers("duration_nano"),
            kind: integers("kind"),
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
            http_status: integers("http_response_status_code"),
            grpc_status: integers("rpc_grpc_status_code"),
            url: text("url_full"),
            server_address: text("server_address"),
            server_port: integers("server_port"),
            network_peer_address: text("network_peer_address"),
            network_peer_port: integers("network_peer_port"),
            peer_service: text("peer_service"),
            rpc_system: text("rpc_system"),
            db_system: text("db_system_name"),
            db_namespace: text("db_namespace"),
            messaging_system: text("messaging_system"),
            messaging_destination: text("messaging_destination_name"),
            messaging_operation: text("messaging_operation_type"),
            resends: integers("http_request_resend_count"),
            links: Links::of(batch),
            attributes: Attributes::of(batch),
        }
    }
}

impl<'a> SpanRows<'a> {
    pub fn of(batch: &'a RecordBatch) -> Self {
        SpanRows {
            columns: Columns::of(batch),
            parties: NumberMap::default(),
            peers: NumberMap::default(),
            details: NumberMap::default(),
            said: NumberMap::default(),
        }
    }

    /// Reads every span of the batch, with its links where they may matter.
    pub fn read(mut self, batch: &RecordBatch, book: &mut Book, mut take: impl FnMut(Span, Vec<Link>)) {
        let (is_proxy, weight) = (boolean(batch, "is_proxy"), double(batch, "adjusted_count"));
        for row in 0..batch.num_rows() {
            let is_proxy = is_proxy(row).unwrap_or(false);
            let mut span = self.span(row, is_proxy, book);
            span.weight = milli(weight(row));
            let links = if matches!(span.role, Role::Consumed | Role::Produced) {
                self.columns.links.get(row).map(|(trace, span)| (hex128(trace), hex64(Some(span)))).collect()
            } else {
                Vec::new()
            };
            take(span, links);
        }
    }

    fn span(&mut self, row: usize, is_proxy: bool, book: &mut Book) -> Span {
        let tags = if is_proxy { ProxyTags::of(&self.columns.attributes, row) } else { ProxyTags::default() };
        let said = self.said(row);
        let kind = self.columns.kind.or_zero(row);
        let role = tags.role(role(kind, &said));
        let is_caller_named = role == Role::Received && self.columns.peer_service.code(row) != 0;
        let (peer, named) = match role {
            Role::Internal => (PartyId::NOBODY, Flags::NONE),
            Role::Received if !is_caller_named => (PartyId::NOBODY, Flags::NONE),
            _ => self.peer(row, role, &tags, book),
        };
        let columns = &self.columns;
        let outcome = outcome_of(columns.outcome.get(row));
        let (http, grpc) = (columns.http_status.get(row), columns.grpc_status.get(row));
        let cancelled = outcome == Outcome::Aborted
            || http == Some(499)
            || matches!(grpc, Some(1 | 4))
            || tags.is_cancelled;
        let is_stream = said.is_stream && self.protocol(row, &said) == Protocol::Grpc;
        let is_lasting = is_stream || http == Some(101) || columns.method.get(row) == Some("CONNECT");
        let failed = matches!(outcome, Outcome::Error | Outcome::Aborted)
            || matches!(http, Some(408 | 425 | 429))
            || grpc == Some(8);
        let flags = named
            .with_if(Flags::PROXY, is_proxy)
            .with_if(Flags::GATEWAY, tags.is_gateway)
            .with_if(Flags::CONNECTING, role == Role::Made && said.is_connecting)
            .with_if(Flags::CANCELLED, cancelled)
            .with_if(Flags::REFUSED, tags.is_refused && (role == Role::Made || tags.is_waypoint()))
            .with_if(Flags::LASTING, is_lasting)
            .with_if(Flags::POLLING, role == Role::Consumed && said.takes_in && kind == CLIENT)
            .with_if(Flags::FAILED, failed || cancelled)
            .with_if(Flags::RECEIVE, role == Role::Consumed && said.takes_in);
        let resends = columns.resends.get(row).filter(|_| role == Role::Made);
        Span {
            trace: columns.trace_id.get(row).map_or(0, hex128),
            id: hex64(columns.span_id.get(row)),
            parent: hex64(columns.parent.get(row)),
            start: columns.time.or_zero(row),
            duration: columns.duration.or_zero(row),
            weight: 0,
            party: self.party(row, &tags, is_proxy, book),
            peer,
            detail: self.detail(row, role, &tags, book),
            links: LinksAt::default(),
            role,
            protocol: self.protocol(row, &said),
            outcome,
            flags,
            resends: resends.map_or(0, |count| count.clamp(0, 255) as u8),
        }
    }

    /// What the span says of itself beside its kind, by the codes of its words.
    fn said(&mut self, row: usize) -> Said {
        let columns = &self.columns;
        let words = [
            &columns.name,
            &columns.method,
            &columns.rpc_system,
            &columns.db_system,
            &columns.messaging_system,
            &columns.messaging_destination,
            &columns.messaging_operation,
        ];
        let code = words.iter().fold(0, |code, text| mixed_pair(code, text.code(row)));
        *self.said.entry(code).or_insert_with(|| {
            let get = |text: &Text<'a>| text.get(row);
            Said::of(
                get(&columns.name).unwrap_or_default(),
                get(&columns.messaging_operation),
                get(&columns.messaging_system).or(get(&columns.messaging_destination)).is_some(),
                [&columns.method, &columns.rpc_system, &columns.db_system].iter().any(|t| get(t).is_some()),
            )
        })
    }

    fn party(&mut self, row: usize, tags: &ProxyTags<'_>, is_proxy: bool, book: &mut Book) -> PartyId {
        let columns = &self.columns;
        if is_proxy {
            let name = tags.party(columns.service.get(row), columns.namespace.get(row));
            let version = tags.version.or_else(|| columns.version.get(row));
            let name = PartyName { version: version.filter(|_| !tags.is_waypoint()), ..name };
            let gateway = if tags.is_gateway { Marks::GATEWAY } else { Marks::NONE };
            return book.intern(&name, gateway.with(Marks::OBSERVED));
        }
        let words = [&columns.service, &columns.namespace, &columns.version];
        let code = words.iter().fold(0, |code, text| mixed_pair(code, text.code(row)));
        *self.parties.entry(code).or_insert_with(|| {
            let name = PartyName {
                name: columns.service.get(row).unwrap_or(UNKNOWN_SERVICE),
                namespace: columns.namespace.get(row),
                version: columns.version.get(row),
                ..PartyName::default()
            };
            book.intern(&name, Marks::OBSERVED.with(Marks::APPLICATION))
        })
    }

    fn peer(&mut self, row: usize, role: Role, tags: &ProxyTags<'a>, book: &mut Book) -> (PartyId, Flags) {
        let columns = &self.columns;
        if role != Role::Received && (columns.url.code(row) != 0 || tags.upstream_cluster.is_some()) {
            // URLs are as many as requests: what was made of one is not asked for again.
            return intern_peer(&self.evidence(row, role, tags), book);
        }
        let words = [
            &columns.db_system,
            &columns.db_namespace,
            &columns.messaging_destination,
            &columns.peer_service,
            &columns.server_address,
            &columns.network_peer_address,
        ];
        let code = words.iter().fold(role as u64, |code, text| mixed_pair(code, text.code(row)));
        let ports = [&columns.server_port, &columns.network_peer_port];
        let code = ports.iter().fold(code, |code, port| mixed_pair(code, port.or_zero(row).cast_unsigned()));
        if let Some(known) = self.peers.get(&code) {
            return *known;
        }
        let peer = intern_peer(&self.evidence(row, role, tags), book);
        self.peers.insert(code, peer);
        peer
    }

    fn evidence(&self, row: usize, role: Role, tags: &ProxyTags<'a>) -> PeerEvidence<'a> {
        let columns = &self.columns;
        if role == Role::Received {
            // What else a received span has of addresses is its own, or a balancer's.
            return PeerEvidence { peer_service: columns.peer_service.get(row), ..PeerEvidence::default() };
        }
        let port = |port: &Integers<'_>| port.get(row).and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
        PeerEvidence {
            db_system: columns.db_system.get(row),
            db_namespace: columns.db_namespace.get(row),
            is_message: matches!(role, Role::Consumed | Role::Produced),
            messaging_destination: columns.messaging_destination.get(row),
            peer_service: columns.peer_service.get(row),
            url: columns.url.get(row),
            server_address: columns.server_address.get(row),
            server_port: port(&columns.server_port),
            network_peer_address: columns.network_peer_address.get(row),
            network_peer_port: port(&columns.network_peer_port),
            upstream_cluster: tags.upstream_cluster,
        }
    }

    fn detail(&mut self, row: usize, role: Role, tags: &ProxyTags<'a>, book: &mut Book) -> DetailId {
        let text = match book.grain {
            Grain::Node => return DetailId::NONE,
            Grain::Operation => &self.columns.name,
            Grain::Instance => &self.columns.instance,
            Grain::Whole => return self.whole_detail(row, role, tags, book),
        };
        if book.grain == Grain::Instance && text.code(row) == 0 {
            return book.detail(tags.instance.filter(|_| !tags.is_waypoint()));
        }
        let is_internal = role == Role::Internal;
        *self.details.entry(mixed_pair(text.code(row), u64::from(is_internal))).or_insert_with(|| {
            if is_internal { book.internal_detail(text.get(row)) } else { book.detail(text.get(row)) }
        })
    }

    /// All that the span tells of a call beside its ends.
    fn whole_detail(&self, row: usize, role: Role, tags: &ProxyTags<'_>, book: &mut Book) -> DetailId {
        let columns = &self.columns;
        let of_proxy = tags.instance.filter(|_| !tags.is_waypoint());
        let detail = Detail {
            observer: if role.is_received() { Observer::Server } else { Observer::Client },
            operation: columns.name.get(row),
            instance: columns.instance.get(row).or(of_proxy),
            response_code: columns.http_status.get(row),
            grpc_status: columns.grpc_status.get(row),
            ..Detail::default()
        };
        let mut text = String::new();
        detail.write(&mut text);
        if role == Role::Internal { book.internal_detail(Some(&text)) } else { book.detail(Some(&text)) }
    }

    fn protocol(&self, row: usize, said: &Said) -> Protocol {
        let columns = &self.columns;
        match (columns.db_system.code(row) != 0, said.is_messaging, columns.rpc_system.get(row)) {
            (true, ..) => Protocol::Database,
            (_, true, _) => Protocol::Messaging,
            (_, _, Some("grpc")) => Protocol::Grpc,
            _ if columns.method.code(row) != 0 => Protocol::Http,
            _ => Protocol::Unknown,
        }
    }
}

fn intern_peer(evidence: &PeerEvidence<'_>, book: &mut Book) -> (PartyId, Flags) {
    use super::party::Naming;
    let Some(Peer { naming, name, port, is_scoped, strength }) = peer(evidence) else {
        return (PartyId::NOBODY, Flags::NONE);
    };
    let marks = match naming {
        Naming::StoreHost | Naming::Store => Marks::DATABASE.with(Marks::OUTSIDE),
        Naming::Queue => Marks::MESSAGING.with(Marks::OUTSIDE),
        Naming::Host => Marks::OUTSIDE,
    };
    let name =
        PartyName { naming, name, port, is_scoped: is_scoped || is_local(name), ..PartyName::default() };
    (book.intern(&name, marks), Flags::NONE.with_if(Flags::NAMED, strength == Strength::Name))
}

/// A span id; 0 where there is none.
fn hex64(text: Option<&str>) -> u64 {
    text.and_then(|text| u64::from_str_radix(text, 16).ok()).unwrap_or(0)
}

fn hex128(text: &str) -> u128 {
    u128::from_str_radix(text, 16).unwrap_or(0)
}
