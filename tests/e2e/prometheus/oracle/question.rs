//! A query, when it is asked for, and what its answer may leave open.

use std::fmt;

/// One query, and when.
#[derive(Debug, Clone)]
pub struct Question {
    pub query: String,
    /// Milliseconds since the epoch; start, end and step of a range.
    times: Vec<i64>,
}

impl Question {
    /// At one time, or from a start to an end by a step; milliseconds.
    pub fn new(query: impl Into<String>, times: &[i64]) -> Question {
        Question { query: query.into(), times: times.to_vec() }
    }

    pub fn path(&self) -> &'static str {
        if self.times.len() == 1 { "query" } else { "query_range" }
    }

    pub fn times(&self) -> Vec<(&'static str, String)> {
        let names: &[&str] = if self.times.len() == 1 { &["time"] } else { &["start", "end", "step"] };
        let seconds = self.times.iter().map(|time| (*time as f64 / 1e3).to_string());
        names.iter().copied().zip(seconds).collect()
    }

    /// Whether the answer has the order of the query.
    pub fn sorts(&self) -> bool {
        self.times.len() == 1 && self.query.starts_with("sort")
    }

    /// Whether series are chosen by their values, which may be equal.
    pub fn chooses(&self) -> bool {
        self.query.starts_with("topk") || self.query.starts_with("bottomk")
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?}", self.path(), self.query, self.times)
    }
}
