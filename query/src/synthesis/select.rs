//! Answers selectors: the series that match, with what a question needs of each.

use std::sync::Arc;

use meshlake_calls::series::chunk::Chunk;
use meshlake_calls::series::metrics::{BUCKET_BOUND, Family, Histogram, METRICS, Metric, Reading};
use meshlake_promql::{Error, METRIC_NAME, Matcher, Run, Selected, Selection, SeriesSamples, stale_marker};

use super::Counted;
use super::grid::{self, Look};
use super::index::Index;
use super::loading::{Asked, load};
use super::timeline::{Reserved, Slot, Timeline};

/// Most series of one selector. Guess, not measured: ten times what an evaluation takes by default.
const SERIES_MAX: usize = 100_000;

/// Most samples of one selector; an evaluation holds no more either.
const SAMPLES_MAX: usize = 50_000_000;

const NANOS_PER_MILLI: i64 = 1_000_000;

/// The metrics whose names match.
pub fn named(matchers: &[Matcher]) -> Vec<&'static Metric> {
    let of_name = || matchers.iter().filter(|matcher| matcher.name == METRIC_NAME);
    METRICS.iter().filter(|metric| of_name().all(|matcher| matcher.matches(metric.name))).collect()
}

/// The label sets of one family, and the chunks that have them.
pub struct Indexed {
    pub family: Family,
    pub index: Arc<Index>,
    chunks: Arc<[Arc<Chunk>]>,
}

/// Label sets of the families that `metrics` have, over a range that begins at midnight.
pub fn indexes(
    counted: &Counted,
    metrics: &[&'static Metric],
    (from, until): (i64, i64),
    slot_seconds: u32,
) -> Result<Vec<Indexed>, Error> {
    let mut found = Vec::new();
    for by_operation in [false, true] {
        let is_asked = |family: &Family| {
            family.by_operation() == by_operation && metrics.iter().any(|metric| metric.family == *family)
        };
        let families: Vec<Family> = Family::ALL.into_iter().filter(is_asked).collect();
        if families.is_empty() {
            continue;
        }
        let asked = Asked { from, until, slot_seconds, by_operation };
        let chunks: Arc<[_]> = counted.wait(load(&counted.query, &counted.chunks, &asked))?.into();
        for family in families {
            let index = counted.chunks.index(&chunks, family);
            found.push(Indexed { family, index, chunks: Arc::clone(&chunks) });
        }
    }
    Ok(found)
}

/// The series of a selection.
///
/// # Errors
/// As `Samples::select`.
pub fn select(counted: &Counted, selection: &Selection<'_>) -> Result<Selected, Error> {
    let metrics = named(selection.matchers);
    if metrics.is_empty() {
        return Ok(Selected::default());
    }
    let look = Look::of(selection, counted.query.began().0.div_euclid(NANOS_PER_MILLI));
    let reserved = Arc::new(Reserved::of(counted.query.budget()));
    let mut selected = Selected::default();
    for Indexed { family, index, chunks } in
        indexes(counted, &metrics, (look.from, look.until), look.slot_seconds)?
    {
        tell(&chunks, &look, &mut selected);
        let mut making = Making { index: &index, selection, look, reserved: &reserved, series: Vec::new() };
        let sets = index.matching(selection.matchers, counted.query.budget().as_ref())?;
        let sets: Vec<usize> =
            sets.into_iter().filter(|set| index.set(*set).is_in(look.from, look.until)).collect();
        for metric in metrics.iter().filter(|metric| metric.family == family) {
            making.metric(metric, &sets)?;
        }
        selected.series.append(&mut making.series);
    }
    Ok(selected)
}

/// Says what is told less exactly than was asked.
fn tell(chunks: &[Arc<Chunk>], look: &Look, selected: &mut Selected) {
    let of_range = chunks.iter().filter(|chunk| chunk.start + grid::WINDOW > look.from);
    let widest = of_range.clone().map(|chunk| chunk.slot).max().unwrap_or_default();
    if widest > i64::from(look.slot_seconds) * 1_000 {
        let seconds = widest / 1_000;
        selected.infos.push(format!(
            "PromQL info: of a part of this time only counts of {seconds} s are kept; what lies inside of one is its share by time"
        ));
    }
    for warning in of_range.flat_map(|chunk| &chunk.warnings) {
        if !selected.warnings.contains(warning) {
            selected.warnings.push(warning.clone());
        }
    }
}

/// Series while they are made.
struct Making<'a> {
    index: &'a Index,
    selection: &'a Selection<'a>,
    look: Look,
    reserved: &'a Arc<Reserved>,
    series: Vec<SeriesSamples>,
}

