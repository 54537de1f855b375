//! The right answer: counts what happened, by the rules of what counts, and never looks at a row.

pub mod operations;
pub mod books;
pub mod names;
pub mod figures;

use crate::mesh::{Nanos, SECOND};
use crate::story::{Root, Story};
use books::Books;
use figures::Truth;

/// The range asked for: one window of ten minutes, the unit in which evidence is chosen.
pub const FROM: Nanos = 1_700_000_400 * SECOND;
pub const TO: Nanos = FROM + 600 * SECOND;

/// From what an answer is to be derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// From what knows more, by node and by edge.
    Best,
    Spans,
    AccessLogs,
}

impl Evidence {
    pub const ALL: [Evidence; 3] = [Evidence::Best, Evidence::Spans, Evidence::AccessLogs];
}

/// What the answers must say.
pub fn truth(story: &Story, evidence: Evidence) -> Truth {
    let mut books = Books::of(&story.mesh);
    for trace in &story.traces {
        for call in trace.calls() {
            if (FROM..TO).contains(&call.start) {
                books.call(call, trace);
            }
        }
        if let Root::Batch(batch) = &trace.root {
            books.batch(batch, story);
        }
    }
    books.chosen(evidence)
}
