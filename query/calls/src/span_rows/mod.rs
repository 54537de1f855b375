//! Reads the columns of `spans` that tell of calls into records of fixed size.
//!
//! ```text
//! codes   rows that say the same get the same number, without a look at their texts
//! shape   what spans of one number stand for, once for each
//! proxy_version  the release of the proxy that made a span
//! asked   what calls are grouped by, where that is no column of every question
//! own_addresses  what a resource says of the addresses that its service has
//! mixing  a column of values into those numbers
//! ids     hexadecimal to numbers
//! ```
//! A batch is read in two halves. The first needs nothing but the batch, so that many are read at the same time; the
//! second brings in names, one batch after the other, and looks at each name once a batch. A proxy's spans carry what
//! matters in plain attributes under the proxy's own names; those are read for proxies only, for looking a key up in a
//! map is the slowest read there is.

mod shape;
mod codes;
mod tags;
mod role;
pub mod columns;
mod proxy_version;
mod asked;
mod own_addresses;
mod mixing;
pub(crate) mod ids;

use arrow::array::RecordBatch;
use meshlake_schema::rows::{Links, RowsError};

use self::asked::Asked;
use self::columns::Columns;
use self::own_addresses::{OwnAddresses, ToldLast};
use self::shape::shape;
use crate::addresses::Addresses;
use crate::cells::Book;
use crate::grouping::{By, Grain};
use crate::hashing::NumberMap;
use crate::spans::{Flags, HeldSpan, Link, LinksAt, Role, Shape, ShapeId, Shapes};

/// What a span without `service.name` is called. Source: OpenTelemetry resource semantic conventions.
pub const UNKNOWN_SERVICE: &str = "unknown_service";

/// A batch whose ids are read and whose rows are sorted out by what they say.
#[derive(Debug)]
pub struct SpanBatch {
    batch: RecordBatch,
    /// By row.
    traces: Vec<[u64; 2]>,
    ids: Vec<u64>,
    parents: Vec<u64>,
    shapes: Vec<u32>,
    /// By shape: the first row that has it.
    first_rows: Vec<usize>,
    own: OwnAddresses,
}

impl SpanBatch {
    /// Reads what needs no other batch, for a question with this grouping.
    ///
    /// # Errors
    /// A bug of ours: the batch is not one of columns of `spans`.
    pub fn read(batch: RecordBatch, by: By, grain: Grain) -> Result<SpanBatch, RowsError> {
        let columns = Columns::of(&batch)?;
        let rows = 0..batch.num_rows();
        let traces = rows.clone().map(|row| ids::trace_id(columns.trace_id.get(row))).collect();
        let spans = rows.clone().map(|row| ids::span_id(columns.span_id.get(row))).collect();
        let parents = rows.map(|row| ids::span_id(columns.parent_span_id.get(row))).collect();
        let mut codes = codes::codes(&columns, batch.num_rows(), by, grain);
        if let Some(asked) = Asked::of(grain, &batch)? {
            asked.mix(&mut codes);
        }
        let (shapes, first_rows) = numbered(&codes);
        let own = OwnAddresses::of(&columns.resource, batch.num_rows());
        Ok(SpanBatch { batch, traces, ids: spans, parents, shapes, first_rows, own })
    }

    /// The rows.
    pub fn rows(&self) -> &RecordBatch {
        &self.batch
    }

    /// Hands out every span of the batch, with its links where they may matter. `addresses` learns what they tell of their own.
    ///
    /// # Errors
    /// None that [`SpanBatch::read`] had not.
    pub fn spans(
        &self,
        book: &mut Book,
        shapes: &mut Shapes,
        addresses: &mut Addresses,
        mut take: impl FnMut(HeldSpan, &Shape, Vec<Link>),
    ) -> Result<(), RowsError> {
        let columns = Columns::of(&self.batch)?;
        let asked = Asked::of(book.grain, &self.batch)?;
        let of_batch = self.first_rows.iter().map(|row| {
            let shape = shape(*row, &columns, asked.as_ref(), book);
            (shapes.intern(shape), shape)
        });
        let of_batch: Vec<(ShapeId, Shape)> = of_batch.collect();
        let mut told_last = ToldLast::default();
        for row in 0..self.batch.num_rows() {
            let (id, shape) = &of_batch[self.shapes[row] as usize];
            let span = HeldSpan {
                trace: self.traces[row],
                id: self.ids[row],
                parent: self.parents[row],
                start: columns.time_unix_nano.or_zero(row),
                duration: columns.duration_nano.or_zero(row),
                shape: *id,
                links: LinksAt::default(),
            };
            if !shape.flags.has(Flags::PROXY) {
                self.own.tell(row, span.start, shape.party, &mut told_last, addresses);
            }
            let has_links = matches!(shape.role, Role::Consumed | Role::Produced);
            take(span, shape, if has_links { links(&columns.links, row) } else { Vec::new() });
        }
        Ok(())
    }
}

fn links(links: &Links<'_>, row: usize) -> Vec<Link> {
    let link = |place: usize| {
        let (trace, span) = (links.trace_id.named(place)?, links.span_id.named(place)?);
        let [low, high] = ids::trace_id(Some(trace));
        Some((u128::from(high) << 64 | u128::from(low), ids::span_id(Some(span))))
    };
    links.places(row).filter_map(link).collect()
}

/// Small numbers for `codes`, by row, and the first row of each.
fn numbered(codes: &[u64]) -> (Vec<u32>, Vec<usize>) {
    let mut numbers: NumberMap<u64, u32> = NumberMap::default();
    let mut first_rows = Vec::new();
    let mut last = None;
    let by_row = codes.iter().enumerate().map(|(row, code)| match last {
        Some((known, number)) if known == code => number,
        _ => {
            let number = *numbers.entry(*code).or_insert(first_rows.len() as u32);
            if number as usize == first_rows.len() {
                first_rows.push(row);
            }
            last = Some((code, number));
            number
        }
    });
    (by_row.collect(), first_rows)
}

#[cfg(test)]
mod tests;
