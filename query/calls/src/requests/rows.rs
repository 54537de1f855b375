//! Reads rows of `requests` into records of what each observer saw.
//!
//! A client's row is a call made, a server's row the same call received. A gateway's row is both: the call it
//! made (source = gateway) and the one it received, whose caller is only in the addresses. Only rows that stand for
//! one call are read (`counted`).

use arrow::array::RecordBatch;
use meshlake_schema::{Outcome, ResponseFlags};

use super::asked::Asked;
use super::row_columns::Columns;
use super::seen::{Seen, Side};
use crate::addresses::endpoint_hash;
use crate::catch_all;
use crate::cell_key::DetailId;
use crate::cells::Book;
use crate::columns::boolean;
use crate::detail::{Detail, Observer};
use crate::grouping::Grain;
use crate::hashing::{NumberMap, mixed_pair, text_hash as hash};
use crate::hosts::{HostPort, address, host_port, is_address, is_local, telling_port};
use crate::measure::{Protocol, outcome_of};
use crate::operation::{is_stream, write_operation};
use crate::party::{Marks, PartyId, PartyName};
use crate::proxy_flags;
use crate::refusal;

/// How the host ends that Envoy asks for when it sends a request to a mirror. Source: Envoy, `RequestMirrorPolicy` in
/// `route_components.proto`.
const MIRRORED: &str = "-shadow";

/// The columns of a batch, and what was made of their names so far.
pub struct RequestRows<'a> {
    columns: Columns<'a>,
    parties: NumberMap<u64, PartyId>,
    asked: Asked<'a>,
    pods: NumberMap<u64, u64>,
    operation: String,
    detail: String,
}

impl<'a> RequestRows<'a> {
    /// For a question with this grain.
    pub fn of(batch: &'a RecordBatch, grain: Grain) -> Self {
        RequestRows {
            columns: Columns::of(batch),
            parties: NumberMap::default(),
            asked: Asked::of(grain, batch),
            pods: NumberMap::default(),
            operation: String::new(),
            detail: String::new(),
        }
    }

    /// Reads every row of the batch that stands for a call; hands out its place and what was seen, of a gateway's row
    /// both that it was called and that it called.
    pub fn read(mut self, batch: &RecordBatch, book: &mut Book, mut take: impl FnMut(usize, Seen)) {
        let counted = boolean(batch, "counted");
        for row in 0..batch.num_rows() {
            if counted(row) != Some(true) {
                if self.columns.is_progress(row) {
                    take(row, Seen { is_progress: true, ..self.seen(row) });
                }
                continue;
            }
            let seen = Seen { pod: self.pod(row), ..self.seen(row) };
            match self.columns.observer.get(row) {
                Some("server") => take(row, self.received(row, seen, book)),
                Some("gateway") => {
                    take(row, self.received_by_gateway(row, seen, book));
                    if let Some(made) = self.made_by_gateway(row, seen, book) {
                        take(row, made);
                    }
                }
                _ => take(row, self.made(row, seen, Marks::NONE, book)),
            }
        }
    }

    /// What both sides of a row share.
    fn seen(&self, row: usize) -> Seen {
        let columns = &self.columns;
        let is_connection = columns.layer.get(row) == Some("l4");
        let flags = ResponseFlags(columns.flags.or_zero(row).cast_unsigned());
        let outcome = outcome_of(columns.outcome.get(row));
        let grpc = columns.grpc_status.get(row);
        let is_stream = grpc.is_some() && columns.path.get(row).is_some_and(is_stream);
        let is_long = is_stream
            || columns.response_code.get(row) == Some(101)
            || columns.method.get(row) == Some("CONNECT");
        let authority = columns.authority.get(row).map(host_port);
        let is_sized = !is_connection && !is_long;
        Seen {
            side: Side::Made,
            is_connection,
            is_refused: proxy_flags::is_refused(flags) || columns.is_own_answer(row),
            is_waypoint: false,
            is_progress: false,
            is_mirror: authority.is_some_and(|at| at.host.ends_with(MIRRORED)),
            is_caller_local: false,
            is_timed: is_sized && columns.is_timed(row),
            is_sized,
            outcome,
            protocol: match (is_connection, grpc) {
                (true, _) => Protocol::Tcp,
                (false, Some(_)) => Protocol::Grpc,
                (false, None) => Protocol::Http,
            },
            cancelled: outcome == Outcome::Aborted
                || proxy_flags::is_cancelled(flags)
                || matches!(grpc, Some(1 | 4))
                || columns.response_code.get(row) == Some(499),
            attempts: u16::try_from(columns.attempts.or_zero(row).max(0)).unwrap_or(u16::MAX),
            port: authority.map_or(0, |at| at.port),
            start: columns.time.or_zero(row),
            duration: columns.duration.or_zero(row),
            bytes_in: columns.bytes_in.or_zero(row),
            bytes_out: columns.bytes_out.or_zero(row),
            source: PartyId::NOBODY,
            destination: PartyId::NOBODY,
            detail: DetailId::NONE,
            request: hash(columns.request_id.get(row)),
            stream: hash(columns.stream_id.get(row)),
            from: 0,
            to: 0,
            caller: 0,
            principal: hash(columns.principal.get(row)),
            authority: hash(authority.map(|at| at.host)),
            proxy: 0,
            onward: 0,
            pod: 0,
            far: 0,
        }
    }

