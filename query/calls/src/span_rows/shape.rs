//! What a span stands for by what it says, found out once for all spans of a batch that say the same.

use std::borrow::Cow;

use meshlake_schema::Outcome;
use meshlake_schema::rows::{Integers, Text};

use super::asked::Asked;
use super::columns::Columns;
use super::proxy_version::proxy_version;
use super::role::{CLIENT, Said, Speaks, role};
use super::tags::ProxyTags;
use crate::cell_key::DetailId;
use crate::cells::Book;
use crate::detail::{Detail, Observer};
use crate::grouping::Grain;
use crate::hosts::is_local;
use crate::measure::{Protocol, milli, outcome_of};
use crate::party::{Marks, Naming, PartyId, PartyName};
use crate::peers::{Peer, PeerEvidence, Strength, peer};
use crate::refusal;
use crate::spans::{Flags, Role, Shape};

/// The shape of a row. `asked` is what the question groups by, where that is no column of every question.
pub fn shape(row: usize, columns: &Columns<'_>, asked: Option<&Asked<'_>>, book: &mut Book) -> Shape {
    let is_proxy = columns.is_proxy.get(row) == Some(true);
    let tags = if is_proxy { ProxyTags::of(&columns.attributes, row) } else { ProxyTags::default() };
    let said = said(row, columns);
    let role = tags.role(role(columns.kind.or_zero(row), &said));
    let (peer, named) = match role {
        Role::Internal => (PartyId::NOBODY, Flags::NONE),
        _ => intern_peer(&evidence(row, role, &tags, columns), book),
    };
    let outcome = outcome_of(columns.outcome.named(row));
    let protocol = protocol(row, &said, columns);
    let flags = flags(row, role, &tags, &said, columns)
        .with_if(Flags::LASTING, is_lasting(row, &said, protocol, columns))
        .with_if(Flags::PROXY, is_proxy)
        .with_if(Flags::NAMED, named.has(Flags::NAMED));
    let resends = columns.http_request_resend_count.get(row).filter(|_| role == Role::Made);
    Shape {
        weight: milli(columns.adjusted_count.get(row)),
        party: party(row, is_proxy, &tags, columns, book),
        peer,
        detail: detail(row, role, &Told { tags: &tags, columns, asked }, book),
        role,
        protocol,
        outcome,
        flags,
        resends: resends.map_or(0, |count| count.clamp(0, 255) as u8),
    }
}

fn flags(row: usize, role: Role, tags: &ProxyTags<'_>, said: &Said, columns: &Columns<'_>) -> Flags {
    let outcome = outcome_of(columns.outcome.named(row));
    let (http, grpc) = (columns.http_response_status_code.get(row), columns.rpc_grpc_status_code.get(row));
    let cancelled =
        outcome == Outcome::Aborted || http == Some(499) || matches!(grpc, Some(1 | 4)) || tags.is_cancelled;
    let failed = matches!(outcome, Outcome::Error | Outcome::Aborted)
        || matches!(http, Some(408 | 425 | 429))
        || grpc == Some(8);
    let kind = columns.kind.or_zero(row);
    let takes_in = role == Role::Consumed && said.takes_in(kind);
    Flags::NONE
        .with_if(Flags::GATEWAY, tags.is_gateway)
        .with_if(Flags::CONNECTING, role == Role::Made && said.is_connecting)
        .with_if(Flags::LOOKING_UP, role == Role::Made && said.is_looking_up)
        .with_if(Flags::CANCELLED, cancelled)
        .with_if(Flags::REFUSED, tags.is_refused && (role == Role::Made || tags.is_waypoint()))
        .with_if(Flags::POLLING, takes_in && kind == CLIENT)
        .with_if(Flags::FAILED, failed || cancelled)
        .with_if(Flags::RECEIVE, takes_in)
}

/// Whether the span lasted as long as a connection.
fn is_lasting(row: usize, said: &Said, protocol: Protocol, columns: &Columns<'_>) -> bool {
    let is_stream = said.is_stream && protocol == Protocol::Grpc;
    let is_upgrade = columns.http_response_status_code.get(row) == Some(101);
    is_stream || is_upgrade || columns.http_request_method.named(row) == Some("CONNECT")
}

