//! Traffic that the mesh does not see whole, or does not protect: per edge what it is, how much, and how it is known.
//!
//! ```text
//! plaintext     the callee's proxy took it without a client's certificate       rows of the callee's proxy
//! no_caller     the callee's proxy saw it, and no proxy of the caller           one side's rows are missing
//! no_callee     the caller's proxy saw it, and nothing of the callee            the other side's are
//! no_proxy      only spans tell of it: a proxy stands at neither end            there are no rows
//! passthrough   a proxy let it pass to where it knew no service                 PassthroughCluster
//! blackhole     a proxy dropped it, for it knew no service there                BlackHoleCluster
//! outside       to a host that is not of the mesh                               nothing but its callers tells of it
//! ```
//! A call may be several of these. Nothing here is an error: a database without a proxy is dark and may be meant to be.
//! Limits: a side whose access log is not sent looks like one without a proxy; messages are not looked at, as brokers stand
//! between their ends; [`EDGES_MAX`].

use std::collections::HashMap;

use crate::catch_all;
use crate::detail::Detail;
use crate::entry::Entry;
use crate::measure::MILLI;
use crate::parts::{Part, Parts};
use crate::{
    By, EdgeCell, Evidence, Frame, Grain, NodeIdentity, NodeKind, PartsFrame, Picture, Question, Range,
    Source, Told,
};

/// Most edges of an answer, those with most dark calls first. Guess, not measured.
pub const EDGES_MAX: usize = 1_000;

/// What is dark about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Darkness {
    Plaintext,
    NoCaller,
    NoCallee,
    NoProxy,
    Passthrough,
    BlackHole,
    Outside,
}

impl Darkness {
    pub const ALL: [Darkness; 7] = [
        Darkness::Plaintext,
        Darkness::NoCaller,
        Darkness::NoCallee,
        Darkness::NoProxy,
        Darkness::Passthrough,
        Darkness::BlackHole,
        Darkness::Outside,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Darkness::Plaintext => "plaintext",
            Darkness::NoCaller => "no_caller",
            Darkness::NoCallee => "no_callee",
            Darkness::NoProxy => "no_proxy",
            Darkness::Passthrough => "passthrough",
            Darkness::BlackHole => "blackhole",
            Darkness::Outside => "outside",
        }
    }

    /// How it is known, in a sentence.
    pub const fn how(self) -> &'static str {
        match self {
            Darkness::Plaintext => {
                "The callee's proxy logged it without TLS or without a certificate of the caller."
            }
            Darkness::NoCaller => "The callee's proxy logged it, and no proxy of the caller did.",
            Darkness::NoCallee => "The caller's proxy logged it, and nothing tells of its arrival.",
            Darkness::NoProxy => "Spans of applications tell of it, and no proxy's log does.",
            Darkness::Passthrough => {
                "The proxy's upstream cluster was PassthroughCluster: it knew no service there."
            }
            Darkness::BlackHole => {
                "The proxy's upstream cluster was BlackHoleCluster: it knew no service there."
            }
            Darkness::Outside => {
                "Only callers name this host, and no proxy knows it as a service of the mesh."
            }
        }
    }
}

/// Calls of an edge that are dark in one way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dark {
    pub darkness: Darkness,
    pub requests: f64,
}

