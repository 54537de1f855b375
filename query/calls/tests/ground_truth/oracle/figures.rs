//! What is counted of the calls of a node or an edge.

use std::collections::{BTreeMap, BTreeSet};

use crate::mesh::Nanos;

/// Stands for versions or instances that may be told apart or not.
pub const ANY: &str = "*";

/// Nodes that received nothing are there with empty figures.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    pub nodes: BTreeMap<Label, Figures>,
    pub edges: BTreeMap<(Label, Label), Figures>,
    /// Nodes that took several messages of no known queue at once.
    pub batched: BTreeSet<Label>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    pub kind: &'static str,
    /// `namespace/name`, `name`, or `client@namespace/name`.
    pub name: String,
    /// What keeps two nodes of one name apart.
    pub apart: String,
}

/// What became of a call, in the words of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    ClientError,
    Aborted,
    Error,
}

/// How long a call was, as far as it is a latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasted {
    For(Nanos),
    /// Nobody says.
    Unknown,
    /// As long as a connection, which is no latency.
    Connection,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    pub requests: i64,
    pub errors: i64,
    pub client_errors: i64,
    pub aborted: i64,
    pub retries: i64,
    pub refused: i64,
    /// Of those refused, the errors; the rest are client errors.
    pub refused_errors: i64,
    /// Durations with their weights.
    pub durations: Vec<(Nanos, i64)>,
    /// Calls by version and instance of the receiver.
    pub parts: BTreeMap<(String, String), i64>,
    /// Some durations are not known.
    pub is_untimed: bool,
    /// Counted from spans, if only in part.
    pub is_by_spans: bool,
    /// Spans tell of more than access logs do: which of them count hangs on how much more.
    pub is_contested: bool,
    /// Of an edge: calls that left the caller, and those of which both ends tell.
    pub sent: i64,
    pub told_twice: i64,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::ClientError => "client_error",
            Outcome::Aborted => "aborted",
            Outcome::Error => "error",
        }
    }
}

impl Figures {
    pub fn add(&mut self, outcome: Outcome, lasted: Lasted, weight: i64) {
        self.requests += weight;
        match outcome {
            Outcome::Ok => {}
            Outcome::ClientError => self.client_errors += weight,
            Outcome::Aborted => self.aborted += weight,
            Outcome::Error => self.errors += weight,
        }
        match lasted {
            Lasted::For(duration) => self.durations.push((duration, weight)),
            Lasted::Unknown => self.is_untimed = true,
            Lasted::Connection => {}
        }
    }

    /// What the caller's proxy let not pass, which `add` has counted too.
    pub fn refuse(&mut self, outcome: Outcome, weight: i64) {
        self.refused += weight;
        self.refused_errors += if outcome == Outcome::Error { weight } else { 0 };
    }

    pub fn sent(&mut self, is_told_twice: bool) {
        self.sent += 1;
        self.told_twice += i64::from(is_told_twice);
    }

    /// Whether both ends of an edge tell of every call that left the caller.
    pub fn is_two_sided(&self) -> bool {
        self.sent > 0 && self.told_twice == self.sent
    }

    pub fn merge(&mut self, other: &Figures) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.client_errors += other.client_errors;
        self.aborted += other.aborted;
        self.retries += other.retries;
        self.refused += other.refused;
        self.refused_errors += other.refused_errors;
        self.durations.extend(&other.durations);
        for (part, requests) in &other.parts {
            *self.parts.entry(part.clone()).or_default() += requests;
        }
        self.is_untimed |= other.is_untimed;
        self.is_by_spans |= other.is_by_spans;
        self.is_contested |= other.is_contested;
    }

    /// The duration of nearest rank: the least that at least the share `q` of all calls does not exceed.
    pub fn quantile(&self, q: f64) -> Option<Nanos> {
        let mut durations = self.durations.clone();
        durations.sort_unstable();
        let total: i64 = durations.iter().map(|(_, weight)| weight).sum();
        let rank = (q * total as f64).ceil().max(1.0) as i64;
        let mut seen = 0;
        let reaches = durations.iter().find(|(_, weight)| {
            seen += weight;
            seen >= rank
        });
        reaches.map(|(duration, _)| *duration)
    }
}
