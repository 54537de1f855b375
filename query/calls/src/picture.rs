//! The calls of a range as nodes and edges, each call once: what golden metrics and the graph are cut from.
//!
//! There is one set of calls. Evidence is chosen by service and by edge, whatever the grouping, and a grouping only
//! sorts the calls that were chosen into parts: each total is the same under every one.

use std::collections::{BTreeMap, HashMap};

use crate::cells::{Book, CellKey, DetailId, Evidence};
use crate::choice::{Choice, Choices, Source};
use crate::entry::Entry;
use crate::grouping::Grain;
use crate::measure::{MILLI, Measure};
use crate::named::Named;
use crate::nodes::{NodeIdentity, ids};
use crate::noted::Wish;
use crate::one_call::CallSeen;
use crate::placed::{Placed, choice_of_edge, choices, known, lost, place};
use crate::range::Range;
use crate::services::{ServiceId, Services};

/// Calls that a node received in one bucket, by operation, instance, cluster or value if asked for.
#[derive(Debug, Clone)]
pub struct NodeCell {
    /// Place in [`Picture::nodes`].
    pub node: usize,
    pub detail: Option<String>,
    pub bucket: u16,
    pub evidence: Evidence,
    pub measure: Measure,
}

/// Calls of an edge in one bucket.
#[derive(Debug, Clone)]
pub struct EdgeCell {
    /// Places in [`Picture::nodes`].
    pub source: usize,
    pub target: usize,
    pub bucket: u16,
    /// What `measure` was counted from; rows, where of some both.
    pub evidence: Evidence,
    pub measure: Measure,
    /// Of those, refused before they reached the target.
    pub refused: f64,
    /// Calls by spans, and by rows of `requests`, each alone.
    pub by_spans: f64,
    pub by_requests: f64,
}

/// Nodes and edges of a range.
#[derive(Debug, Clone)]
pub struct Picture {
    pub range: Range,
    /// Sorted by id.
    pub nodes: Vec<NodeIdentity>,
    /// Sorted by node, detail, bucket.
    pub node_cells: Vec<NodeCell>,
    /// Sorted by source, target, bucket.
    pub edge_cells: Vec<EdgeCell>,
    /// The newest calls, where they are listed, in no order; of each node and edge as many as are asked for, or more.
    pub calls: Vec<CallSeen>,
    pub warnings: Vec<String>,
}

/// What a picture is made for.
pub(super) struct Asked<'a> {
    pub source: Source,
    /// The service whose operations are asked for; `None`: of all.
    pub only: Option<&'a str>,
}

/// Groups all cells of `book`, choosing among observations.
pub(super) fn picture(book: &Book, asked: &Asked<'_>, mut warnings: Vec<String>) -> Picture {
    let mut services = known(book, asked.source);
    let cells = place(book, &mut services, asked.source);
    let choices = choices(&cells);
    let services = &services;
    warnings.extend(lost(&cells));
    let names = ids(services, &used(&cells));
    let busiest = busiest(book, &cells, services, &names, asked.only);
    warnings.extend(told(&choices, &names));
    if busiest.is_cut {
        warnings.push(format!(
            "only the {} busiest operations, instances or values are told apart; the rest is `(other)`",
            crate::cells::DETAILS_MAX
        ));
    }
    let mut drawing = Drawing {
        book,
        services,
        named: Named::of(book, services, &names),
        choices: &choices,
        busiest,
        node_cells: BTreeMap::new(),
        edge_cells: BTreeMap::new(),
        calls: Vec::new(),
    };
    for cell in &cells {
        match cell.source {
            None => drawing.add_received(cell),
            Some(source) => drawing.add_edge(cell, source),
        }
    }
    drawing.sorted(warnings)
}

fn used(cells: &[Placed<'_>]) -> Vec<ServiceId> {
    let ends = cells.iter().flat_map(|cell| cell.source.into_iter().chain([cell.target]));
    let mut used: Vec<ServiceId> = ends.collect();
    used.sort_unstable();
    used.dedup();
    used
}

/// The operations or instances that are told apart.
struct Busiest {
    kept: Vec<DetailId>,
    is_cut: bool,
}

impl Busiest {
    fn text<'a>(&self, detail: DetailId, book: &'a Book) -> Option<&'a str> {
        let is_kept = detail <= DetailId::OTHER || self.kept.binary_search(&detail).is_ok();
        book.detail_text(if is_kept { detail } else { DetailId::OTHER })
    }
}