/// What the span says of itself beside its kind.
fn said(row: usize, columns: &Columns<'_>) -> Said {
    let is_told = |column: &Text<'_>| column.named(row).is_some();
    let speaks = if is_told(&columns.http_request_method) || is_told(&columns.rpc_system) {
        Speaks::Requests
    } else if is_told(&columns.db_system_name) {
        Speaks::Store
    } else {
        Speaks::Unknown
    };
    Said::of(
        columns.name.named(row).unwrap_or_default(),
        columns.messaging_operation_type.named(row),
        is_told(&columns.messaging_system) || is_told(&columns.messaging_destination_name),
        speaks,
    )
}

fn party(
    row: usize,
    is_proxy: bool,
    tags: &ProxyTags<'_>,
    columns: &Columns<'_>,
    book: &mut Book,
) -> PartyId {
    let (service, namespace) = (columns.service_name.named(row), columns.service_namespace.named(row));
    let version = columns.service_version.named(row);
    if is_proxy {
        let name = tags.party(service, namespace);
        let version = tags.version.or(version).filter(|_| !tags.is_waypoint());
        let marks = match (tags.is_gateway, tags.is_waypoint() && name.namespace.is_none()) {
            (true, _) => Marks::GATEWAY.with(Marks::OBSERVED),
            // A waypoint before somebody outside of the mesh.
            (false, true) => Marks::OUTSIDE,
            (false, false) => Marks::OBSERVED,
        };
        return book.intern(&PartyName { version, ..name }, marks);
    }
    let name = service.unwrap_or(super::UNKNOWN_SERVICE);
    let name = PartyName { name, namespace, version, ..PartyName::default() };
    book.intern(&name, Marks::OBSERVED.with(Marks::APPLICATION))
}

fn evidence<'a>(row: usize, role: Role, tags: &ProxyTags<'a>, columns: &Columns<'a>) -> PeerEvidence<'a> {
    let peer_service = columns.peer_service.named(row);
    if role == Role::Received {
        // What else a received span has of addresses is its own, or a balancer's.
        return PeerEvidence { peer_service, ..PeerEvidence::default() };
    }
    let port = |port: &Integers<'_>| port.get(row).and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
    PeerEvidence {
        db_system: columns.db_system_name.named(row),
        db_namespace: columns.db_namespace.named(row),
        is_message: matches!(role, Role::Consumed | Role::Produced),
        messaging_destination: columns.messaging_destination_name.named(row),
        peer_service,
        url: columns.url_full.named(row),
        server_address: columns.server_address.named(row),
        server_port: port(&columns.server_port),
        network_peer_address: columns.network_peer_address.named(row),
        network_peer_port: port(&columns.network_peer_port),
        upstream_cluster: tags.upstream_cluster,
    }
}

fn intern_peer(evidence: &PeerEvidence<'_>, book: &mut Book) -> (PartyId, Flags) {
    let Some(Peer { naming, name, port, is_scoped, strength }) = peer(evidence) else {
        return (PartyId::NOBODY, Flags::NONE);
    };
    let marks = match naming {
        Naming::StoreHost | Naming::Store => Marks::DATABASE.with(Marks::OUTSIDE),
        Naming::Queue => Marks::MESSAGING.with(Marks::OUTSIDE),
        Naming::Host => Marks::OUTSIDE,
    };
    let name = &*spelt(name, naming);
    let name =
        PartyName { naming, name, port, is_scoped: is_scoped || is_local(name), ..PartyName::default() };
    (book.intern(&name, marks), Flags::NONE.with_if(Flags::NAMED, strength == Strength::Name))
}

/// The name as all spell it: domain names in lower case, for they mean the same in any. Source: RFC 4343.
fn spelt(name: &str, naming: Naming) -> Cow<'_, str> {
    let is_domain = matches!(naming, Naming::Host | Naming::StoreHost) && name.contains('.');
    if is_domain && name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Owned(name.to_ascii_lowercase());
    }
    Cow::Borrowed(name)
}

