//! Writes the cells of ten minutes down as label sets and amounts.
//!
//! ```text
//! edge, refused, by the caller's word       requests, reporter source
//! refused, by a waypoint's word             requests, reporter waypoint
//! received                                  requests, reporter destination or waypoint; span metrics
//! connections, received connections         connections, both reporters
//! any on an edge                            service graph
//! messages, and what only spans tell of a data store or a host outside    extension
//! ```
//! Of each, only what counts by the evidence that was chosen for the node or the edge. So requests by destinations and waypoints are what
//! nodes received in golden metrics, and the service graph is their edges.

use std::hash::RandomState;

use meshlake_schema::LatencyHistogram;

use super::bounds::Bounds;
use super::chunk::{Chunk, Draft, Entry as Amount, Place};
use super::codes::{Ended, NONE, ended};
use super::ends::{End, Ends, UNKNOWN};
use super::metrics::{
    CALLS, CLIENT_SECONDS, DURATION, FAILED, Family, Histogram, LATENCY, RECEIVED, REQUEST_BYTES,
    RESPONSE_BYTES, SENT, SERVER_SECONDS,
};
use super::sketches::{Thresholds, about, duration};
use crate::by_line::ByLine;
use crate::cell_key::{CellKey, Evidence};
use crate::cells::Book;
use crate::choice::{Choice, Choices, Source};
use crate::detail::{Detail, Observer};
use crate::entry::Entry;
use crate::measure::{Measure, Protocol, Sizes};
use crate::nodes::NodeKind;
use crate::placed::{EdgeChoices, Placed, choices, place};
use crate::services::{ServiceId, Services};
use crate::survey::Survey;

/// What Kiali asks for by this name: see `extensions` in its configuration.
const EXTENSION: &str = "meshlake";

/// The chunk of a book of ten minutes whose slots are of so many milliseconds. By operation it has the families that
/// tell operations, otherwise all others.
pub fn told(book: &Book, slot: i64, hasher: &RandomState, warnings: Vec<String>) -> Chunk {
    let (placed, services) = place(Survey::of(book), &book.parties, Source::Auto);
    let choices = choices(&placed);
    let ends = Ends::of(book, &services, &placed);
    let draft = Draft::new(hasher);
    let thresholds = Thresholds::default();
    let mut teller = Teller { book, services: &services, choices: &choices, ends, draft, thresholds };
    let places = ByLine::of(placed.iter().map(|placed| (placed.line, &placed.told[..], placed)));
    let mut cells: Vec<(&CellKey, &Measure)> = book.cells().collect();
    cells.sort_unstable_by_key(|(key, _)| **key);
    for (key, measure) in cells {
        if let Some(placed) = places.get(key) {
            teller.cell(placed, key, measure);
        }
    }
    let start = book.range.from().0.div_euclid(1_000_000);
    teller.draft.finish(start, slot, warnings)
}

struct Teller<'a> {
    book: &'a Book,
    services: &'a Services,
    choices: &'a Choices,
    ends: Ends<'a>,
    draft: Draft<'a>,
    thresholds: Thresholds,
}

/// A cell that counts, with what labels say of it.
struct Told<'a> {
    entry: Entry,
    evidence: Evidence,
    protocol: Protocol,
    detail: Detail<'a>,
    measure: &'a Measure,
    sizes: Option<&'a Sizes>,
    slot: u8,
    caller: Option<End<'a>>,
    callee: End<'a>,
}

