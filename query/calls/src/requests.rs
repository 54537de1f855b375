//! Sums rows of `requests`: what proxies saw of calls, each observer apart.
//!
//! A client's row is the edge source -> destination, seen from the caller's side; a server's row the same
//! edge seen from the other. A gateway's row is both: the call it made (source = gateway) and the call it
//! received, whose caller is not in the row. Where a row does not know its other end (no mTLS, a gateway, a
//! passed-through address), the other observer's row may; see `joins.rs`.

use arrow::array::RecordBatch;
use meshlake_schema::{Outcome, ResponseFlags};

use crate::cells::{Book, CellKey, DetailId, Evidence, Grain, Side};
use crate::columns::{Integers, Text, boolean};
use crate::joins::{Joins, Pending};
use crate::measure::{Observation, Protocol};
use crate::operation::write_operation;
use crate::party::{Marks, PartyId, PartyName};
use crate::peers::{is_address, without_port};

/// Flags of calls that the caller's own proxy refused, so that they never reached the upstream.
/// Sources: Envoy's access log documentation, `%RESPONSE_FLAGS%`: no healthy host, connection failed,
/// circuit open, no route or cluster, rate limited, denied, overloaded, injected, malformed.
const REFUSED: &str = "UH,UF,UO,NR,NC,NFCF,DF,RL,RLSE,UAEX,OM,DO,UDO,FI,IH,DPE";

/// Columns that the fold reads.
pub const COLUMNS: &[&str] = &[
    "time_unix_nano",
    "duration_nano",
    "observer",
    "layer",
    "counted",
    "method",
    "path",
    "grpc_status",
    "response_flags",
    "outcome",
    "request_bytes",
    "response_bytes",
    "attempts",
    "source_workload",
    "source_service",
    "source_namespace",
    "source_version",
    "source_instance",
    "destination_workload",
    "destination_service",
    "destination_namespace",
    "destination_version",
    "destination_instance",
    "destination_address",
    "downstream_remote_address",
    "upstream_local_address",
    "request_id",
];

/// The columns of one end of the call.
struct End<'a> {
    workload: Text<'a>,
    service: Text<'a>,
    namespace: Text<'a>,
    version: Text<'a>,
    instance: Text<'a>,
}

impl<'a> End<'a> {
    fn of(batch: &'a RecordBatch, end: &str) -> Self {
        let text = |column: &str| Text::of(batch, &format!("{end}_{column}"));
        End {
            workload: text("workload"),
            service: text("service"),
            namespace: text("namespace"),
            version: text("version"),
            instance: text("instance"),
        }
    }

    /// The party, unless the row knows only its address.
    fn name(&self, row: usize) -> Option<PartyName<'a>> {
        let name = self.service.get(row).or_else(|| self.workload.get(row))?;
        (!is_address(name)).then(|| PartyName {
            name,
            namespace: self.namespace.get(row),
            workload: self.workload.get(row),
            version: self.version.get(row),
            scope: None,
        })
    }
}

/// The columns of a batch.
struct Columns<'a> {
    observer: Text<'a>,
    layer: Text<'a>,
    method: Text<'a>,
    path: Text<'a>,
    outcome: Text<'a>,
    time: Integers<'a>,
    duration: Integers<'a>,
    grpc_status: Integers<'a>,
    flags: Integers<'a>,
    bytes_in: Integers<'a>,
    bytes_out: Integers<'a>,
    attempts: Integers<'a>,
    source: End<'a>,
    destination: End<'a>,
    destination_address: Text<'a>,
    downstream_remote: Text<'a>,
    upstream_local: Text<'a>,
    request_id: Text<'a>,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Self {
        Columns {
            observer: Text::of(batch, "observer"),
            layer: Text::of(batch, "layer"),
            method: Text::of(batch, "method"),
            path: Text::of(batch, "path"),
            outcome: Text::of(batch, "outcome"),
            time: Integers::of(batch, "time_unix_nano"),
            duration: Integers::of(batch, "duration_nano"),
            grpc_status: Integers::of(batch, "grpc_status"),
            flags: Integers::of(batch, "response_flags"),
            bytes_in: Integers::of(batch, "request_bytes"),
            bytes_out: Integers::of(batch, "response_bytes"),
            attempts: Integers::of(batch, "attempts"),
            source: End::of(batch, "source"),
            destination: End::of(batch, "destination"),
            destination_address: Text::of(batch, "destination_address"),
            downstream_remote: Text::of(batch, "downstream_remote_address"),
            upstream_local: Text::of(batch, "upstream_local_address"),
            request_id: Text::of(batch, "request_id"),
        }
    }

    /// The call without what depends on the side: retries and tries sent are those of a server's row.
    fn call(&self, row: usize) -> Observation {
        let connection = self.layer.get(row) == Some("l4");
        Observation {
            weight: 1.0,
            outcome: outcome_of(self.outcome.get(row)),
            duration_nano: self.duration.or_zero(row),
            timed: !connection,
            bytes_in: self.bytes_in.or_zero(row),
            bytes_out: self.bytes_out.or_zero(row),
            retries: 0,
            sent: 1,
            protocol: match (connection, self.grpc_status.get(row)) {
                (true, _) => Protocol::Tcp,
                (false, Some(_)) => Protocol::Grpc,
                (false, None) => Protocol::Http,
            },
        }
    }

    /// The callee when no service is named. The host asked for is not a name here: where it can be trusted
    /// the collector has made it one, and what a scanner sends to a gateway must not become a node.
    fn address(&self, row: usize) -> Option<PartyName<'a>> {
        let address = self.destination.service.get(row).or_else(|| self.destination_address.get(row))?;
        Some(PartyName { name: without_port(address), ..PartyName::default() })
    }
}

