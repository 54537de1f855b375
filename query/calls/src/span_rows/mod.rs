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
//! second brings in names, one batch after the other, and looks at each name once a batch. Spans come out of the first half
//! as they are held, dealt out by shard: handed over one by one, each waited for the memory of another shard. A proxy's
//! spans carry what matters in plain attributes under the proxy's own names; those are read for proxies only, for looking
//! a key up in a map is the slowest read there is.

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
use self::own_addresses::OwnAddresses;
use self::shape::shape;
use crate::addresses::Addresses;
use crate::cells::Book;
use crate::grouping::{By, Grain};
use crate::hashing::NumberMap;
use crate::held::{SHARDS, shard_of};
use crate::minutes::{NamesByMinute, Words, minute_of};
use crate::spans::{Flags, HeldSpan, Link, LinksAt, Shape, ShapeId, Shapes, hash_of};

/// What a span without `service.name` is called. Source: OpenTelemetry resource semantic conventions.
pub const UNKNOWN_SERVICE: &str = "unknown_service";

/// A batch whose ids are read and whose rows are sorted out by what they say.
#[derive(Debug)]
pub struct SpanBatch {
    batch: RecordBatch,
    /// By shard, and of one shard in the order of rows. Shapes are numbered as in `first_rows`.
    spans: Vec<HeldSpan>,
    /// By span: its row.
    rows: Vec<u32>,
    /// By shard: where its spans begin, and then where the last ones end.
    begins: Vec<u32>,
    /// By shape: the first row that has it.
    first_rows: Vec<usize>,
    /// In which minutes spans of which shape begin, each by one that does.
    begun: Vec<(ShapeId, i64)>,
    own: OwnAddresses,
}

/// What the spans of a batch say, by their number in it.
#[derive(Debug)]
pub struct Said(Vec<(ShapeId, Shape)>);

impl Said {
    /// The number that the shape has among all.
    pub fn id(&self, in_batch: ShapeId) -> ShapeId {
        self.of(in_batch).0
    }

    /// Whether the links of some may matter.
    pub fn may_have_links(&self) -> bool {
        self.0.iter().any(|(_, shape)| may_have_links(shape))
    }

    fn of(&self, in_batch: ShapeId) -> &(ShapeId, Shape) {
        &self.0[in_batch.0 as usize]
    }
}

impl SpanBatch {
    /// Reads what needs no other batch, for a question with this grouping.
    ///
    /// # Errors
    /// A bug of ours: the batch is not one of columns of `spans`.
    pub fn read(batch: RecordBatch, by: By, grain: Grain) -> Result<SpanBatch, RowsError> {
        let columns = Columns::of(&batch)?;
        let mut codes = codes::codes(&columns, batch.num_rows(), by, grain);
        if let Some(asked) = Asked::of(grain, &batch)? {
            asked.mix(&mut codes);
        }
        let (shapes, first_rows) = numbered(&codes);
        let starts: Vec<i64> = (0..batch.num_rows()).map(|row| columns.time_unix_nano.or_zero(row)).collect();
        let own = OwnAddresses::of(&columns.resource, &shapes, &starts);
        let begun = begun(&shapes, &starts, first_rows.len());
        let (spans, rows, begins) = dealt_out(&columns, &shapes, &starts);
        Ok(SpanBatch { batch, spans, rows, begins, first_rows, begun, own })
    }

    /// The rows.
    pub fn rows(&self) -> &RecordBatch {
        &self.batch
    }

    /// Brings in what the spans say: the second half.
    ///
    /// # Errors
    /// None that [`SpanBatch::read`] had not.
    pub fn said(&self, book: &mut Book, shapes: &mut Shapes) -> Result<Said, RowsError> {
        let columns = Columns::of(&self.batch)?;
        let asked = Asked::of(book.grain, &self.batch)?;
        let of_batch = self.first_rows.iter().map(|row| {
            let shape = shape(*row, &columns, asked.as_ref(), book);
            (shapes.intern(shape), shape)
        });
        Ok(Said(of_batch.collect()))
    }

