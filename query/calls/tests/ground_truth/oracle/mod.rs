//! The right answer: counts what happened, by the rules of what counts, and never looks at a row.

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

/// What the answers must say.
pub fn truth(story: &Story) -> Truth {
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
    books.chosen()
}