    fn made(&mut self, row: usize, seen: Seen, marks: Marks, book: &mut Book) -> Seen {
        let columns = &self.columns;
        let upstream = columns.upstream_host.get(row).and_then(address);
        let from = columns.upstream_local.get(row).and_then(address);
        let own = columns.source.address.get(row).or(from.map(|at| at.host));
        let proxy = own.or_else(|| columns.proxy_id.get(row));
        let made = Seen {
            port: upstream.map_or(seen.port, |at| at.port),
            from: hash_of(from),
            to: hash_of(upstream),
            caller: hash(from.map(|at| at.host).or(own)),
            proxy: hash(proxy),
            ..seen
        };
        let source = self.party(0, row, &|columns| columns.source.name(row), marks, book);
        let destination = self.callee(row, seen.port, upstream, book);
        let detail = self.detail(row, Side::Made, book);
        let far = far(destination, book);
        Seen { source: source.unwrap_or(PartyId::NOBODY), destination, detail, far, ..made }
    }

    /// A hash of the address in the id of the proxy's node; 0 for a waypoint, which speaks for others.
    fn pod(&mut self, row: usize) -> u64 {
        let columns = &self.columns;
        let pod = self.pods.entry(columns.proxy_id.code(row));
        let pod = *pod.or_insert_with(|| hash(columns.proxy_address(row).filter(|at| !is_local(at))));
        if pod != 0 && columns.is_waypoint(row) { 0 } else { pod }
    }

    fn made_by_gateway(&mut self, row: usize, seen: Seen, book: &mut Book) -> Option<Seen> {
        let is_named = self.columns.destination.name(row).is_some();
        if !is_named && (seen.is_refused || seen.attempts == 0) {
            // The gateway called nobody: what it received is all there was.
            return None;
        }
        Some(self.made(row, seen, Marks::GATEWAY, book))
    }

    fn received(&mut self, row: usize, seen: Seen, book: &mut Book) -> Seen {
        // A waypoint speaks for what stands behind it, which may be outside of the mesh.
        let is_outside =
            self.columns.is_waypoint(row) && self.columns.destination.namespace.get(row).is_none();
        let marks = if is_outside { Marks::OUTSIDE } else { Marks::OBSERVED };
        let destination = self
            .party(2, row, &|columns| columns.destination.name(row), marks, book)
            .unwrap_or_else(|| self.callee_by_address(row, book));
        let source = self.party(3, row, &|columns| columns.source.name(row), Marks::NONE, book);
        let own = self.columns.destination.address.get(row);
        let detail = self.detail(row, Side::Received, book);
        let source = source.unwrap_or(PartyId::NOBODY);
        Seen { source, destination, detail, ..self.received_at(row, seen, own) }
    }