impl<'a> Teller<'a> {
    fn cell(&mut self, cell: &Placed, key: &CellKey, measure: &'a Measure) {
        if !self.counts(cell, key.at.window) {
            return;
        }
        let book = self.book;
        let entry = cell.entry;
        let told = Told {
            entry,
            evidence: key.evidence,
            protocol: key.protocol,
            detail: Detail::read(book.detail_text(key.detail).unwrap_or_default()),
            measure,
            sizes: book.sizes(key),
            slot: u8::try_from(key.at.bucket).unwrap_or(u8::MAX),
            caller: cell.caller.map(|caller| self.ends.end(caller, key.source)),
            callee: self.ends.end(cell.target, key.destination),
        };
        if book.grain.tells_operations() {
            return self.spans(&told);
        }
        match entry {
            Entry::Edge | Entry::Refused => {
                if told.evidence == Evidence::Spans && !told.callee.kind.reports() {
                    self.extension(&told);
                } else {
                    self.requests(&told);
                }
            }
            Entry::Received => self.requests(&told),
            Entry::Messages => self.extension(&told),
            Entry::Connections | Entry::ReceivedConnections => self.connections(&told),
            Entry::ReceivedMessages | Entry::Carrying | Entry::CarryingTraced | Entry::Alias => {}
        }
        let tells_of_callee = self.has_reports(cell.target, key.at.window);
        self.graph(&told, tells_of_callee);
        self.services(&told);
    }

    /// Whether the cell is one of those that add up to golden metrics.
    fn counts(&self, cell: &Placed, window: u16) -> bool {
        let choice = match cell.source {
            Some(source) => {
                EdgeChoices::of(self.choices, self.services, (source, cell.target)).choice(window)
            }
            None => self.choices.node(cell.target, window),
        };
        choice.counts(cell.line.evidence, cell.entry)
    }

    /// Whether the node tells what it received.
    fn has_reports(&self, node: ServiceId, window: u16) -> bool {
        self.choices.node(node, window) != Choice::EdgesIn
    }

    fn requests(&mut self, told: &Told<'_>) {
        let reporter = match (told.entry, told.detail.observer) {
            (Entry::Received | Entry::Refused, Observer::Waypoint) => "waypoint",
            (Entry::Received, _) => "destination",
            (_, Observer::Client) => "source",
            // A proxy that refuses before the callee stands where a waypoint does.
            (Entry::Refused, Observer::Server) => "waypoint",
            // The callee tells of it.
            _ => return,
        };
        let parts = ended(&told.detail, told.evidence, told.protocol, told.measure);
        for (at, part) in parts.iter().enumerate() {
            let place = self.place_of_requests(told, reporter, part);
            self.amount(place, CALLS, told.slot, part.milli);
            // Of calls that end in several ways, latencies are not told apart: they are those of most.
            if at == 0 {
                let sum = duration(told.measure);
                self.histogram(place, &DURATION, told.slot, told.measure.latency(), sum, &|t| &t.duration);
                self.sizes(place, told);
            }
        }
    }

    fn sizes(&mut self, place: Place, told: &Told<'_>) {
        let Some(sizes) = told.sizes else { return };
        let [requests, .., bytes_in, bytes_out, _duration, _squares] = told.measure.sums();
        let sum = |sketch: &LatencyHistogram, exact: u64| {
            if sketch.count() == requests { exact } else { about(sketch) }
        };
        let (request, response) = (&sizes.request, &sizes.response);
        self.histogram(place, &REQUEST_BYTES, told.slot, request, sum(request, bytes_in), &|t| &t.bytes);
        self.histogram(place, &RESPONSE_BYTES, told.slot, response, sum(response, bytes_out), &|t| &t.bytes);
    }

    fn place_of_requests(&mut self, told: &Told<'_>, reporter: &str, part: &Ended) -> Place {
        let ends = Labels::of(told, reporter);
        let protocol = if told.protocol == Protocol::Grpc { "grpc" } else { "http" };
        let ended = [&*part.grpc_status, reporter, protocol, &*part.response_code, ends.flags];
        let values = [&ends.callee()[..], &ended, &ends.caller()].concat();
        self.draft.place(Family::Requests, &values)
    }

    fn connections(&mut self, told: &Told<'_>) {
        let reporter = match (told.entry, told.detail.observer) {
            (Entry::ReceivedConnections, _) => "destination",
            (_, Observer::Client) => "source",
            _ => return,
        };
        let ends = Labels::of(told, reporter);
        let values = [&ends.callee()[..], &[reporter, "tcp", ends.flags], &ends.caller()].concat();
        let place = self.draft.place(Family::Connections, &values);
        let [connections, .., bytes_in, bytes_out, _duration, _squares] = told.measure.sums();
        // Istio's words are Envoy's: what a proxy sends is what it answers, towards the caller (istio/istio#32399).
        for (field, amount) in [(CALLS, connections), (SENT, bytes_out), (RECEIVED, bytes_in)] {
            self.amount(place, field, told.slot, amount);
        }
    }

