//! Decides which evidence counts, for every service and every edge, in each ten minutes of the clock.
//!
//! Sources are chosen, never summed: a proxy and an SDK that saw the same call would make two of it. Proxies do
//! not sample, so their rows come first; where spans tell of far more, some calls do not pass a proxy.
//! ```text
//! received sides of a service   rows of requests its own proxy received, else received spans, else connections,
//!                               else the calls on the edges into it, without what was refused on the way
//! an edge                       rows of requests of either side, else spans, else connections
//! from callers unknown          without rows: as the service they called, whose proxy may know their names
//! messages                      spans: proxies do not see messages
//! ```
//! The choice is made for ten minutes of the clock and not for the range asked for, so that the answers of two
//! ranges add up to that of both.

use crate::cell_key::Evidence;
use crate::entry::Entry;
use crate::hashing::NumberMap;
use crate::measure::MILLI;
use crate::services::ServiceId;

/// What an answer may be derived from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// Rows of proxies where they are complete, spans elsewhere.
    #[default]
    Auto,
    Requests,
    Spans,
}

impl Source {
    pub const ALL: [Source; 3] = [Source::Auto, Source::Requests, Source::Spans];

    pub const fn name(self) -> &'static str {
        match self {
            Source::Auto => "auto",
            Source::Requests => "requests",
            Source::Spans => "spans",
        }
    }

    pub fn allows(self, evidence: Evidence) -> bool {
        match self {
            Source::Auto => true,
            Source::Requests => evidence == Evidence::Requests,
            Source::Spans => evidence == Evidence::Spans,
        }
    }
}

/// Spans are taken where they tell of this much more than rows do, and of at least so many calls more: a few
/// calls on the way from the caller to the callee when the ten minutes ended are no proof. In percent, and calls.
const EXCESS_PERCENT: u64 = 5;
const EXCESS_CALLS_MIN: u64 = 20;

/// Which entries count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    Of(Evidence),
    Connections,
    /// Nothing tells but the edges.
    EdgesIn,
}

impl Choice {
    /// Whether an entry of this evidence is one of those that add up.
    pub fn counts(self, evidence: Evidence, entry: Entry) -> bool {
        match entry {
            Entry::Alias | Entry::Carrying | Entry::CarryingTraced => false,
            Entry::Messages | Entry::ReceivedMessages => true,
            Entry::Connections | Entry::ReceivedConnections => self == Choice::Connections,
            Entry::Edge | Entry::Refused | Entry::Received => self == Choice::Of(evidence),
        }
    }
}

/// Calls by kind of evidence, in thousandths.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    rows: u64,
    spans: u64,
    connections: u64,
    messages: u64,
}

impl Totals {
    fn add(&mut self, entry: Entry, evidence: Evidence, requests: u64) {
        let sum = match (entry, evidence) {
            (Entry::Messages | Entry::ReceivedMessages, _) => &mut self.messages,
            (Entry::Connections | Entry::ReceivedConnections, _) => &mut self.connections,
            (Entry::Alias | Entry::Carrying | Entry::CarryingTraced, _) => return,
            (_, Evidence::Requests) => &mut self.rows,
            (_, Evidence::Spans) => &mut self.spans,
        };
        *sum = sum.saturating_add(requests);
    }

    fn spans_exceed(&self) -> bool {
        let excess = self.spans.saturating_sub(self.rows);
        excess >= EXCESS_CALLS_MIN * MILLI && excess * 100 >= self.rows * EXCESS_PERCENT
    }

    fn choice(&self) -> Choice {
        match (self.rows > 0, self.spans > 0) {
            (true, true) if self.spans_exceed() => Choice::Of(Evidence::Spans),
            (true, _) => Choice::Of(Evidence::Requests),
            (false, true) => Choice::Of(Evidence::Spans),
            (false, false) if self.connections > 0 => Choice::Connections,
            (false, false) if self.messages > 0 => Choice::Of(Evidence::Spans),
            (false, false) => Choice::EdgesIn,
        }
    }
}

/// All choices of one answer.
#[derive(Debug, Default)]
pub struct Choices {
    nodes: NumberMap<(ServiceId, u16), Totals>,
    edges: NumberMap<(ServiceId, ServiceId, u16), Totals>,
}

/// A service whose spans tell of more calls than its proxy's rows: by spans, and by rows, in thousandths.
pub struct Excess {
    pub service: ServiceId,
    pub spans: u64,
    pub rows: u64,
}

impl Choices {
    /// Adds so many calls, in thousandths.
    pub fn see_node(&mut self, node: ServiceId, window: u16, entry: Entry, by: Evidence, requests: u64) {
        self.nodes.entry((node, window)).or_default().add(entry, by, requests);
    }

    pub fn see_edge(
        &mut self,
        (source, target): (ServiceId, ServiceId),
        window: u16,
        entry: Entry,
        by: Evidence,
        requests: u64,
    ) {
        self.edges.entry((source, target, window)).or_default().add(entry, by, requests);
    }

    pub fn node(&self, node: ServiceId, window: u16) -> Choice {
        self.nodes.get(&(node, window)).map_or(Choice::EdgesIn, Totals::choice)
    }

    pub fn edge(&self, source: ServiceId, target: ServiceId, window: u16) -> Choice {
        self.edges.get(&(source, target, window)).map_or(Choice::EdgesIn, Totals::choice)
    }

    /// Whether rows of proxies tell of the edge.
    pub fn edge_has_rows(&self, source: ServiceId, target: ServiceId, window: u16) -> bool {
        self.edges.get(&(source, target, window)).is_some_and(|totals| totals.rows > 0)
    }

    /// Services counted from spans though their proxies told of some of the calls, in no order that means anything.
    pub fn excesses(&self) -> Vec<Excess> {
        let mut sums: NumberMap<ServiceId, (u64, u64)> = NumberMap::default();
        for ((service, _), totals) in self.nodes.iter().filter(|(_, t)| t.rows > 0 && t.spans_exceed()) {
            let sum = sums.entry(*service).or_default();
            (sum.0, sum.1) = (sum.0 + totals.spans, sum.1 + totals.rows);
        }
        let excess = |(service, (spans, rows))| Excess { service, spans, rows };
        sums.into_iter().map(excess).collect()
    }
}