    /// The call that a gateway received, which its row tells of as well as of the one it made.
    fn received_by_gateway(&mut self, row: usize, seen: Seen, book: &mut Book) -> Seen {
        let gateway = self.party(0, row, &|columns| columns.source.name(row), Marks::GATEWAY, book);
        let own = self.columns.source.address.get(row);
        let detail = match book.grain {
            Grain::Instance => book.detail(self.columns.source.instance.get(row)),
            Grain::Whole | Grain::Labels { .. } | Grain::Told(_) | Grain::InstanceAndProxy => {
                self.whole_detail(row, Side::Received, self.columns.source.instance.get(row), book)
            }
            Grain::Cluster | Grain::Attribute(_) => book.detail(self.asked.of_callee(row, true).as_deref()),
            Grain::Node | Grain::Operation => self.detail(row, Side::Received, book),
        };
        let destination = gateway.unwrap_or(PartyId::UNKNOWN);
        Seen { destination, detail, principal: 0, ..self.received_at(row, seen, own) }
    }

    fn received_at(&self, row: usize, seen: Seen, own: Option<&str>) -> Seen {
        let columns = &self.columns;
        let from = columns.downstream(row).and_then(address);
        let to = columns.downstream_local.get(row).and_then(address);
        let is_waypoint = columns.is_waypoint(row);
        // The address of what stands behind a waypoint is not the waypoint's own.
        let own = if is_waypoint { columns.proxy_address(row) } else { own };
        let proxy = own.or(to.map(|at| at.host)).or_else(|| columns.proxy_id.get(row));
        let caller = from.map(|at| at.host).or_else(|| {
            let is_gateway = columns.observer.get(row) == Some("gateway");
            columns.source.address.get(row).filter(|_| !is_gateway)
        });
        Seen {
            side: Side::Received,
            is_refused: is_waypoint && seen.is_refused,
            is_waypoint,
            attempts: if is_waypoint { seen.attempts } else { 1 },
            port: to.map_or(seen.port, |at| at.port),
            from: hash_of(from),
            to: hash_of(to),
            caller: hash(caller),
            is_caller_local: caller.is_some_and(is_local),
            proxy: hash(proxy),
            onward: hash_of(columns.upstream_host.get(row).filter(|_| is_waypoint).and_then(address)),
            ..seen
        }
    }

