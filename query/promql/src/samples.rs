//! Where samples come from: the one thing that an evaluation asks of the world.
//!
//! A source gives what is stored, in whole and as it is; lookback, staleness and ranges are the evaluation's own.
//! Series that are counted from stored events say besides how many there were between two instants, and are not
//! extrapolated: they have no gaps between samples that would have to be guessed over.

use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::histogram::Histogram;
use crate::labels::Labels;
use crate::matcher::Matcher;

/// The bits of the value that says that a series ended.
/// Source: <https://prometheus.io/docs/specs/prw/remote_write_spec/#stale-markers>.
const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The value of a stale marker: a NaN of its own bits.
pub fn stale_marker() -> f64 {
    f64::from_bits(STALE_BITS)
}

/// Whether a value is a stale marker, and no NaN that was measured.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}

/// What is asked for: all samples of the series that match, later than `after` and at the latest at `until`, both
/// in milliseconds since the epoch.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// All have to match.
    pub matchers: &'a [Matcher],
    pub after: i64,
    pub until: i64,
    pub hints: Hints<'a>,
}

/// What the samples are for. A source may read less by it, never answer otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hints<'a> {
    /// The function right around the selector.
    pub function: Option<&'a str>,
    /// Milliseconds of the range; zero for an instant.
    pub range: i64,
    /// Milliseconds between evaluations.
    pub step: i64,
    /// Inside a subquery, its first instant: counters of events count from there.
    pub counts_from: Option<i64>,
}

/// Samples of one type, ordered by time. The vectors are of one length, but for `starts`, which may be empty.
#[derive(Debug, Clone)]
pub struct Run<T> {
    /// Milliseconds since the epoch, each once.
    pub times: Vec<i64>,
    pub values: Vec<T>,
    /// When each sample's counter began, in milliseconds; zero if nobody knows.
    pub starts: Vec<i64>,
}

impl<T> Default for Run<T> {
    fn default() -> Self {
        Run { times: Vec::new(), values: Vec::new(), starts: Vec::new() }
    }
}

impl<T> Run<T> {
    pub fn push(&mut self, time: i64, value: T) {
        self.times.push(time);
        self.values.push(value);
    }

    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    pub fn len(&self) -> usize {
        self.times.len()
    }
}

/// One series with its samples; floats include stale markers.
#[derive(Debug, Clone, Default)]
pub struct SeriesSamples {
    pub labels: Labels,
    pub floats: Run<f64>,
    pub histograms: Run<Arc<Histogram>>,
    /// For a counter that is counted from stored events: the exact count between two instants.
    pub events: Option<Arc<dyn Events>>,
}

/// Counts of stored events.
pub trait Events: fmt::Debug + Send + Sync {
    /// How much the counter grew later than `after` and until `until`, in milliseconds since the epoch; none if the
    /// series is not there in that time.
    ///
    /// # Errors
    /// As [`Samples::select`].
    fn increase(&self, after: i64, until: i64) -> Result<Option<f64>, Error>;

    /// Milliseconds of the shortest time that counts are known for.
    fn resolution(&self) -> i64;
}

/// What a source found.
#[derive(Debug, Clone, Default)]
pub struct Selected {
    /// Each label set once, in any order.
    pub series: Vec<SeriesSamples>,
    /// What the asker should know, for an answer's warnings and infos.
    pub warnings: Vec<String>,
    pub infos: Vec<String>,
}

/// A source of samples.
pub trait Samples {
    /// # Errors
    /// Any; [`Error::Internal`] if samples could not be read.
    fn select(&self, selection: &Selection<'_>) -> Result<Selected, Error>;
}