    fn extension(&mut self, told: &Told<'_>) {
        let Some(caller) = &told.caller else { return };
        let detail = &told.detail;
        let source_cluster = detail.source_cluster.or(detail.destination_cluster).unwrap_or(UNKNOWN);
        let is_grpc = told.protocol == Protocol::Grpc;
        for part in ended(detail, told.evidence, told.protocol, told.measure) {
            let place = self.draft.place(
                Family::Extension,
                &[
                    detail.destination_cluster.unwrap_or(source_cluster),
                    told.callee.name,
                    told.callee.namespace,
                    EXTENSION,
                    detail.response_flags.unwrap_or(NONE),
                    if is_grpc { "grpc" } else { "http" },
                    "false",
                    source_cluster,
                    if caller.kind.reports() { "true" } else { "false" },
                    caller.name,
                    caller.namespace,
                    if is_grpc { &part.grpc_status } else { &part.response_code },
                ],
            );
            self.amount(place, CALLS, told.slot, part.milli);
        }
    }

    fn graph(&mut self, told: &Told<'_>, tells_of_callee: bool) {
        let Some(caller) = &told.caller else { return };
        let place = self.place_on_graph(caller, &told.callee);
        let sum = duration(told.measure);
        let latency = told.measure.latency();
        if told.entry.is_edge() {
            let [calls, errors, ..] = told.measure.sums();
            self.amount(place, CALLS, told.slot, calls);
            self.amount(place, FAILED, told.slot, errors);
            if told.detail.observer == Observer::Client {
                self.histogram(place, &CLIENT_SECONDS, told.slot, latency, sum, &|t| &t.graph);
            }
        }
        if !told.entry.is_edge() || !tells_of_callee {
            self.histogram(place, &SERVER_SECONDS, told.slot, latency, sum, &|t| &t.graph);
        }
    }

    fn place_on_graph(&mut self, caller: &End<'_>, callee: &End<'_>) -> Place {
        let has = |kind| caller.kind == kind || callee.kind == kind;
        let (connection, virtual_node) = if has(NodeKind::Messaging) {
            ("messaging_system", "")
        } else if callee.kind == NodeKind::Database {
            ("database", "")
        } else if callee.kind == NodeKind::External {
            ("virtual_node", "server")
        } else if caller.kind == NodeKind::Client {
            ("virtual_node", "client")
        } else {
            ("", "")
        };
        let namespace = |end: &End<'_>| if end.namespace == UNKNOWN { "" } else { end.namespace }.to_owned();
        let (from, to) = (namespace(caller), namespace(callee));
        self.draft.place(Family::Graph, &[&caller.node, &from, connection, &callee.node, &to, virtual_node])
    }

    fn services(&mut self, told: &Told<'_>) {
        for end in told.caller.iter().chain([&told.callee]).filter(|end| end.kind.reports()) {
            let namespace = if end.namespace == UNKNOWN { "" } else { end.namespace };
            let job =
                if namespace.is_empty() { end.name.to_owned() } else { format!("{namespace}/{}", end.name) };
            self.draft.place(Family::Services, &[&job, end.name, namespace]);
        }
    }