    /// The party that `name` reads at `row`, read once for equal cells. `use_of` tells uses of the cells apart.
    fn party(
        &mut self,
        use_of: u64,
        row: usize,
        name: &dyn Fn(&Columns<'a>) -> Option<PartyName<'a>>,
        marks: Marks,
        book: &mut Book,
    ) -> Option<PartyId> {
        let end = if use_of == 2 { &self.columns.destination } else { &self.columns.source };
        let code = mixed_pair(end.code(row), use_of << 8 | u64::from(marks.bits()));
        if let Some(known) = self.parties.get(&code) {
            return Some(*known).filter(|party| *party != PartyId::NOBODY);
        }
        // Who a client's or a gateway's row is from speaks for itself.
        let spoken = if use_of == 0 { marks.with(Marks::OBSERVED) } else { marks };
        let party = name(&self.columns).map(|name| book.intern(&name, spoken));
        self.parties.insert(code, party.unwrap_or(PartyId::NOBODY));
        party
    }

    /// The callee in its caller's words; nobody where there are none.
    fn callee(
        &mut self,
        row: usize,
        asked_port: u16,
        upstream: Option<HostPort<'_>>,
        book: &mut Book,
    ) -> PartyId {
        let columns = &self.columns;
        let port = if asked_port == 0 { upstream.map_or(0, |at| at.port) } else { asked_port };
        let code = mixed_pair(columns.destination.code(row), u64::from(port) << 8 | 7);
        if let Some(known) = self.parties.get(&code) {
            return *known;
        }
        let callee = match columns.destination.name(row) {
            Some(name) => {
                let is_host = name.namespace.is_none() && name.name.contains(['.', ':']);
                let marks = if is_host { Marks::OUTSIDE } else { Marks::MESH };
                let port = if is_host { telling_port(port) } else { 0 };
                book.intern(&PartyName { port, is_scoped: is_local(name.name), ..name }, marks)
            }
            None => self.callee_by_address_and_port(row, port, book),
        };
        self.parties.insert(code, callee);
        callee
    }

    fn callee_by_address(&self, row: usize, book: &mut Book) -> PartyId {
        self.callee_by_address_and_port(row, 0, book)
    }

    /// The callee when no service is named. The host asked for is not a name here: where it can be trusted
    /// the collector has made it one, and what a scanner sends to a gateway must not become a node.
    fn callee_by_address_and_port(&self, row: usize, port: u16, book: &mut Book) -> PartyId {
        let columns = &self.columns;
        let text = columns.destination.service.get(row).or_else(|| columns.destination.address.get(row));
        let Some(at) = text.and_then(address) else { return PartyId::NOBODY };
        let port = telling_port(if at.port == 0 { port } else { at.port });
        let is_scoped = is_local(at.host);
        let name = PartyName { name: at.host, port, is_scoped, ..PartyName::default() };
        book.intern(&name, Marks::OUTSIDE)
    }

    fn detail(&mut self, row: usize, side: Side, book: &mut Book) -> DetailId {
        let columns = &self.columns;
        match book.grain {
            Grain::Node => DetailId::NONE,
            Grain::Instance | Grain::InstanceAndProxy if side == Side::Made => DetailId::NONE,
            Grain::Instance => book.detail(columns.destination.instance.get(row)),
            Grain::Cluster | Grain::Attribute(_) => book.detail(self.asked.of_callee(row, false).as_deref()),
            Grain::Whole | Grain::Labels { .. } | Grain::Told(_) | Grain::InstanceAndProxy => {
                let end = if side == Side::Made { None } else { Some(&columns.destination) };
                self.whole_detail(row, side, end.and_then(|end| end.instance.get(row)), book)
            }
            Grain::Operation => {
                let is_grpc = columns.grpc_status.get(row).is_some();
                let (method, path) = (columns.method.get(row), columns.path.get(row));
                write_operation(&mut self.operation, method, path, is_grpc);
                book.detail(Some(&self.operation))
            }
        }
    }

    /// All that the row tells of a call beside its ends; `instance` is that of the callee.
    fn whole_detail(
        &mut self,
        row: usize,
        side: Side,
        instance: Option<&'a str>,
        book: &mut Book,
    ) -> DetailId {
        let columns = &self.columns;
        let grpc_status = columns.grpc_status.get(row);
        let (method, path) = (columns.method.get(row), columns.path.get(row));
        write_operation(&mut self.operation, method, path, grpc_status.is_some());
        let is_gateway = columns.observer.get(row) == Some("gateway");
        let is_secured = columns.tls_version.get(row).is_some() && columns.principal.get(row).is_some();
        let is_received = side == Side::Received && !is_gateway;
        // The callee of what a gateway received is the gateway, which is the row's source.
        let is_own = side == Side::Received && is_gateway;
        let (cluster, principal) = (columns.source_cluster.get(row), columns.principal.get(row));
        let callee = if is_own {
            (cluster, principal)
        } else {
            (columns.destination_cluster.get(row), columns.destination_principal.get(row))
        };
        let detail = Detail {
            observer: match side {
                Side::Made => Observer::Client,
                Side::Received if columns.is_waypoint(row) => Observer::Waypoint,
                Side::Received => Observer::Server,
            },
            operation: Some(&self.operation),
            route: columns.route.get(row),
            host: columns.authority.get(row).filter(|_| is_gateway),
            instance,
            proxy_version: instance.and(columns.own_proxy_version(row)),
            source_cluster: cluster.filter(|_| !is_own),
            source_principal: principal.filter(|_| !is_own),
            destination_cluster: callee.0,
            destination_principal: callee.1,
            response_code: columns.response_code.get(row),
            grpc_status,
            response_flags: columns.flags_text.get(row),
            security: is_received.then_some(if is_secured { "mutual_tls" } else { "none" }),
            refusal: columns.details.get(row).and_then(refusal::of_proxy),
            catch_all: catch_all::of_call(columns.upstream_cluster.get(row), columns.route.get(row)),
        };
        detail.of_grain(book.grain).write(&mut self.detail);
        book.detail(Some(&self.detail))
    }
}

/// A hash of the callee's address where nothing else names it; 0 of one that means another thing on each machine.
fn far(callee: PartyId, book: &Book) -> u64 {
    let party = book.parties.party(callee);
    let is_bare = !party.is_scoped && party.marks.has(Marks::OUTSIDE) && is_address(&party.name);
    if is_bare { hash(Some(&party.name)) } else { 0 }
}

fn hash_of(at: Option<HostPort<'_>>) -> u64 {
    at.map_or(0, |at| endpoint_hash(at.host, at.port))
}