/// The outcome that the text in the `outcome` column stands for.
pub fn outcome_of(text: Option<&str>) -> Outcome {
    let all = [Outcome::Ok, Outcome::ClientError, Outcome::Error, Outcome::Aborted];
    all.into_iter().find(|outcome| Some(outcome.name()) == text).unwrap_or(Outcome::Ok)
}

/// The rows seen so far, as far as they must be remembered.
pub struct RequestRows {
    refused: u64,
    joins: Joins,
    operation: String,
}

impl Default for RequestRows {
    fn default() -> Self {
        let refused = ResponseFlags::from_short_names(REFUSED).0;
        RequestRows { refused, joins: Joins::default(), operation: String::new() }
    }
}

/// What all observations of one row share.
struct Row<'a, 'b> {
    columns: &'b Columns<'a>,
    row: usize,
    bucket: u16,
    detail: DetailId,
}

impl RequestRows {
    /// Sums the counted rows of a batch that start inside the range.
    pub fn add(&mut self, batch: &RecordBatch, book: &mut Book) {
        let columns = Columns::of(batch);
        let counted = boolean(batch, "counted");
        for row in 0..batch.num_rows() {
            let Some(bucket) = book.range.bucket_of(columns.time.or_zero(row)) else { continue };
            if counted(row) != Some(true) {
                continue;
            }
            let detail = self.operation(&columns, row, book);
            let row = Row { columns: &columns, row, bucket, detail };
            match columns.observer.get(row.row) {
                Some("server") => self.server(&row, book),
                Some("gateway") => {
                    self.received_by_gateway(&row, book);
                    self.client(&row, Marks::GATEWAY, book);
                }
                _ => self.client(&row, Marks::NONE, book),
            }
        }
    }

    fn operation(&mut self, columns: &Columns<'_>, row: usize, book: &mut Book) -> DetailId {
        if book.grain != Grain::Operation {
            return DetailId::NONE;
        }
        let is_grpc = columns.grpc_status.get(row).is_some();
        write_operation(&mut self.operation, columns.method.get(row), columns.path.get(row), is_grpc);
        book.detail(Some(&self.operation))
    }

    fn client(&mut self, row: &Row<'_, '_>, marks: Marks, book: &mut Book) {
        let (columns, at) = (row.columns, row.row);
        let source = match columns.source.name(at) {
            Some(name) => book.parties.intern(&name, marks.with(Marks::OBSERVED)),
            None => PartyId::CALLERS,
        };
        let flags = columns.flags.or_zero(at).cast_unsigned();
        let refused = flags & self.refused != 0;
        let attempts = columns.attempts.or_zero(at).max(0).cast_unsigned();
        let sent = if refused { 0 } else { attempts.max(1) };
        let call = Observation { retries: attempts.saturating_sub(1), sent, ..columns.call(at) };
        let named = columns.destination.name(at);
        if named.is_none() && marks == Marks::GATEWAY && (refused || attempts == 0) {
            // The gateway called nobody: what it received is all there was.
            return;
        }
        let detail = row.instance(&columns.destination, book);
        let destination = match (&named, columns.address(at)) {
            (Some(name), _) => book.parties.intern(name, outside_marks(name)),
            (None, Some(address)) => book.parties.intern(&address, Marks::OUTSIDE),
            (None, None) => PartyId::UNKNOWN,
        };
        let pair = self.joins.pair(columns.upstream_local.get(at), columns.request_id.get(at));
        if source != PartyId::CALLERS {
            let service = named.as_ref().map(|name| name.name);
            let request = self.joins.request(columns.request_id.get(at), service);
            self.joins.remember_caller(pair, request, source);
        }
        let key = CellKey { detail, refused, ..row.key(source, destination, Side::Client) };
        match (named, pair) {
            (None, Some(_)) => self.joins.wait(Pending { key, call, pair, request: None }, book),
            _ => book.add(key, &call),
        }
    }