/// The limit is spent on received sides of what is asked for, busiest first.
fn busiest(
    book: &Book,
    cells: &[Placed<'_>],
    services: &Services,
    names: &HashMap<ServiceId, String>,
    only: Option<&str>,
) -> Busiest {
    if book.grain == Grain::Node {
        return Busiest { kept: Vec::new(), is_cut: false };
    }
    let is_asked = |service: &ServiceId| {
        only.is_none_or(|only| names[service] == only || services.service(*service).name == only)
    };
    let keys: std::collections::HashSet<&CellKey> =
        cells.iter().filter(|cell| is_asked(&cell.target)).map(|cell| &cell.key).collect();
    let kept = book.busiest(|key| keys.contains(key));
    let mut all: Vec<DetailId> =
        keys.iter().map(|key| key.detail).filter(|detail| *detail > DetailId::OTHER).collect();
    all.sort_unstable();
    all.dedup();
    Busiest { is_cut: book.details_overflowed() || all.len() > kept.len(), kept }
}

fn told(choices: &Choices, names: &HashMap<ServiceId, String>) -> Vec<String> {
    let excesses = choices.excesses();
    let told = excesses.iter().map(|excess| {
        format!(
            "{}: spans tell of {} calls, proxies of {}; spans are taken, for some calls do not pass its proxy",
            names[&excess.service],
            excess.spans / MILLI,
            excess.rows / MILLI
        )
    });
    told.collect()
}

struct Drawing<'a> {
    book: &'a Book,
    services: &'a Services,
    named: Named<'a>,
    choices: &'a Choices,
    busiest: Busiest,
    node_cells: BTreeMap<(usize, Option<String>, u16), NodeCell>,
    edge_cells: BTreeMap<(usize, usize, u16), EdgeCell>,
    calls: Vec<CallSeen>,
}