    /// Tells whom the spans name in which minute, and what addresses they have.
    pub fn tell_names(&self, said: &Said, names: &mut NamesByMinute, addresses: &mut Addresses) {
        for (shape, time) in &self.begun {
            let (_, shape) = said.of(*shape);
            names.see(Words::Spans, *time, [shape.party, shape.peer]);
        }
        let own = |shape| {
            let (_, shape) = said.of(ShapeId(shape));
            (!shape.flags.has(Flags::PROXY)).then_some(shape.party)
        };
        self.own.tell(own, addresses);
    }

    /// The spans of each shard that has any, their shapes by their numbers in the batch.
    pub fn by_shard(&self) -> impl Iterator<Item = (usize, &[HeldSpan])> {
        let of_shard =
            move |(shard, ends): (usize, &[u32])| (shard, &self.spans[ends[0] as usize..ends[1] as usize]);
        self.begins.windows(2).enumerate().map(of_shard).filter(|(_, spans)| !spans.is_empty())
    }

    /// Hands out every span, its shape by its number among all, with its links where they may matter.
    ///
    /// # Errors
    /// None that [`SpanBatch::read`] had not.
    pub fn one_by_one(
        &self,
        said: &Said,
        mut take: impl FnMut(HeldSpan, &Shape, Vec<Link>),
    ) -> Result<(), RowsError> {
        let columns = Columns::of(&self.batch)?;
        for (span, row) in self.spans.iter().zip(&self.rows) {
            let (id, shape) = said.of(span.shape);
            let links = if may_have_links(shape) { links(&columns.links, *row as usize) } else { Vec::new() };
            take(HeldSpan { shape: *id, ..*span }, shape, links);
        }
        Ok(())
    }
}

fn may_have_links(shape: &Shape) -> bool {
    shape.role.is_of_message()
}

/// Each shape and minute of these rows once, about, with a time in it.
fn begun(shapes: &[u32], starts: &[i64], count: usize) -> Vec<(ShapeId, i64)> {
    let mut last = vec![None; count];
    let mut begun = Vec::new();
    for (shape, start) in shapes.iter().zip(starts) {
        let minute = Some(minute_of(*start));
        if last[*shape as usize] != minute {
            last[*shape as usize] = minute;
            begun.push((ShapeId(*shape), *start));
        }
    }
    begun
}

/// The spans by shard, their rows, and where each shard begins: they are counted first, and then each is written to its place.
fn dealt_out(columns: &Columns<'_>, shapes: &[u32], starts: &[i64]) -> (Vec<HeldSpan>, Vec<u32>, Vec<u32>) {
    let traces: Vec<[u64; 2]> =
        (0..shapes.len()).map(|row| ids::trace_id(columns.trace_id.get(row))).collect();
    let mut begins = vec![0; SHARDS + 1];
    traces.iter().for_each(|trace| begins[shard_of(hash_of(*trace)) + 1] += 1);
    for shard in 1..begins.len() {
        begins[shard] += begins[shard - 1];
    }
    let mut next: Vec<u32> = begins[..SHARDS].to_vec();
    let (mut spans, mut rows) = (vec![HeldSpan::default(); shapes.len()], vec![0; shapes.len()]);
    for (row, trace) in traces.into_iter().enumerate() {
        let next = &mut next[shard_of(hash_of(trace))];
        rows[*next as usize] = row as u32;
        spans[*next as usize] = HeldSpan {
            trace,
            id: ids::span_id(columns.span_id.get(row)),
            parent: ids::span_id(columns.parent_span_id.get(row)),
            start: starts[row],
            duration: columns.duration_nano.or_zero(row),
            shape: ShapeId(shapes[row]),
            links: LinksAt::default(),
        };
        *next += 1;
    }
    (spans, rows, begins)
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