impl Making<'_> {
    fn metric(&mut self, metric: &Metric, sets: &[usize]) -> Result<(), Error> {
        let name: Arc<str> = metric.name.into();
        let is_unbounded = self.is_bound("");
        let bounds = self.bounds(metric);
        for set in sets {
            match metric.reading {
                Reading::Amount { field, per } if is_unbounded => {
                    let slots = self.slots(*set, (field, field));
                    self.counter(*set, &name, None, &slots, per)?;
                }
                Reading::Sum(histogram) if is_unbounded && self.has_counts(*set, histogram) => {
                    let slots = self.slots(*set, (histogram.first, histogram.first));
                    self.counter(*set, &name, None, &slots, histogram.sum_per)?;
                }
                Reading::Count(histogram) if is_unbounded && self.has_counts(*set, histogram) => {
                    let slots = self.slots(*set, histogram.fields_up_to(histogram.bounds.len()));
                    self.counter(*set, &name, None, &slots, MILLI)?;
                }
                Reading::One if is_unbounded => self.one(*set, &name)?,
                Reading::Buckets(histogram) if self.has_counts(*set, histogram) => {
                    self.buckets(*set, &name, &bounds)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The counters of buckets with these bounds, ascending: each has what the one before has and its own.
    fn buckets(&mut self, set: usize, name: &Arc<str>, bounds: &[((u8, u8), Arc<str>)]) -> Result<(), Error> {
        let (mut below, mut next) = (Vec::new(), None);
        for ((first, last), bound) in bounds {
            below = added(below, self.slots(set, (next.unwrap_or(*first), *last)));
            next = Some(last + 1);
            self.counter(set, name, Some(bound), &below, MILLI)?;
        }
        Ok(())
    }

    /// The bounds of a metric's buckets that match, and the fields that lie below each.
    fn bounds(&self, metric: &Metric) -> Vec<((u8, u8), Arc<str>)> {
        let Reading::Buckets(histogram) = metric.reading else { return Vec::new() };
        let places = 0..=histogram.bounds.len();
        let bounds =
            places.map(|place| (histogram.fields_up_to(place), Arc::from(histogram.bound_text(place))));
        bounds.filter(|(_, bound): &(_, Arc<str>)| self.is_bound(bound)).collect()
    }

    /// Whether the matchers of a bucket's bound match this one.
    fn is_bound(&self, bound: &str) -> bool {
        let of_bound = self.selection.matchers.iter().filter(|matcher| matcher.name == BUCKET_BOUND);
        of_bound.into_iter().all(|matcher| matcher.matches(bound))
    }

    /// Whether any call of the set was measured: of those that were not, an empty histogram would tell a size of nothing.
    fn has_counts(&self, set: usize, histogram: &Histogram) -> bool {
        self.index.has_counts(set, histogram.fields_up_to(histogram.bounds.len()))
    }

    fn counter(
        &mut self,
        set: usize,
        name: &Arc<str>,
        bound: Option<&Arc<str>>,
        slots: &[Slot],
        per: u64,
    ) -> Result<(), Error> {
        let lives = &self.index.set(set).lives;
        self.reserved.grow(Timeline::bytes(slots.len(), lives.len()))?;
        let timeline = Timeline::of(slots.iter().copied(), lives, per, self.reserved);
        let floats = if self.look.wants_samples {
            let counts_from = self.selection.hints.counts_from;
            self.samples(&timeline, |time| timeline.value(time, counts_from), counts_from.is_none())?
        } else {
            Run::default()
        };
        self.push(set, name, bound, floats, Some(timeline))
    }

    /// A series that is one for as long as it is there.
    fn one(&mut self, set: usize, name: &Arc<str>) -> Result<(), Error> {
        let lives = &self.index.set(set).lives;
        let timeline = Timeline::of(std::iter::empty(), lives, 1, self.reserved);
        let floats = self.samples(&timeline, |_| 1.0, false)?;
        self.push(set, name, None, floats, None)
    }

    fn push(
        &mut self,
        set: usize,
        name: &Arc<str>,
        bound: Option<&Arc<str>>,
        floats: Run<f64>,
        timeline: Option<Timeline>,
    ) -> Result<(), Error> {
        if self.series.len() == SERIES_MAX {
            return Err(Error::Execution(
                "query would load too many series into memory in expression evaluation".to_owned(),
            ));
        }
        if !self.look.wants_samples || !floats.is_empty() {
            let labels = self.index.labels_of(set, name, bound);
            let events = timeline.map(|timeline| Arc::new(timeline) as Arc<dyn meshlake_promql::Events>);
            self.series.push(SeriesSamples { labels, floats, events, ..SeriesSamples::default() });
        }
        Ok(())
    }

    /// What was counted in these fields together, from the first instant that the question counts from; bare samples count
    /// from midnight.
    fn slots(&self, set: usize, fields: (u8, u8)) -> Vec<Slot> {
        let from = match (self.look.wants_samples, self.selection.hints.counts_from) {
            (false, _) => self.look.from,
            (true, Some(from)) => grid::floor(from, grid::GRID),
            (true, None) => grid::floor(self.look.from, grid::DAY),
        };
        let mut slots: Vec<Slot> = Vec::new();
        for (chunk, entries) in self.index.counts(set, fields) {
            if chunk.start + grid::WINDOW <= from || chunk.start >= self.look.until {
                continue;
            }
            let first = slots.len();
            let slot = |entry: &meshlake_calls::series::chunk::Entry| Slot {
                until: chunk.start + (i64::from(entry.slot) + 1) * chunk.slot,
                length: chunk.slot,
                amount: entry.amount,
            };
            slots.extend(entries.iter().map(slot));
            // Entries are sorted by field, then time: those of several fields are to be added up.
            slots[first..].sort_unstable_by_key(|slot| slot.until);
            let mut kept = first;
            for at in first..slots.len() {
                if kept > first && slots[kept - 1].until == slots[at].until {
                    slots[kept - 1].amount = slots[kept - 1].amount.saturating_add(slots[at].amount);
                } else {
                    slots[kept] = slots[at];
                    kept += 1;
                }
            }
            slots.truncate(kept);
        }
        slots
    }

    /// Samples at the instants that the question wants, while the series is there. A counter that goes on after midnight has
    /// one of zero right after it; one that does not has a stale marker where it is gone.
    fn samples(
        &self,
        timeline: &Timeline,
        value: impl Fn(i64) -> f64,
        begins_daily: bool,
    ) -> Result<Run<f64>, Error> {
        let count = grid::instants_count(self.selection, &self.look);
        if count.saturating_mul(self.series.len().saturating_add(1)) > SAMPLES_MAX {
            return Err(Error::Execution(
                "query processing would load too many samples into memory in expression evaluation"
                    .to_owned(),
            ));
        }
        self.reserved.grow(count * size_of::<(i64, f64)>())?;
        let mut floats = Run::default();
        let mut was_there = false;
        for time in grid::instants(self.selection, &self.look) {
            if timeline.is_there(time) {
                floats.push(time, value(time));
                if begins_daily && time % grid::DAY == 0 && timeline.begins_at(time) {
                    floats.push(time + 1, 0.0);
                }
            } else if was_there {
                floats.push(time, stale_marker());
            }
            was_there = timeline.is_there(time);
        }
        Ok(floats)
    }
}

/// Two lists of slots, both ascending and of the same chunks, as one.
fn added(some: Vec<Slot>, more: Vec<Slot>) -> Vec<Slot> {
    if some.is_empty() || more.is_empty() {
        return if some.is_empty() { more } else { some };
    }
    let mut all: Vec<Slot> = Vec::with_capacity(some.len() + more.len());
    let mut more = more.into_iter().peekable();
    for slot in some {
        all.extend(std::iter::from_fn(|| more.next_if(|next| next.until < slot.until)));
        let same = more.next_if(|next| next.until == slot.until).map_or(0, |next| next.amount);
        all.push(Slot { amount: slot.amount.saturating_add(same), ..slot });
    }
    all.extend(more);
    all
}

/// Calls are counted in thousandths.
const MILLI: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_of_one_time_are_added() {
        let slots = |all: &[(i64, u64)]| -> Vec<Slot> {
            all.iter().map(|(until, amount)| Slot { until: *until, length: 10, amount: *amount }).collect()
        };
        let (some, more) = (slots(&[(20, 1), (40, 2)]), slots(&[(10, 4), (30, 8), (40, 16), (50, 32)]));
        let want = slots(&[(10, 4), (20, 1), (30, 8), (40, 18), (50, 32)]);
        assert_eq!(added(some.clone(), more.clone()), want);
        assert_eq!(added(more.clone(), some), want);
        assert_eq!((added(more.clone(), Vec::new()), added(Vec::new(), more.clone())), (more.clone(), more));
    }
}
