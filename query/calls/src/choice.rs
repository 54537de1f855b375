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
use crate::survey::Counted;

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

/// What is chosen in one of the ten minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Chosen {
    window: u16,
    choice: Choice,
    has_rows: bool,
}

/// What is chosen of one node or edge in each of the ten minutes: ascending. Nothing tells of others.
type Course = Vec<Chosen>;

/// What a line tells of an edge, or of a node where it has no source.
#[derive(Debug, Clone, Copy)]
pub struct ToldOf<'c> {
    pub source: Option<ServiceId>,
    pub target: ServiceId,
    pub entry: Entry,
    pub evidence: Evidence,
    pub counted: &'c [(u16, Counted)],
}

/// All choices of one answer.
#[derive(Debug, Default)]
pub struct Choices {
    nodes: NumberMap<ServiceId, Course>,
    edges: NumberMap<(ServiceId, ServiceId), Course>,
    excesses: Vec<Excess>,
}

/// A service whose spans tell of more calls than its proxy's rows: by spans, and by rows, in thousandths.
#[derive(Debug, Clone, Copy)]
pub struct Excess {
    pub service: ServiceId,
    pub spans: u64,
    pub rows: u64,
}

impl Choices {
    /// Chooses by all that is told.
    pub fn of(told: &[ToldOf<'_>]) -> Choices {
        let (mut of_nodes, mut of_edges) = (NumberMap::default(), NumberMap::default());
        for (at, told) in told.iter().enumerate() {
            let places: &mut Vec<usize> = match told.source {
                None => of_nodes.entry(told.target).or_default(),
                Some(source) => of_edges.entry((source, told.target)).or_default(),
            };
            places.push(at);
        }
        let last = told.iter().filter_map(|told| told.counted.last()).map(|(window, _)| *window).max();
        let mut sums = Sums::of(last.unwrap_or(0));
        let mut choices = Choices::default();
        for (node, places) in of_nodes {
            sums.add(places.iter().map(|at| &told[*at]));
            choices.excesses.extend(sums.excess(node));
            choices.nodes.insert(node, sums.chosen());
        }
        for (edge, places) in of_edges {
            sums.add(places.iter().map(|at| &told[*at]));
            choices.edges.insert(edge, sums.chosen());
        }
        choices
    }

    /// What is chosen of a node, asked for in windows that ascend.
    pub fn of_node(&self, node: ServiceId) -> Asked<'_> {
        Asked(self.nodes.get(&node).map_or(&[], Vec::as_slice))
    }

    /// The same of an edge.
    pub fn of_edge(&self, source: ServiceId, target: ServiceId) -> Asked<'_> {
        Asked(self.edges.get(&(source, target)).map_or(&[], Vec::as_slice))
    }

    pub fn node(&self, node: ServiceId, window: u16) -> Choice {
        self.of_node(node).choice(window)
    }

    /// Services counted from spans though their proxies told of some of the calls, in no order that means anything.
    pub fn excesses(&self) -> Vec<Excess> {
        self.excesses.clone()
    }
}

/// What is left of a course by one that goes through it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'c>(&'c [Chosen]);

impl Asked<'_> {
    fn at(&mut self, window: u16) -> Option<Chosen> {
        // The next one as a rule; further where others tell of windows in between.
        if self.0.first().is_some_and(|chosen| chosen.window < window) {
            let passed = match self.0.get(1) {
                Some(next) if next.window >= window => 1,
                _ => self.0.partition_point(|chosen| chosen.window < window),
            };
            self.0 = &self.0[passed..];
        }
        self.0.first().copied().filter(|chosen| chosen.window == window)
    }

    /// Goes on to `window`, which is not before those asked for so far.
    pub fn choice(&mut self, window: u16) -> Choice {
        self.at(window).map_or(Choice::EdgesIn, |chosen| chosen.choice)
    }

    /// The same, for whether rows of proxies tell of it.
    pub fn has_rows(&mut self, window: u16) -> bool {
        self.at(window).is_some_and(|chosen| chosen.has_rows)
    }
}

/// Sums of one node or edge by window.
struct Sums {
    by_window: Vec<Totals>,
    /// Windows that lines told of, each once.
    met: Vec<u16>,
    is_met: Vec<bool>,
}

impl Sums {
    fn of(last: u16) -> Sums {
        let windows = usize::from(last) + 1;
        Sums { by_window: vec![Totals::default(); windows], met: Vec::new(), is_met: vec![false; windows] }
    }

    /// Adds up what is told of one, whose windows are then ascending.
    fn add<'c>(&mut self, told: impl Iterator<Item = &'c ToldOf<'c>>) {
        for told in told {
            for (window, counted) in told.counted {
                let place = usize::from(*window);
                self.by_window[place].add(told.entry, told.evidence, counted.requests);
                if !std::mem::replace(&mut self.is_met[place], true) {
                    self.met.push(*window);
                }
            }
        }
        self.met.sort_unstable();
    }

    fn totals(&self) -> impl Iterator<Item = (u16, &Totals)> {
        self.met.iter().map(|window| (*window, &self.by_window[usize::from(*window)]))
    }

    fn excess(&self, service: ServiceId) -> Option<Excess> {
        let exceeding = self.totals().filter(|(_, totals)| totals.rows > 0 && totals.spans_exceed());
        exceeding.fold(None, |sum: Option<Excess>, (_, totals)| {
            let Excess { spans, rows, .. } = sum.unwrap_or(Excess { service, spans: 0, rows: 0 });
            Some(Excess { service, spans: spans + totals.spans, rows: rows + totals.rows })
        })
    }

    /// What is chosen, and begins anew.
    fn chosen(&mut self) -> Course {
        let chosen = self.totals().map(|(window, totals)| Chosen {
            window,
            choice: totals.choice(),
            has_rows: totals.rows > 0,
        });
        let chosen = chosen.collect();
        for window in self.met.drain(..) {
            self.by_window[usize::from(window)] = Totals::default();
            self.is_met[usize::from(window)] = false;
        }
        chosen
    }
}