    fn spans(&mut self, told: &Told<'_>) {
        let (end, kind) = match (told.entry, told.detail.observer) {
            (Entry::Received, _) => (Some(&told.callee), "SPAN_KIND_SERVER"),
            (Entry::ReceivedMessages, _) => (Some(&told.callee), "SPAN_KIND_CONSUMER"),
            (Entry::Edge | Entry::Refused, Observer::Client) => (told.caller.as_ref(), "SPAN_KIND_CLIENT"),
            (Entry::Messages, Observer::Client) => (told.caller.as_ref(), "SPAN_KIND_PRODUCER"),
            _ => return,
        };
        let Some(end) = end else { return };
        let [calls, errors, ..] = told.measure.sums();
        let mut parts = [("STATUS_CODE_UNSET", calls.saturating_sub(errors)), ("STATUS_CODE_ERROR", errors)];
        parts.sort_by_key(|(_, milli)| std::cmp::Reverse(*milli));
        for (at, (status, milli)) in parts.into_iter().filter(|(_, milli)| *milli > 0).enumerate() {
            let name = told.detail.operation.unwrap_or(UNKNOWN);
            let namespace = if end.namespace == UNKNOWN { "" } else { end.namespace };
            let place = self.draft.place(Family::Spans, &[end.name, namespace, kind, name, status]);
            self.amount(place, CALLS, told.slot, milli);
            if at == 0 {
                let sum = duration(told.measure);
                self.histogram(place, &LATENCY, told.slot, told.measure.latency(), sum, &|t| &t.spans);
            }
        }
    }

    fn histogram(
        &mut self,
        place: Place,
        histogram: &Histogram,
        slot: u8,
        sketch: &LatencyHistogram,
        sum: u64,
        bounds: &dyn Fn(&Thresholds) -> &Bounds,
    ) {
        self.amount(place, histogram.first, slot, sum);
        for (at, count) in bounds(&self.thresholds).counts(sketch) {
            self.amount(place, histogram.first + 1 + at as u8, slot, count);
        }
    }

    fn amount(&mut self, place: Place, field: u8, slot: u8, amount: u64) {
        self.draft.add(place, Amount { field, slot, amount });
    }
}

/// What labels of Istio's metrics say of both ends.
struct Labels<'a> {
    security: &'a str,
    flags: &'a str,
    host: String,
    service_name: String,
    detail: &'a Detail<'a>,
    caller: Option<&'a End<'a>>,
    callee: &'a End<'a>,
}

impl<'a> Labels<'a> {
    fn of(told: &'a Told<'a>, reporter: &str) -> Self {
        let detail = &told.detail;
        let is_callees = reporter != "source";
        Labels {
            security: detail.security.filter(|_| is_callees).unwrap_or(UNKNOWN),
            flags: detail.response_flags.unwrap_or(NONE),
            host: told.callee.host(),
            service_name: told.callee.service_name(detail.catch_all).to_owned(),
            detail,
            caller: told.caller.as_ref(),
            callee: &told.callee,
        }
    }

    /// From the security of the connection to the callee's namespace, in the order of labels.
    fn callee(&self) -> [&str; 12] {
        let Labels { callee, detail, .. } = self;
        // A callee outside of the mesh has no workload that could be called anything.
        let name = if callee.kind.reports() { callee.name } else { UNKNOWN };
        let workload_namespace = if callee.workload == UNKNOWN { UNKNOWN } else { callee.namespace };
        [
            self.security,
            name,
            callee.revision,
            name,
            detail.destination_cluster.unwrap_or(UNKNOWN),
            detail.destination_principal.unwrap_or(UNKNOWN),
            &self.host,
            &self.service_name,
            callee.namespace,
            callee.version,
            &callee.workload,
            workload_namespace,
        ]
    }

    fn caller(&self) -> [&str; 8] {
        let cluster = self.detail.source_cluster.unwrap_or(UNKNOWN);
        let principal = self.detail.source_principal.unwrap_or(UNKNOWN);
        let Some(caller) = self.caller else {
            return [UNKNOWN, "latest", UNKNOWN, cluster, principal, UNKNOWN, UNKNOWN, UNKNOWN];
        };
        let is_named = caller.kind.reports();
        let name = if is_named { caller.name } else { UNKNOWN };
        let workload: &str =
            if is_named && caller.workload == UNKNOWN { caller.name } else { &caller.workload };
        let namespace = if workload == UNKNOWN { UNKNOWN } else { caller.namespace };
        [name, caller.revision, name, cluster, principal, caller.version, workload, namespace]
    }
}
