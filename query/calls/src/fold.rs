//! Takes batches of rows in any order and ends in a picture of the calls.

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::min;
use arrow::datatypes::Int64Type;
use meshlake_schema::UnixNanos;
use thiserror::Error;

use crate::cells::{Book, CELLS_MAX, DETAILS_MAX, Grain};
use crate::choice::Source;
use crate::pairing;
use crate::party::PARTIES_MAX;
use crate::picture::{By, Picture, picture};
use crate::range::Range;
use crate::requests::RequestRows;
use crate::services::Services;
use crate::spans::HeldSpans;

/// What to count and how to group it.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    pub range: Range,
    pub by: By,
    pub grain: Grain,
    pub source: Source,
}

/// The question needs more cells than are allowed; a shorter range, a wider step or a coarser grouping helps.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the answer needs more than {CELLS_MAX} cells: shorten the range, widen `step` or group by service")]
pub struct TooManyCells;

/// Rows so far.
pub struct Fold {
    question: Question,
    book: Book,
    requests: RequestRows,
    spans: HeldSpans,
    first_row: Option<i64>,
}

impl Fold {
    pub fn new(question: Question) -> Fold {
        let book = Book::new(question.range, question.grain);
        let (requests, spans) = (RequestRows::default(), HeldSpans::default());
        Fold { question, book, requests, spans, first_row: None }
    }

    /// Adds rows of `requests`; those outside the range are ignored.
    pub fn add_requests(&mut self, batch: &RecordBatch) {
        self.see(batch);
        self.requests.add(batch, &mut self.book);
    }

    /// Adds rows of `spans`. Rows outside the range are kept as possible parents and children, not counted.
    pub fn add_spans(&mut self, batch: &RecordBatch) {
        self.see(batch);
        self.spans.add(batch, &mut self.book);
    }

    /// The start of the earliest row so far, whether it is counted or not.
    pub fn first_row(&self) -> Option<UnixNanos> {
        self.first_row.map(UnixNanos)
    }

    fn see(&mut self, batch: &RecordBatch) {
        let starts =
            batch.column_by_name("time_unix_nano").and_then(|column| column.as_primitive_opt::<Int64Type>());
        let first = starts.and_then(|starts| min(starts));
        self.first_row = self.first_row.into_iter().chain(first).min();
    }

    /// Pairs, joins and groups.
    ///
    /// # Errors
    /// [`TooManyCells`].
    pub fn finish(mut self) -> Result<Picture, TooManyCells> {
        let Question { source, by, .. } = self.question;
        let mut warnings = Vec::new();
        let unjoined = self.requests.finish(&mut self.book);
        if unjoined > 0 {
            warnings.push(format!(
                "{unjoined} rows of requests were not joined with the other observer's: too many in the range"
            ));
        }
        let mut services = Services::resolve(&self.book.parties, self.spans.hosts());
        warnings.extend(pairing::pair(self.spans, &mut services, &mut self.book));
        if self.book.cells_overflowed() {
            return Err(TooManyCells);
        }
        if self.book.details_overflowed() {
            warnings.push(format!(
                "only {DETAILS_MAX} operations or instances are told apart; the rest is `(other)`"
            ));
        }
        if self.book.parties.overflowed() {
            warnings.push(format!("only {PARTIES_MAX} names are told apart; the rest is `(other)`"));
        }
        Ok(picture(&mut self.book, &mut services, source, by, warnings))
    }
}