    fn server(&mut self, row: &Row<'_, '_>, book: &mut Book) {
        let (columns, at) = (row.columns, row.row);
        let named = columns.destination.name(at).or_else(|| columns.address(at));
        let destination = match &named {
            Some(name) => book.parties.intern(name, Marks::OBSERVED),
            None => PartyId::UNKNOWN,
        };
        let detail = row.instance(&columns.destination, book);
        let pair = self.joins.pair(columns.downstream_remote.get(at), columns.request_id.get(at));
        self.joins.remember_callee(pair, destination);
        match columns.source.name(at) {
            Some(name) => {
                let source = book.parties.intern(&name, Marks::NONE);
                book.add(CellKey { detail, ..row.key(source, destination, Side::Server) }, &columns.call(at));
            }
            None => {
                let request = self.joins.request(columns.request_id.get(at), named.map(|name| name.name));
                let key = CellKey { detail, ..row.key(PartyId::CALLERS, destination, Side::Server) };
                self.joins.wait(Pending { key, call: columns.call(at), pair, request }, book);
            }
        }
    }

    /// The call that a gateway received, which its row tells of as well as of the one it made.
    fn received_by_gateway(&mut self, row: &Row<'_, '_>, book: &mut Book) {
        let (columns, at) = (row.columns, row.row);
        let Some(name) = columns.source.name(at) else { return };
        let gateway = book.parties.intern(&name, Marks::GATEWAY.with(Marks::OBSERVED));
        let detail = row.instance(&columns.source, book);
        let pair = self.joins.pair(columns.downstream_remote.get(at), columns.request_id.get(at));
        self.joins.remember_callee(pair, gateway);
        let request = self.joins.request(columns.request_id.get(at), Some(name.name));
        let key = CellKey { detail, ..row.key(PartyId::CALLERS, gateway, Side::Server) };
        self.joins.wait(Pending { key, call: columns.call(at), pair, request }, book);
    }

    /// Joins the rows that waited. Returns how many were not tried because a bound was reached.
    pub fn finish(self, book: &mut Book) -> u64 {
        self.joins.finish(book)
    }
}

impl Row<'_, '_> {
    fn key(&self, source: PartyId, destination: PartyId, side: Side) -> CellKey {
        CellKey {
            source,
            destination,
            detail: self.detail,
            bucket: self.bucket,
            side,
            evidence: Evidence::Requests,
            refused: false,
        }
    }

    /// The operation, or the instance at `end`, as the grain asks.
    fn instance(&self, end: &End<'_>, book: &mut Book) -> DetailId {
        match book.grain {
            Grain::Instance => book.detail(end.instance.get(self.row)),
            _ => self.detail,
        }
    }
}