/// Where a span's details are read.
struct Told<'a> {
    tags: &'a ProxyTags<'a>,
    columns: &'a Columns<'a>,
    asked: Option<&'a Asked<'a>>,
}

impl<'a> Told<'a> {
    fn instance(&self, row: usize) -> Option<&'a str> {
        let of_proxy = || self.tags.instance.filter(|_| !self.tags.is_waypoint());
        self.columns.service_instance_id.named(row).or_else(of_proxy)
    }

    /// The release of the proxy beside the instance, if a proxy made the span.
    fn proxy_version(&self, row: usize) -> Option<String> {
        let is_own = self.columns.is_proxy.get(row) == Some(true) && !self.tags.is_waypoint();
        self.columns.resource.named(row).filter(|_| is_own).and_then(proxy_version)
    }

    fn of_callee(&self, row: usize, role: Role) -> Option<Cow<'a, str>> {
        self.asked.and_then(|asked| asked.of_callee(row, role.is_received()))
    }
}

fn detail(row: usize, role: Role, told: &Told<'_>, book: &mut Book) -> DetailId {
    let text = match book.grain {
        Grain::Node => return DetailId::NONE,
        Grain::Operation => told.columns.name.named(row).map(Cow::Borrowed),
        Grain::Instance => told.instance(row).map(Cow::Borrowed),
        Grain::Cluster | Grain::Attribute(_) => told.of_callee(row, role),
        Grain::Whole | Grain::Labels { .. } | Grain::Told(_) | Grain::InstanceAndProxy => {
            Some(Cow::Owned(whole_detail(row, role, book.grain, told)))
        }
    };
    let text = text.as_deref();
    if role == Role::Internal { book.internal_detail(text) } else { book.detail(text) }
}

/// All that the span tells of a call beside its ends.
fn whole_detail(row: usize, role: Role, grain: Grain, told: &Told<'_>) -> String {
    let columns = told.columns;
    let own_cluster = told.asked.and_then(|asked| asked.own(row));
    let (source_cluster, destination_cluster) =
        if role.is_received() { (None, own_cluster) } else { (own_cluster, None) };
    let instance = told.instance(row);
    let proxy_version = instance.filter(|_| grain.tells_proxies()).and_then(|_| told.proxy_version(row));
    let detail = Detail {
        observer: match role.is_received() {
            false => Observer::Client,
            true if told.tags.is_waypoint() => Observer::Waypoint,
            true => Observer::Server,
        },
        operation: columns.name.named(row),
        instance,
        proxy_version: proxy_version.as_deref(),
        source_cluster: source_cluster.as_deref(),
        destination_cluster: destination_cluster.as_deref(),
        response_code: columns.http_response_status_code.get(row),
        grpc_status: columns.rpc_grpc_status_code.get(row),
        refusal: refusal(row, columns),
        ..Detail::default()
    };
    let mut text = String::new();
    detail.of_grain(grain).write(&mut text);
    text
}

/// What instrumentation of HTTP calls an error is its status code, and the exception is told by an event; applications wrap
/// what a library throws.
fn refusal(row: usize, columns: &Columns<'_>) -> Option<&'static str> {
    let types = [columns.error_type, columns.exception_type, columns.exception_cause];
    types.into_iter().filter_map(|types| types.named(row)).find_map(refusal::of_application)
}

fn protocol(row: usize, said: &Said, columns: &Columns<'_>) -> Protocol {
    let is_database = columns.db_system_name.named(row).is_some();
    match (is_database, said.is_messaging, columns.rpc_system.named(row)) {
        (true, ..) => Protocol::Database,
        (_, true, _) => Protocol::Messaging,
        (_, _, Some("grpc")) => Protocol::Grpc,
        _ if columns.http_request_method.named(row).is_some() => Protocol::Http,
        _ => Protocol::Unknown,
    }
}
