//! What files say of requests, kept for the questions that come after.
//!
//! A page of requests counts all rows of its range, and is asked for again every few seconds, by people and by itself. Files never
//! change, so what one says is counted once for a tenant and a choice of rows: values, and rows of each outcome by slice of ten
//! seconds, which bars of any width are made of. What is made by two at the same time is kept once. Limit: [`KEPT_BYTES_MAX`].

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use meshlake_engine::{DataFile, Part, Query, QueryError};
use meshlake_schema::rows::RowsError;
use meshlake_schema::{TimeRange, UnixNanos};

use super::Narrowing;
use super::counting::{read, scanned};
use super::counts::Counts;
use super::narrowing::OUTCOMES;
use crate::explore::bars::Bars;

/// Rows are told apart by slices of this length: ranges begin and end at such, and bars of all but the shortest ranges are
/// of whole ones.
pub const SLICE: Duration = Duration::from_secs(10);
const SLICE_NANOS: i64 = SLICE.as_nanos() as i64;

/// Bytes that are kept: of a file of a quarter of an hour, of a mesh of 200 services and 1,500 routes, some 300 KB.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// Files of a range that are kept each by itself: those of four days, of a quarter of an hour each. To read more of them one by one takes
/// longer than all at once: a millisecond or two each, before the first row.
const FILES_MAX: usize = 400;

/// What one takes beside what it says: its path, its choice, its place.
const OVERHEAD_BYTES: usize = 600;
const SLICE_BYTES: usize = 64;

/// What a file says.
#[derive(Debug, Default)]
pub struct OfFile {
    /// By number of the slice.
    slices: BTreeMap<i64, [u64; OUTCOMES.len()]>,
    pub counts: Counts,
}

/// What is kept, of all tenants.
#[derive(Debug, Default)]
struct Kept {
    held: Mutex<Held>,
}

/// The tenant, the choice, the path.
type Key = (Arc<str>, Arc<str>, Arc<str>);

#[derive(Debug, Default)]
struct Held {
    by_key: HashMap<Key, Entry>,
    bytes: usize,
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    of_file: Arc<OfFile>,
    bytes: usize,
    used: u64,
}

/// Whether what these files say is worth keeping, and enough to know for such bars: slices lie in one each.
pub fn are_worth<const BANDS: usize>(bars: &Bars<BANDS>, narrowing: &Narrowing, files: &[&DataFile]) -> bool {
    let is_sliced = bars.from.0 % SLICE_NANOS == 0 && bars.step_nanos % SLICE_NANOS == 0;
    is_sliced && !narrowing.has_id() && files.len() <= FILES_MAX
}

/// What these files say, in their order.
///
/// # Errors
/// Those of [`Query::scan`]. Cancel: what was made is kept.
pub async fn of(
    query: &Query,
    narrowing: &Narrowing,
    files: &[&DataFile],
) -> Result<Vec<Arc<OfFile>>, QueryError> {
    let kept = query.kept::<Kept>();
    let (tenant, choice): (Arc<str>, Arc<str>) = (query.tenant().into(), format!("{narrowing:?}").into());
    let made = files.iter().map(|file| {
        let path: &str = file.path.as_ref();
        let key = (Arc::clone(&tenant), Arc::clone(&choice), Arc::from(path));
        let kept = &kept;
        async move {
            if let Some(found) = kept.find(&key) {
                return Ok::<_, QueryError>(found);
            }
            let made = Arc::new(OfFile::read(query, narrowing, file).await?);
            kept.keep(key, &made);
            Ok(made)
        }
        .boxed()
    });
    let made: Vec<_> = made.collect();
    stream::iter(made).buffered(query.parallelism() + 1).try_collect().await
}

impl OfFile {
    async fn read(query: &Query, narrowing: &Narrowing, file: &DataFile) -> Result<OfFile, QueryError> {
        let passing = narrowing.clone();
        let each = move |of_file: &mut OfFile, batch: &RecordBatch| of_file.add(batch, &passing);
        let place = (Part::Files(&[file]), TimeRange::ALL);
        let parts = scanned(query, narrowing, place, OfFile::default, each).await?;
        let mut whole = OfFile::default();
        for part in parts {
            for (slice, rows) in part.slices {
                let own = whole.slices.entry(slice).or_default();
                own.iter_mut().zip(rows).for_each(|(own, rows)| *own += rows);
            }
            whole.counts.merge(&part.counts);
        }
        Ok(whole)
    }

