//! Series of some lines, which those of others can be added to.

use meshlake_promql::Labels;
use meshlake_schema::Budget;
use meshlake_schema::budget::Holding;

use super::cells::{Cell, values};
use super::keys::{Kept, Keys};
use super::steps::{NANOS_PER_SECOND, Steps};
use super::windows::Windows;
use crate::error::Error;
use crate::matching::quantity;
use crate::pipeline::{ERROR, ERROR_DETAILS, Entry, passes};
use crate::tree::metric::{Conversion, Function, Grouping, OverTime, Unwrap};

/// Series of one range aggregation. Loki's default is 500 in an answer; each costs its cells.
const SERIES_MAX: usize = 10_000;

/// Bytes of a series beside its cells: guess, not measured.
const SERIES_BYTES: usize = 512;

/// The mistake of a line whose label is no number.
const NUMBER_ERROR: &str = "SampleExtractionErr";

/// One series: its labels, and which instants have which values.
pub type Line = (Labels, Vec<(usize, f64)>);

/// What the lines that were added come to, for one range aggregation.
#[derive(Debug)]
pub struct Partial<'q> {
    over_time: &'q OverTime,
    steps: Steps,
    windows: Windows,
    keys: Keys<'q>,
    cells: Vec<Vec<Cell>>,
    holding: Holding<'q>,
}

impl<'q> Partial<'q> {
    /// Of no lines. The grouping is what [`Metric::over_time`](crate::tree::metric::Metric::over_time) tells beside.
    pub fn new(
        over_time: &'q OverTime,
        grouping: Option<&'q Grouping>,
        steps: Steps,
        budget: &'q dyn Budget,
    ) -> Partial<'q> {
        let unwrapped = over_time.unwrap.as_ref().map(|unwrap| unwrap.label.as_str());
        let kept = match over_time.function {
            Function::AbsentOverTime => Kept::None,
            _ => Kept::new(grouping, unwrapped),
        };
        Partial {
            over_time,
            steps,
            windows: Windows::new(over_time, steps),
            keys: Keys::new(kept),
            cells: Vec::new(),
            holding: Holding::new(budget),
        }
    }

    /// Lines later than the first and at the latest at the second can count; nanoseconds since the epoch.
    pub fn covered(&self) -> (i64, i64) {
        self.windows.covered()
    }

    /// Adds a line that went through the stages of the query.
    ///
    /// # Errors
    /// [`Error::Pipeline`] if a stage could not work on it, [`Error::TooManySeries`], [`Error::Spent`]; what was added is of no
    /// use then.
    pub fn add(&mut self, entry: &mut Entry<'_>) -> Result<(), Error> {
        let time = entry.time.0;
        let Some(place) = self.windows.place(time) else { return Ok(()) };
        let number = match &self.over_time.unwrap {
            None => 0.0,
            Some(unwrap) => match unwrapped(unwrap, entry) {
                Some(number) => number,
                None => return Ok(()),
            },
        };
        check_error(entry)?;
        let has_numbers = self.over_time.unwrap.is_some();
        let bytes = entry.line.len() as u64;
        let cell = Cell::of(self.over_time.function, has_numbers, time, bytes, number);
        let series = self.keys.place(&entry.labels);
        self.hold(series)?;
        self.put(series, place, &cell)
    }

    /// Makes room for a series that is new.
    fn hold(&mut self, series: usize) -> Result<(), Error> {
        if series < self.cells.len() {
            return Ok(());
        }
        if series == SERIES_MAX {
            return Err(Error::TooManySeries(SERIES_MAX));
        }
        let cells = self.windows.count();
        let bytes = SERIES_BYTES + cells * size_of::<Cell>();
        self.holding.resize(self.holding.bytes() + bytes)?;
        self.cells.push(vec![Cell::None; cells]);
        Ok(())
    }

    fn put(&mut self, series: usize, place: usize, cell: &Cell) -> Result<(), Error> {
        let own = &mut self.cells[series][place];
        let before = own.bytes();
        own.merge(cell);
        let more = own.bytes() - before;
        if more > 0 {
            self.holding.resize(self.holding.bytes() + more)?;
        }
        Ok(())
    }

    /// Adds what other lines came to, for the same aggregation and steps.
    ///
    /// # Errors
    /// As [`Partial::add`].
    ///
    /// # Panics
    /// If the other is of another aggregation or other steps: a bug of whoever has them.
    pub fn merge(&mut self, other: &Partial<'_>) -> Result<(), Error> {
        assert!(*self.over_time == *other.over_time && self.steps == other.steps, "parts of one question");
        for (labels, cells) in other.keys.labels().iter().zip(&other.cells) {
            let series = self.keys.place_of(labels);
            self.hold(series)?;
            for (place, cell) in cells.iter().enumerate() {
                self.put(series, place, cell)?;
            }
        }
        Ok(())
    }

    /// The series, in no order.
    pub fn finish(self) -> Vec<Line> {
        let Partial { over_time, steps, windows, keys, cells, .. } = self;
        if over_time.function == Function::AbsentOverTime {
            let seen = cells.first().map(|cells| values(cells, windows.cells(), over_time, steps.times()));
            return vec![absent(over_time, &seen.unwrap_or_default(), steps.count())];
        }
        let lines = keys.labels().iter().cloned().zip(&cells);
        lines
            .map(|(labels, cells)| (labels, values(cells, windows.cells(), over_time, steps.times())))
            .collect()
    }
}

/// The number that a line is; none for a line that has none.
fn unwrapped(unwrap: &Unwrap, entry: &mut Entry<'_>) -> Option<f64> {
    let text = entry.labels.get(&unwrap.label)?;
    let number = match unwrap.conversion {
        Conversion::Number => text.parse().ok(),
        Conversion::Duration => quantity::nanos(text).map(|nanos| nanos as f64 / NANOS_PER_SECOND),
        Conversion::Bytes => quantity::bytes(text),
    };
    if number.is_none() {
        let details = format!("{}: {text:?} is no number", unwrap.label);
        entry.labels.fail(NUMBER_ERROR, details);
    }
    let passed = unwrap.filters.iter().all(|condition| passes(condition, &mut entry.labels));
    passed.then(|| number.unwrap_or_default())
}

fn check_error(entry: &Entry<'_>) -> Result<(), Error> {
    let Some(kind) = entry.labels.get(ERROR) else { return Ok(()) };
    let kind = kind.to_owned();
    let labels = entry.labels.to_labels();
    let told = labels.iter().filter(|label| &*label.name != ERROR_DETAILS);
    let series = Labels::from_pairs(told.map(|label| (&*label.name, &*label.value))).to_string();
    Err(Error::Pipeline { kind, series })
}

/// One series of ones where nothing was seen; its labels are what the selector asks for by equality, as in PromQL.
fn absent(over_time: &OverTime, seen: &[(usize, f64)], steps: usize) -> Line {
    let equal = over_time.log.matchers.iter().filter(|m| m.comparison == meshlake_promql::Comparison::Equal);
    let labels = Labels::from_pairs(equal.map(|matcher| (matcher.name.as_str(), matcher.value.as_str())));
    let mut is_seen = vec![false; steps];
    seen.iter().for_each(|(step, _)| is_seen[*step] = true);
    let missing = is_seen.iter().enumerate().filter(|(_, is_seen)| !**is_seen);
    (labels, missing.map(|(step, _)| (step, 1.0)).collect())
}