impl Drawing<'_> {
    fn add_received(&mut self, cell: &Placed<'_>) {
        let choice = self.choices.node(cell.target, cell.key.at.window);
        if choice.counts(cell.key.evidence, cell.key.entry) {
            self.add_to_node(cell);
        }
        self.list(cell, choice.counts(cell.key.evidence, cell.key.entry));
    }

    fn add_edge(&mut self, cell: &Placed<'_>, source: ServiceId) {
        let (key, window) = (&cell.key, cell.key.at.window);
        let choice = choice_of_edge(self.choices, self.services, (source, cell.target), window);
        if matches!(key.entry, Entry::Carrying | Entry::CarryingTraced) {
            if choice == Choice::Of(Evidence::Spans) {
                self.add_bytes(cell, source);
            }
            return;
        }
        let counts = choice.counts(key.evidence, key.entry);
        let no_reports = self.choices.node(cell.target, window) == Choice::EdgesIn;
        if counts && no_reports && key.entry != Entry::Refused {
            self.add_to_node(cell);
        }
        let edge = self.edge(cell, source);
        // Thousandths are whole numbers, whose sum no order of adding changes; `sorted` makes calls of them.
        let requests = cell.measure.requests_milli() as f64;
        match (key.entry, key.evidence) {
            (_, Evidence::Spans) => edge.by_spans += requests,
            (_, Evidence::Requests) => edge.by_requests += requests,
        }
        if counts {
            edge.evidence = edge.evidence.min(key.evidence);
            edge.measure.merge(cell.measure);
            edge.refused += if key.entry == Entry::Refused { requests } else { 0.0 };
        }
        self.list(cell, counts);
    }

    /// Adds the calls of a cell one by one: of one that counts, and of any where examples are asked for, as each kind of
    /// evidence knows other traces.
    fn list(&mut self, cell: &Placed<'_>, counts: bool) {
        let notes = self.book.notes.of(&cell.key);
        if notes.is_empty() || (!counts && self.book.notes.wish() == Wish::Newest) {
            return;
        }
        let source = cell.source.map(|source| self.named.node(source, cell.key.source));
        let target = self.named.node(cell.target, cell.key.destination);
        self.calls.extend(CallSeen::of(cell, self.services, (source, target), notes));
    }

    /// Adds what connections told of calls that spans tell of, which know no bytes.
    fn add_bytes(&mut self, cell: &Placed<'_>, source: ServiceId) {
        self.edge(cell, source).measure.merge_bytes(cell.measure);
        if self.choices.node(cell.target, cell.key.at.window) == Choice::EdgesIn {
            let bytes = Placed { key: CellKey { evidence: Evidence::Spans, ..cell.key }, ..*cell };
            self.node_cell(&bytes).measure.merge_bytes(cell.measure);
        }
    }

    fn edge(&mut self, cell: &Placed<'_>, source: ServiceId) -> &mut EdgeCell {
        let key = cell.key;
        let (from, to) = (self.named.node(source, key.source), self.named.node(cell.target, key.destination));
        self.edge_cells.entry((from, to, key.at.bucket)).or_insert_with(|| EdgeCell {
            source: from,
            target: to,
            bucket: key.at.bucket,
            evidence: Evidence::Spans,
            measure: Measure::default(),
            refused: 0.0,
            by_spans: 0.0,
            by_requests: 0.0,
        })
    }

    fn add_to_node(&mut self, cell: &Placed<'_>) {
        let held = self.node_cell(cell);
        // A node may be counted from both kinds; rows are the stronger word.
        held.evidence = held.evidence.min(cell.key.evidence);
        held.measure.merge(cell.measure);
    }

    fn node_cell(&mut self, cell: &Placed<'_>) -> &mut NodeCell {
        let node = self.named.node(cell.target, cell.key.destination);
        let detail = self.busiest.text(cell.key.detail, self.book).map(str::to_owned);
        let bucket = cell.key.at.bucket;
        self.node_cells.entry((node, detail.clone(), bucket)).or_insert_with(|| NodeCell {
            node,
            detail,
            bucket,
            evidence: cell.key.evidence,
            measure: Measure::default(),
        })
    }

    fn sorted(mut self, warnings: Vec<String>) -> Picture {
        // An edge that only evidence not chosen saw has no calls, and a connection's bytes alone are none.
        self.edge_cells.retain(|_, edge| edge.measure.requests_milli() > 0);
        self.node_cells.retain(|_, cell| cell.measure.requests_milli() > 0);
        let mut is_used = vec![false; self.named.count()];
        self.node_cells.values().for_each(|cell| is_used[cell.node] = true);
        self.edge_cells.values().flat_map(|e| [e.source, e.target]).for_each(|end| is_used[end] = true);
        let ends = self.calls.iter().flat_map(|call| call.source.into_iter().chain([call.target]));
        ends.for_each(|end| is_used[end] = true);
        let (nodes, new_place) = self.named.sorted(|place| is_used[place]);
        let node_cells = self.node_cells.into_values();
        let mut node_cells: Vec<NodeCell> =
            node_cells.map(|cell| NodeCell { node: new_place[cell.node], ..cell }).collect();
        node_cells.sort_by(|a, b| (a.node, &a.detail, a.bucket).cmp(&(b.node, &b.detail, b.bucket)));
        let edge_cells = self.edge_cells.into_values();
        let calls = |milli: f64| milli / MILLI as f64;
        let placed = |edge: EdgeCell| EdgeCell {
            source: new_place[edge.source],
            target: new_place[edge.target],
            refused: calls(edge.refused),
            by_spans: calls(edge.by_spans),
            by_requests: calls(edge.by_requests),
            ..edge
        };
        let mut edge_cells: Vec<EdgeCell> = edge_cells.map(placed).collect();
        edge_cells.sort_by_key(|edge| (edge.source, edge.target, edge.bucket));
        for call in &mut self.calls {
            call.source = call.source.map(|source| new_place[source]);
            call.target = new_place[call.target];
        }
        Picture { range: self.book.range, nodes, node_cells, edge_cells, calls: self.calls, warnings }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use meshlake_schema::UnixNanos;

    use super::*;
    use crate::fixture::{
        self, CALL, CLIENT, CONSUMER, FROM_SECOND, PRODUCER, Request, SERVED, SERVER, SPAN, Span, edges,
        kind, nodes, picture, picture_of,
    };
    use crate::fold::{Fold, Question};
    use crate::grouping::By;

    const A: (&str, &str) = ("default", "a");
    const B: (&str, &str) = ("default", "b");

    /// One call of a to b as spans, in a trace of its own.
    fn traced(trace: u128) -> [Span; 2] {
        let made = Span { trace, kind: CLIENT, service: A, ..SPAN };
        [made, Span { id: 2, parent: 1, kind: SERVER, service: B, ..made }]
    }

    fn evidence(source: Source) -> (Vec<String>, Vec<String>) {
        // Two calls by proxies, one of them traced.
        let picture = picture_of(&[CALL, CALL, SERVED, SERVED], &traced(1), source, By::Service, Grain::Node);
        (edges(&picture), nodes(&picture))
    }

    #[test]
    fn proxies_and_spans_are_never_summed() {
        let two = (vec!["default/a -> default/b 2/0".to_owned()], vec!["default/b 2/0".to_owned()]);
        let one = (vec!["default/a -> default/b 1/0".to_owned()], vec!["default/b 1/0".to_owned()]);
        assert_eq!(evidence(Source::Auto), two);
        assert_eq!(evidence(Source::Requests), two);
        assert_eq!(evidence(Source::Spans), one);
    }

    #[test]
    fn both_kinds_of_evidence_are_told_beside_the_choice() {
        let picture = picture(&[CALL, CALL, SERVED, SERVED], &traced(1));
        let edge = &picture.edge_cells[0];
        assert_eq!((edge.evidence, edge.by_requests, edge.by_spans), (Evidence::Requests, 2.0, 1.0));
    }

    /// By proxies n calls: by spans they are taken from 5 % and 20 calls more on.
    #[test]
    fn spans_that_exceed_rows_are_taken_and_told() {
        for (rows, traces, want) in [(20, 39, 20), (20, 40, 40), (600, 629, 600), (600, 630, 630)] {
            let spans: Vec<Span> = (1..=traces).flat_map(traced).collect();
            let picture = picture(&vec![SERVED; rows], &spans);
            assert_eq!(nodes(&picture), [format!("default/b {want}/0")], "{rows} rows, {traces} traces");
            assert_eq!(edges(&picture), [format!("default/a -> default/b {want}/0")]);
            assert_eq!(picture.warnings.len(), usize::from(want == traces), "{:?}", picture.warnings);
        }
    }

    #[test]
    fn without_a_proxy_at_the_callee_spans_count_there() {
        // The caller's proxy sees whole requests, so the edge is counted from it; the node from its spans.
        let spans: Vec<Span> = (1..=3).flat_map(traced).collect();
        let picture = picture(&[CALL; 4], &spans);
        assert_eq!(edges(&picture), ["default/a -> default/b 4/0"]);
        assert_eq!(nodes(&picture), ["default/b 3/0"]);
        assert_eq!(picture.node_cells[0].evidence, Evidence::Spans);
    }

    #[test]
    fn messages_are_on_the_graph_beside_the_rows_of_proxies() {
        let sent = Span { kind: PRODUCER, service: A, queue: "orders", ..SPAN };
        let taken = Span { id: 2, parent: 1, kind: CONSUMER, service: B, ..sent };
        let picture = picture(&[SERVED], &[sent, taken]);
        assert_eq!(
            edges(&picture),
            ["default/a -> default/b 1/0", "default/a -> orders 1/0", "orders -> default/b 1/0"]
        );
        assert_eq!(nodes(&picture), ["default/b 2/0", "orders 1/0"]);
    }

    /// b's proxy knows that a called; b's span does not, for a is not traced.
    #[test]
    fn a_caller_unknown_to_spans_is_not_added_to_the_one_that_proxies_know() {
        let picture = picture(&[SERVED], &[Span { kind: SERVER, service: B, ..SPAN }]);
        assert_eq!(edges(&picture), ["default/a -> default/b 1/0"]);
    }

    #[test]
    fn a_node_without_reports_is_the_sum_of_its_edges() {
        let from = |caller| Request { source: ("default", caller), destination: ("", "api.example"), ..CALL };
        let picture = picture(&[from("a"), from("c"), Request { outcome: "error", ..from("c") }], &[]);
        assert_eq!(nodes(&picture), ["api.example 3/1"]);
    }

    /// Rows in the first ten minutes, spans in the next: a range of both is the sum of the two.
    #[test]
    fn two_ranges_add_up_to_both() {
        let at = |second: i64| UnixNanos(second * 1_000_000_000);
        let requests_in = |from, to| {
            let range = Range::new(at(from), at(to), None).expect("not empty");
            let question = Question { range, by: By::Service, grain: Grain::Node, source: Source::Auto };
            let mut fold = Fold::new(question);
            fold.add_requests(&fixture::requests(&[SERVED, SERVED, SERVED]));
            let later = traced(1).map(|span| Span { second: 1_300, ..span });
            fold.add_spans(&fixture::spans(&[later, traced(2)].concat()));
            let picture = fold.finish().expect("a few cells");
            picture.node_cells.iter().map(|cell| cell.measure.requests()).sum::<f64>()
        };
        assert_eq!((requests_in(600, 1_200), requests_in(1_200, 1_800)), (3.0, 1.0));
        assert_eq!(requests_in(600, 1_800), 4.0);
    }

    #[test]
    fn services_may_be_called_like_the_nodes_of_the_unknown() {
        let named = |name| Request { source: ("", name), destination: ("", name), ..SERVED };
        let unknown = Request { source: ("", ""), ..SERVED };
        let picture = picture(&[named("client"), named("unknown"), unknown], &[]);
        assert_eq!(nodes(&picture), ["client 1/0", "default/b 1/0", "unknown 1/0"]);
        assert_eq!(kind(&picture, "client"), Some("service"));
        assert_eq!(kind(&picture, "unknown"), Some("service"));
        assert_eq!(kind(&picture, "client@default/b"), Some("client"));
    }

    #[test]
    fn a_service_is_one_node_with_and_without_its_namespace() {
        let picture = picture(&[SERVED, Request { destination: ("", "b"), ..SERVED }], &[]);
        assert_eq!(nodes(&picture), ["default/b 2/0"]);
    }

    #[test]
    fn the_same_rows_in_another_order_are_the_same_picture() {
        let calls: Vec<Request> = (0..50).map(|i| Request { millis: i * 7 % 13, ..CALL }).collect();
        let turned: Vec<Request> = calls.iter().rev().copied().collect();
        let sums = |rows: &[Request]| {
            let picture = picture(rows, &[]);
            picture.edge_cells.iter().map(|edge| edge.measure.clone()).collect::<Vec<_>>()
        };
        assert_eq!(sums(&calls), sums(&turned));
    }

    #[test]
    fn versions_of_a_service_are_nodes_when_asked() {
        let rows = ["v1", "v2", "v2"].map(|version| Request { version, ..SERVED });
        let picture = picture_of(&rows, &[], Source::Auto, By::Version, Grain::Node);
        assert_eq!(nodes(&picture), ["default/b:v1 1/0", "default/b:v2 2/0"]);
    }

    /// 2,500 operations of one service, called once each, and one of another: asked for the other alone, the
    /// limit of 2,000 is spent on it.
    #[test]
    fn a_limit_is_spent_on_what_was_asked_for() {
        let span = |id: u64, name, service| Span { trace: u128::from(id), name, service, ..SPAN };
        let names: Vec<&'static str> =
            (0..2_500).map(|i| &*Box::leak(format!("op {i}").into_boxed_str())).collect();
        let mut spans: Vec<Span> =
            names.iter().zip(1..).map(|(name, id)| span(id, *name, ("", "busy"))).collect();
        spans.push(span(9_999, "GET /quiet", ("", "quiet")));
        let details = |only| {
            let range = fixture::range();
            let question = Question { range, by: By::Service, grain: Grain::Operation, source: Source::Auto };
            let mut fold = Fold::new(question).only(only);
            fold.add_spans(&fixture::spans(&spans));
            let picture = fold.finish().expect("a few cells");
            let node = picture.nodes.iter().position(|node| node.name == "quiet").expect("it is there");
            let mut cells = picture.node_cells.iter().filter(|cell| cell.node == node);
            (cells.next().and_then(|cell| cell.detail.clone()), picture.warnings.len())
        };
        assert_eq!(details(Some("quiet")), (Some("GET /quiet".to_owned()), 0));
        assert_eq!(details(None).1, 1);
    }

    /// Names of INTERNAL spans are no operations: they take nothing from those that are.
    #[test]
    fn names_of_internal_spans_take_no_operation_away() {
        let names: Vec<&'static str> =
            (0..2_500).map(|i| &*Box::leak(format!("work {i}").into_boxed_str())).collect();
        let internal = |(name, id): (&&'static str, u64)| Span {
            kind: fixture::INTERNAL,
            id,
            parent: 1,
            name,
            second: FROM_SECOND,
            ..SPAN
        };
        let mut spans: Vec<Span> = names.iter().zip(2..).map(internal).collect();
        spans.push(Span { name: "GET /", ..SPAN });
        let picture = picture_of(&[], &spans, Source::Auto, By::Service, Grain::Operation);
        assert_eq!(picture.node_cells[0].detail.as_deref(), Some("GET /"));
        assert!(picture.warnings.is_empty(), "{:?}", picture.warnings);
    }

    #[test]
    fn buckets_add_up_to_the_range() {
        let at = |second: i64| UnixNanos(second * 1_000_000_000);
        let range = Range::new(at(1_000), at(1_060), Some(Duration::from_secs(20))).expect("not empty");
        let mut fold =
            Fold::new(Question { range, by: By::Service, grain: Grain::Node, source: Source::Auto });
        let rows: Vec<Request> = (0..30).map(|i| Request { second: FROM_SECOND + i, ..SERVED }).collect();
        fold.add_requests(&fixture::requests(&rows));
        let picture = fold.finish().expect("a few cells");
        let told: Vec<_> =
            picture.node_cells.iter().map(|cell| (cell.bucket, cell.measure.requests())).collect();
        assert_eq!(told, [(0, 20.0), (1, 10.0)]);
    }
}