    fn add(&mut self, batch: &RecordBatch, narrowing: &Narrowing) -> Result<(), RowsError> {
        let OfFile { slices, counts } = self;
        read(batch, narrowing, counts, |time, band| {
            slices.entry(time.0.div_euclid(SLICE_NANOS)).or_default()[band] += 1;
        })
    }

    /// Start and rows by outcome of each slice.
    pub fn slices(&self) -> impl Iterator<Item = (UnixNanos, &[u64; OUTCOMES.len()])> {
        self.slices.iter().map(|(slice, rows)| (UnixNanos(slice * SLICE_NANOS), rows))
    }

    fn bytes(&self) -> usize {
        OVERHEAD_BYTES + self.slices.len() * SLICE_BYTES + self.counts.bytes()
    }
}

impl Kept {
    fn find(&self, key: &Key) -> Option<Arc<OfFile>> {
        // Each change is one insertion or removal with its bytes.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.uses += 1;
        let uses = held.uses;
        let entry = held.by_key.get_mut(key)?;
        entry.used = uses;
        Some(Arc::clone(&entry.of_file))
    }

    fn keep(&self, key: Key, of_file: &Arc<OfFile>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.uses += 1;
        let (bytes, used) = (of_file.bytes(), held.uses);
        let before = held.by_key.insert(key, Entry { of_file: Arc::clone(of_file), bytes, used });
        held.bytes = held.bytes + bytes - before.map_or(0, |before| before.bytes);
        held.make_room(KEPT_BYTES_MAX);
    }
}

impl Held {
    /// Lets go of what was not used for longest, with an eighth of room to spare, so that it is rarely looked for.
    fn make_room(&mut self, bytes_max: usize) {
        if self.bytes <= bytes_max {
            return;
        }
        let mut order: Vec<(u64, Key)> =
            self.by_key.iter().map(|(key, entry)| (entry.used, key.clone())).collect();
        order.sort_unstable_by_key(|(used, _)| *used);
        for (_, key) in order {
            if self.bytes <= bytes_max - bytes_max / 8 {
                break;
            }
            self.bytes -= self.by_key.remove(&key).map_or(0, |entry| entry.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bars of ten seconds from the start of one, and of one second, which slices are too long for.
    #[test]
    fn files_are_kept_where_slices_tell_enough_of_them() {
        let bars = |from: i64, seconds: i64| {
            Bars::<1>::new(UnixNanos(from), UnixNanos(from + seconds * 1_000_000_000))
        };
        let all = Narrowing::default();
        assert!(are_worth(&bars(0, 1_200), &all, &[]));
        assert!(!are_worth(&bars(0, 60), &all, &[]) && !are_worth(&bars(1, 1_200), &all, &[]));
        let mut of_trace = Narrowing::default();
        of_trace.of_trace("0af7651916cd43dd8448eb211c80319c");
        assert!(!are_worth(&bars(0, 1_200), &of_trace, &[]), "few files are read anyway");
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let mut held = Held::default();
        for number in 0..8_u64 {
            let key = (Arc::from("t"), Arc::from(""), Arc::from(number.to_string()));
            let of_file = Arc::new(OfFile::default());
            held.by_key.insert(key, Entry { of_file, bytes: 10, used: (number + 4) % 8 });
            held.bytes += 10;
        }
        held.make_room(80);
        assert_eq!((held.by_key.len(), held.bytes), (8, 80), "at the bound nothing goes");
        held.make_room(79);
        let mut left: Vec<&str> = held.by_key.keys().map(|(_, _, path)| &**path).collect();
        left.sort_unstable();
        // 79 less an eighth is 70: one goes, the first that was used.
        assert_eq!((left, held.bytes), (vec!["0", "1", "2", "3", "5", "6", "7"], 70));
    }
}