/// A callee without a namespace whose name is a host is outside of the mesh, unless it reports itself.
fn outside_marks(name: &PartyName<'_>) -> Marks {
    let is_host = name.namespace.is_none() && name.name.contains(['.', ':']);
    if is_host { Marks::OUTSIDE } else { Marks::NONE }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Source;
    use crate::fixture::{CALL, Request, SERVED, edges, kind, nodes, picture, picture_of};
    use crate::picture::By;

    const GATEWAY: Request = Request {
        observer: "gateway",
        source: ("istio-system", "ingress"),
        destination: ("default", "b"),
        downstream: "192.0.2.7:5000",
        ..CALL
    };

    #[test]
    fn two_observations_of_one_call_are_one_call() {
        let picture = picture(&[CALL, SERVED], &[]);
        assert_eq!(edges(&picture), ["default/a -> default/b 1/0"]);
        assert_eq!(nodes(&picture), ["default/b 1/0"]);
    }

    /// One call, three tries: the caller's proxy logs one row, the callee's three, two of them cut off.
    #[test]
    fn a_retried_call_is_one_on_the_edge_and_three_at_the_node() {
        let cut = Request { outcome: "aborted", flags: "DC", ..SERVED };
        let picture = picture(&[Request { attempts: 3, ..CALL }, cut, cut, SERVED], &[]);
        let edge = &picture.edge_cells[0];
        assert_eq!((edge.measure.requests, edge.measure.retries), (1.0, 2.0));
        assert_eq!((edge.client, edge.sent, edge.server), (1.0, 3.0, 3.0));
        let node = &picture.node_cells[0].measure;
        assert_eq!((node.requests, node.errors, node.aborted), (3.0, 0.0, 2.0));
    }

    #[test]
    fn observers_that_disagree_are_told_apart() {
        // The caller gave up on 2 of 3 calls; the callee answered all of them.
        let gave_up = Request { outcome: "error", flags: "UT", ..CALL };
        let picture = picture(&[CALL, gave_up, gave_up, SERVED, SERVED, SERVED], &[]);
        assert_eq!(edges(&picture), ["default/a -> default/b 3/2"]);
        assert_eq!(nodes(&picture), ["default/b 3/0"]);
    }

    #[test]
    fn rows_that_are_no_call_do_not_count() {
        assert!(picture(&[Request { counted: false, ..CALL }], &[]).edge_cells.is_empty());
        let outside = [Request { second: 999, ..CALL }, Request { second: 1_060, ..CALL }];
        assert!(picture(&outside, &[]).edge_cells.is_empty());
    }

    #[test]
    fn a_gateway_receives_what_it_passes_on() {
        let picture =
            picture(&[GATEWAY, GATEWAY, Request { source: ("istio-system", "ingress"), ..SERVED }], &[]);
        assert_eq!(
            edges(&picture),
            [
                "client@istio-system/ingress -> istio-system/ingress 2/0",
                "istio-system/ingress -> default/b 2/0"
            ]
        );
        assert_eq!(nodes(&picture), ["default/b 1/0", "istio-system/ingress 2/0"]);
        assert_eq!(kind(&picture, "istio-system/ingress"), Some("gateway"));
        assert_eq!(kind(&picture, "client@istio-system/ingress"), Some("client"));
    }

    #[test]
    fn a_gateway_that_answers_itself_calls_nobody() {
        let lost = Request { destination: ("", ""), flags: "NR", outcome: "error", attempts: 0, ..GATEWAY };
        let redirected = Request { flags: "", outcome: "ok", ..lost };
        let picture = picture(&[lost, redirected], &[]);
        assert_eq!(edges(&picture), ["client@istio-system/ingress -> istio-system/ingress 2/1"]);
    }

    #[test]
    fn a_callers_proxy_names_the_caller_of_a_gateway() {
        let to_gateway = Request {
            destination: ("istio-system", "ingress"),
            upstream_local: "10.0.0.1:4000",
            request_id: "r1",
            ..CALL
        };
        let at_gateway = Request { downstream: "10.0.0.1:4000", request_id: "r1", ..GATEWAY };
        let picture = picture(&[at_gateway, to_gateway], &[]);
        assert_eq!(
            edges(&picture),
            ["default/a -> istio-system/ingress 1/0", "istio-system/ingress -> default/b 1/0"]
        );
    }

    /// Without mTLS the callee's proxy does not know its caller. The first try has another connection than
    /// the one in the caller's row, so only the request tells.
    #[test]
    fn an_unknown_caller_is_named_by_the_other_observer() {
        let client = Request { upstream_local: "10.0.0.1:4001", request_id: "r1", attempts: 2, ..CALL };
        let unknown = Request { source: ("", ""), request_id: "r1", ..SERVED };
        let first = Request { downstream: "10.0.0.1:4000", ..unknown };
        let last = Request { downstream: "10.0.0.1:4001", ..unknown };
        let picture = picture(&[first, last, client], &[]);
        assert_eq!(edges(&picture), ["default/a -> default/b 1/0"]);
        assert_eq!(picture.edge_cells[0].server, 2.0);
    }

    #[test]
    fn a_request_that_two_callers_share_names_neither() {
        let client = Request { request_id: "r1", ..CALL };
        let other = Request { source: ("default", "c"), ..client };
        let unknown = Request { source: ("", "10.9.9.9"), request_id: "r1", ..SERVED };
        let picture = picture(&[client, other, unknown], &[]);
        assert_eq!(
            edges(&picture),
            ["client@default/b -> default/b 1/0", "default/a -> default/b 1/0", "default/c -> default/b 1/0"]
        );
    }

    #[test]
    fn unknown_callers_of_two_services_are_two_nodes() {
        let unknown = Request { source: ("", ""), ..SERVED };
        let picture = picture(&[unknown, Request { destination: ("shop", "cart"), ..unknown }], &[]);
        assert_eq!(
            edges(&picture),
            ["client@default/b -> default/b 1/0", "client@shop/cart -> shop/cart 1/0"]
        );
    }

    #[test]
    fn a_passed_through_address_is_named_by_its_own_proxy() {
        let passed = Request { destination: ("", "10.1.1.1"), upstream_local: "10.0.0.1:4000", ..CALL };
        let arrived = Request { source: ("", ""), downstream: "10.0.0.1:4000", ..SERVED };
        assert_eq!(edges(&picture(&[passed, arrived], &[])), ["default/a -> default/b 1/0"]);
    }

    #[test]
    fn a_callee_outside_of_the_mesh_is_external() {
        let external = Request { destination: ("", "api.example"), ..CALL };
        let picture = picture(&[external, Request { destination: ("", ""), ..external }], &[]);
        assert_eq!(edges(&picture), ["default/a -> api.example 1/0", "default/a -> unknown@default/a 1/0"]);
        assert_eq!(kind(&picture, "api.example"), Some("external"));
        assert_eq!(kind(&picture, "unknown@default/a"), Some("external"));
    }

    /// 5 calls, 2 refused by the caller's own proxy: the edge has 5; the callee, which has no proxy, 3.
    #[test]
    fn what_was_refused_on_the_way_counts_on_the_edge_only() {
        for flag in ["UH", "UF", "UO", "NR", "RL"] {
            let refused = Request { flags: flag, outcome: "error", attempts: 0, ..CALL };
            let picture = picture(&[CALL, CALL, CALL, refused, refused], &[]);
            assert_eq!(edges(&picture), ["default/a -> default/b 5/2"], "{flag}");
            assert_eq!(nodes(&picture), ["default/b 3/0"], "{flag}");
            assert_eq!((picture.edge_cells[0].refused, picture.edge_cells[0].sent), (2.0, 3.0));
        }
    }

    /// Traffic to a dead upstream never arrives, so only the edge can show it; Tempo shows nothing at all.
    #[test]
    fn a_dead_upstream_is_on_the_graph() {
        let dead = Request {
            destination: ("default", "dead"),
            flags: "UF,URX",
            outcome: "error",
            attempts: 3,
            ..CALL
        };
        let picture = picture(&[dead; 30], &[]);
        assert_eq!(edges(&picture), ["default/a -> default/dead 30/30"]);
        assert!(picture.node_cells.is_empty());
    }

    #[test]
    fn a_rate_limit_at_the_callee_counts_at_the_callee() {
        let limited = Request { flags: "RL", outcome: "client_error", ..SERVED };
        let picture = picture(&[limited, SERVED], &[]);
        let node = &picture.node_cells[0].measure;
        assert_eq!((node.requests, node.client_errors, node.errors), (2.0, 1.0, 0.0));
    }

    #[test]
    fn an_aborted_call_is_no_error() {
        let aborted = Request { outcome: "aborted", flags: "DC", ..GATEWAY };
        let picture = picture(&[aborted, GATEWAY], &[]);
        let gateway = picture.node_cells.last().expect("the gateway received calls");
        assert_eq!(
            (gateway.measure.requests, gateway.measure.aborted, gateway.measure.errors),
            (2.0, 1.0, 0.0)
        );
    }

    #[test]
    fn operations_and_instances_are_told_apart_when_asked() {
        let rows = [
            Request { path: "/reviews/1", instance: "b-0", ..SERVED },
            Request { path: "/reviews/2?x=1", instance: "b-1", ..SERVED },
            Request { path: "/health", instance: "b-1", ..SERVED },
        ];
        let details = |grain| {
            let picture = picture_of(&rows, &[], Source::Auto, By::Service, grain);
            let cells = picture.node_cells.into_iter();
            cells.map(|cell| (cell.detail.unwrap_or_default(), cell.measure.requests)).collect::<Vec<_>>()
        };
        assert_eq!(
            details(Grain::Operation),
            [("GET /health".to_owned(), 1.0), ("GET /reviews/{id}".to_owned(), 2.0)]
        );
        assert_eq!(details(Grain::Instance), [("b-0".to_owned(), 1.0), ("b-1".to_owned(), 2.0)]);
    }

    #[test]
    fn versions_come_from_the_side_that_knows_them() {
        // The caller's proxy does not know which version answered, the callee's does.
        let picture = |client_version| {
            let client = Request { source_version: "v1", version: client_version, ..CALL };
            let server = Request { source_version: "v1", version: "v2", ..SERVED };
            picture_of(&[client, server], &[], Source::Auto, By::Version, Grain::Node)
        };
        for known_to_the_client in ["", "v2"] {
            let picture = picture(known_to_the_client);
            assert_eq!(edges(&picture), ["default/a:v1 -> default/b:v2 1/0"]);
            assert_eq!(nodes(&picture), ["default/b:v2 1/0"]);
        }
    }
}