/// An edge with dark calls.
#[derive(Debug, Clone, PartialEq)]
pub struct DarkEdge {
    pub source: NodeIdentity,
    pub target: NodeIdentity,
    /// All calls of the edge, dark or not, and their bytes both ways; `None` where nothing tells bytes.
    pub requests: f64,
    pub bytes: Option<f64>,
    /// In the order of [`Darkness::ALL`].
    pub dark: Vec<Dark>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct DarkTraffic {
    pub range: Range,
    /// Those with most dark calls first.
    pub edges: Vec<DarkEdge>,
    /// Calls on all edges, so that what is dark can be seen as a share of them.
    pub requests: f64,
    pub warnings: Vec<String>,
}

/// The question whose picture tells who saw what.
pub fn question(range: Range, source: Source) -> Question {
    Question { range, by: By::Service, grain: Grain::Node, source }
}

/// What of its picture is needed: counts on the edges of one service, by id or by name, or all, and how many calls the others have.
pub fn frame(service: Option<&str>) -> Frame {
    Frame::edges(service).outlined().without_latencies()
}

/// The question whose parts tell of certificates and of clusters that stand for no service.
pub fn parts_question(range: Range, source: Source) -> Question {
    let told = Told::SECURITY.with(Told::CATCH_ALL);
    Question { range, by: By::Service, grain: Grain::Told(told), source }
}

/// The parts that tell of the edges of one service, by id or by name, or of all.
pub fn parts_wanted(service: Option<&str>) -> PartsFrame {
    PartsFrame { service: service.map(str::to_owned), without_latencies: true, ..PartsFrame::default() }
}

/// The dark edges; those that begin or end at `service`, by id or by name, if one is named. `picture` and `parts` are of
/// one snapshot and range, by the questions and the frame above.
pub fn dark(picture: &Picture, parts: &Parts, service: Option<&str>) -> DarkTraffic {
    let is_asked = |node: &NodeIdentity| service.is_none_or(|service| node.is_of(service));
    let told = ByEdge::of(parts);
    let mut edges: Vec<DarkEdge> = Vec::new();
    for cell in &picture.edge_cells {
        let (source, target) = (&picture.nodes[cell.source], &picture.nodes[cell.target]);
        if !is_asked(source) && !is_asked(target) {
            continue;
        }
        let dark = dark_calls(cell, source, target, &told);
        if !dark.is_empty() {
            let (requests, bytes) = (cell.measure.requests(), bytes(cell));
            edges.push(DarkEdge { source: source.clone(), target: target.clone(), requests, bytes, dark });
        }
    }
    let most = |edge: &DarkEdge| edge.dark.iter().map(|dark| dark.requests).fold(0.0, f64::max);
    edges.sort_by(|a, b| most(b).total_cmp(&most(a)));
    let mut warnings = picture.warnings.clone();
    warnings.extend(crate::golden::unknown_service(picture, service));
    if edges.len() > EDGES_MAX {
        warnings.push(format!("{} edges with fewer dark calls are not shown", edges.len() - EDGES_MAX));
        edges.truncate(EDGES_MAX);
    }
    let shown = picture.edge_cells.iter().map(|cell| cell.measure.requests_milli());
    let outlined = picture.outlined.iter().map(|edge| edge.requests_milli);
    let requests = shown.chain(outlined).sum::<u64>() as f64 / MILLI as f64;
    DarkTraffic { range: picture.range, edges, requests, warnings }
}

fn bytes(cell: &EdgeCell) -> Option<f64> {
    let bytes = cell.measure.bytes_in() + cell.measure.bytes_out();
    (cell.evidence == Evidence::Requests || bytes > 0.0).then_some(bytes)
}

/// In what ways calls of an edge are dark, and how many.
fn dark_calls(cell: &EdgeCell, source: &NodeIdentity, target: &NodeIdentity, told: &ByEdge<'_>) -> Vec<Dark> {
    if [source.kind, target.kind].contains(&NodeKind::Messaging) {
        return Vec::new();
    }
    let (measure, is_logged) = (&cell.measure, cell.by_requests > 0.0);
    let arrived = measure.requests() - cell.refused;
    let is_outside = target.kind == NodeKind::External;
    // Who stands outside a gateway has no proxy of the mesh: gateways are there for them.
    let no_caller =
        if is_logged && target.kind != NodeKind::Gateway { measure.requests() - measure.made() } else { 0.0 };
    let of_edge = told.between(source, target);
    let all = Darkness::ALL.map(|darkness| {
        let requests = match darkness {
            Darkness::Plaintext => of_edge.plaintext,
            Darkness::NoCaller => no_caller,
            Darkness::NoCallee if is_logged && !is_outside && measure.received() == 0.0 => arrived,
            Darkness::NoProxy if !is_logged => measure.requests(),
            Darkness::Passthrough => of_edge.passthrough,
            Darkness::BlackHole => of_edge.black_hole,
            Darkness::Outside if is_outside => measure.requests(),
            Darkness::NoCallee | Darkness::NoProxy | Darkness::Outside => 0.0,
        };
        Dark { darkness, requests }
    });
    all.into_iter().filter(|dark| dark.requests > 0.0).collect()
}

/// What rows of proxies tell of an edge.
#[derive(Debug, Clone, Copy, Default)]
struct OfEdge {
    plaintext: f64,
    passthrough: f64,
    black_hole: f64,
}

/// The same by the ids of both ends.
struct ByEdge<'a>(HashMap<(&'a str, &'a str), OfEdge>);

impl<'a> ByEdge<'a> {
    fn of(parts: &'a Parts) -> Self {
        // Both sides of a call tell of it: which cluster it went to is the word of one of them, whichever tells of more.
        let mut sides: HashMap<(&str, &str), [OfEdge; 2]> = HashMap::new();
        for part in parts.parts.iter().filter(|part| part.evidence == Evidence::Requests) {
            let Some(source) = part.source else { continue };
            let ends = (parts.nodes[source].id.as_str(), parts.nodes[part.target].id.as_str());
            let of_side = &mut sides.entry(ends).or_default()[usize::from(part.entry.is_edge())];
            of_side.add(part);
        }
        let joined = sides.into_iter().map(|(ends, [received, made])| {
            let of_edge = OfEdge {
                plaintext: received.plaintext,
                passthrough: received.passthrough.max(made.passthrough),
                black_hole: received.black_hole.max(made.black_hole),
            };
            (ends, of_edge)
        });
        ByEdge(joined.collect())
    }

    fn between(&self, source: &NodeIdentity, target: &NodeIdentity) -> OfEdge {
        self.0.get(&(source.id.as_str(), target.id.as_str())).copied().unwrap_or_default()
    }
}

impl OfEdge {
    fn add(&mut self, part: &Part) {
        // Connections that carry calls told of otherwise are none themselves, and an alias counts nothing.
        if matches!(part.entry, Entry::Carrying | Entry::CarryingTraced | Entry::Alias) {
            return;
        }
        let detail = Detail::read(&part.detail);
        let requests = part.measure.requests();
        if detail.security == Some(PLAINTEXT) {
            self.plaintext += requests;
        }
        match detail.catch_all {
            Some(catch_all::PASSTHROUGH) => self.passthrough += requests,
            Some(catch_all::BLACK_HOLE) => self.black_hole += requests,
            _ => {}
        }
    }
}

/// As cells tell it, see their column `connection_security_policy`.
const PLAINTEXT: &str = "none";

#[cfg(test)]
mod tests;
