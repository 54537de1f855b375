//! Native histograms: spans of buckets to the consecutive buckets of a row.
//!
//! ```text
//! schema     -4..=52  buckets at powers of 2^(2^-schema), to `metric_exp_histograms`; theirs are counted by the upper
//!                     bound and ours by the lower, so an index here is one less
//!            -53      buckets at the bounds given, to `metric_histograms`
//! spans      gap to the span before (the first: index of its first bucket), buckets in it
//! counts     of an integer histogram each as the difference to the one before, of a float histogram as it is
//! ```
//! A float histogram whose counts are all integers, as that of a scrape is, is kept as
//! one of integers, exactly; one with fractions is kept exactly in the columns `*_double`, beside rounded integers.
//!
//! What is checked is what Prometheus checks: no count below zero, as many counts as spans say, buckets that add up to
//! the count (or to no more, where the sum is no number because some values were none; of floats that is not
//! asked), bounds that ascend.
//!
//! Source: prompb/io/prometheus/write/v2/types.proto, `Histogram`; Prometheus "Native Histograms".

use super::buckets::{Side, Span, extend_deltas, extend_doubles, lower_index, spread, widen};
use crate::metric_rows::exp_histograms::{ExpCounts, ExpHistogram};
use crate::metric_rows::histograms::ExplicitHistogram;
use crate::metric_rows::point::{Distribution, STALE_MARKER};
use crate::protobuf::wire::{Fields, WireError, zigzag};
use crate::tally::RejectReason;

/// The schemas of buckets at powers of two that there are.
const SCHEMA_MIN: i32 = -4;
/// Prometheus takes those above 8 too and makes them coarser; here they are kept, and are made coarser when they are read.
const SCHEMA_MAX: i32 = 52;

/// The schema of buckets at bounds of their own.
const SCHEMA_CUSTOM: i32 = -53;

/// `Histogram.ResetHint` of a histogram that goes up and down.
const RESET_HINT_GAUGE: u64 = 3;

/// Above, doubles are all integers but not all integers are doubles.
const EXACT_MAX: f64 = (1u64 << 53) as f64;

/// A count as it is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Count {
    Integer(u64),
    Double(f64),
}

/// A `Histogram` message, and the row that it becomes.
#[derive(Debug)]
pub(super) struct NativeHistogram {
    count: Count,
    zero_count: Count,
    sum: f64,
    schema: i32,
    zero_threshold: f64,
    negative: Side,
    positive: Side,
    reset_hint: u64,
    custom_values: Vec<f64>,
    /// Milliseconds since the epoch.
    pub(super) time: i64,
    /// When it began to count, in milliseconds since the epoch; 0 where nobody says.
    pub(super) start: i64,
    exponential: ExpHistogram,
    explicit: ExplicitHistogram,
}

/// A row, by its table.
pub(super) enum Shape<'h> {
    Exponential(&'h ExpHistogram),
    Custom(&'h ExplicitHistogram),
}

impl Default for NativeHistogram {
    fn default() -> Self {
        NativeHistogram {
            count: Count::Integer(0),
            zero_count: Count::Integer(0),
            sum: 0.0,
            schema: 0,
            zero_threshold: 0.0,
            negative: Side::default(),
            positive: Side::default(),
            reset_hint: 0,
            custom_values: Vec::new(),
            time: 0,
            start: 0,
            exponential: ExpHistogram::default(),
            explicit: ExplicitHistogram::default(),
        }
    }
}

impl NativeHistogram {
    /// `start` is that of the whole series.
    ///
    /// # Errors
    /// Bytes that are no such message.
    pub(super) fn read(&mut self, message: &[u8], start: i64) -> Result<(), WireError> {
        self.clear();
        for field in Fields::new(message) {
            match field? {
                (1, value) => self.count = Count::Integer(value.varint(1)?),
                (2, value) => self.count = Count::Double(value.double(2)?),
                (3, value) => self.sum = value.double(3)?,
                (4, value) => self.schema = zigzag(value.varint(4)?),
                (5, value) => self.zero_threshold = value.double(5)?,
                (6, value) => self.zero_count = Count::Integer(value.varint(6)?),
                (7, value) => self.zero_count = Count::Double(value.double(7)?),
                (8, value) => self.negative.spans.push(Span::read(value.bytes(8)?)?),
                (9, value) => extend_deltas(&mut self.negative.deltas, value, 9)?,
                (10, value) => extend_doubles(&mut self.negative.counts, value, 10)?,
                (11, value) => self.positive.spans.push(Span::read(value.bytes(11)?)?),
                (12, value) => extend_deltas(&mut self.positive.deltas, value, 12)?,
                (13, value) => extend_doubles(&mut self.positive.counts, value, 13)?,
                (14, value) => self.reset_hint = value.varint(14)?,
                (15, value) => self.time = value.varint(15)? as i64,
                (16, value) => extend_doubles(&mut self.custom_values, value, 16)?,
                (17, value) => self.start = value.varint(17)? as i64,
                _ => {}
            }
        }
        if self.start == 0 {
            self.start = start;
        }
        Ok(())
    }

    fn clear(&mut self) {
        (self.count, self.zero_count) = (Count::Integer(0), Count::Integer(0));
        (self.sum, self.schema, self.zero_threshold) = (0.0, 0, 0.0);
        self.negative.clear();
        self.positive.clear();
        self.custom_values.clear();
        (self.reset_hint, self.time, self.start) = (0, 0, 0);
        self.exponential.clear();
        self.explicit.clear();
    }

    pub(super) fn is_gauge(&self) -> bool {
        self.reset_hint == RESET_HINT_GAUGE
    }

    /// Whether it ends the series, whatever else it says.
    pub(super) fn is_stale(&self) -> bool {
        self.sum.to_bits() == STALE_MARKER
    }

    /// The row that it becomes.
    ///
    /// # Errors
    /// Why it is no histogram, or none that is kept.
    pub(super) fn shape(&mut self) -> Result<Shape<'_>, RejectReason> {
        let reset_hint = (1..=RESET_HINT_GAUGE).contains(&self.reset_hint).then_some(self.reset_hint as i32);
        (self.exponential.reset_hint, self.explicit.reset_hint) = (reset_hint, reset_hint);
        match self.schema {
            _ if self.is_stale() => Ok(Shape::Exponential(&self.exponential)),
            SCHEMA_CUSTOM => {
                self.fill_explicit()?;
                Ok(Shape::Custom(&self.explicit))
            }
            SCHEMA_MIN..=SCHEMA_MAX => {
                self.fill_exponential()?;
                Ok(Shape::Exponential(&self.exponential))
            }
            _ => Err(RejectReason::UnknownHistogramSchema),
        }
    }

    fn fill_exponential(&mut self) -> Result<(), RejectReason> {
        if !self.custom_values.is_empty() {
            return Err(RejectReason::BadHistogramBuckets);
        }
        let row = &mut self.exponential;
        (row.scale, row.zero_threshold) = (self.schema, self.zero_threshold);
        if let Count::Integer(count) = self.count {
            row.zero_count = integer_of(self.zero_count)?;
            row.positive.offset = lower_index(spread(
                &self.positive.spans,
                &self.positive.integers()?,
                &mut row.positive.counts,
            )?)?;
            row.negative.offset = lower_index(spread(
                &self.negative.spans,
                &self.negative.integers()?,
                &mut row.negative.counts,
            )?)?;
            let zero_count = i64::try_from(row.zero_count).map_err(|_| RejectReason::CountOutOfRange)?;
            let counts = row.positive.counts.iter().chain(&row.negative.counts).chain([&zero_count]);
            row.distribution = counted(count, self.sum, counts)?;
            return Ok(());
        }
        let mut counts = ExpCounts {
            count: double_of(self.count)?,
            zero_count: double_of(self.zero_count)?,
            ..ExpCounts::default()
        };
        row.positive.offset =
            lower_index(spread(&self.positive.spans, self.positive.doubles()?, &mut counts.positive)?)?;
        row.negative.offset =
            lower_index(spread(&self.negative.spans, self.negative.doubles()?, &mut counts.negative)?)?;
        row.positive.counts.extend(counts.positive.iter().copied().map(rounded));
        row.negative.counts.extend(counts.negative.iter().copied().map(rounded));
        row.zero_count = rounded(counts.zero_count) as u64;
        row.distribution = distribution(rounded(counts.count) as u64, self.sum);
        let in_buckets = counts.positive.iter().chain(&counts.negative).copied();
        let are_integers = in_buckets.chain([counts.count, counts.zero_count]).all(is_integer);
        row.doubles = (!are_integers).then_some(counts);
        Ok(())
    }

    fn fill_explicit(&mut self) -> Result<(), RejectReason> {
        let bounds = &self.custom_values;
        let ascends = bounds.is_sorted_by(|a, b| a < b) && !bounds.iter().any(|bound| bound.is_nan());
        let has_zero_bucket = self.zero_threshold != 0.0 || double_of(self.zero_count)? != 0.0;
        let starts_below = self.positive.spans.first().is_some_and(|span| span.offset < 0);
        if !ascends
            || bounds.last() == Some(&f64::INFINITY)
            || has_zero_bucket
            || !self.negative.is_empty()
            || starts_below
        {
            return Err(RejectReason::BadHistogramBuckets);
        }
        let row = &mut self.explicit;
        row.bounds.extend_from_slice(bounds);
        let buckets = bounds.len() + 1;
        if let Count::Integer(count) = self.count {
            let first = spread(&self.positive.spans, &self.positive.integers()?, &mut row.bucket_counts)?;
            widen(&mut row.bucket_counts, first, buckets)?;
            row.distribution = counted(count, self.sum, row.bucket_counts.iter())?;
            return Ok(());
        }
        let (count, mut counts) = (double_of(self.count)?, Vec::new());
        let first = spread(&self.positive.spans, self.positive.doubles()?, &mut counts)?;
        widen(&mut counts, first, buckets)?;
        row.bucket_counts.extend(counts.iter().copied().map(rounded));
        row.distribution = distribution(rounded(count) as u64, self.sum);
        let are_integers = counts.iter().copied().chain([count]).all(is_integer);
        row.doubles = (!are_integers).then_some((count, counts));
        Ok(())
    }
}

/// The population of an integer histogram, whose buckets have to add up to its count.
fn counted<'c>(
    count: u64,
    sum: f64,
    counts: impl Iterator<Item = &'c i64>,
) -> Result<Distribution, RejectReason> {
    if i64::try_from(count).is_err() {
        return Err(RejectReason::CountOutOfRange);
    }
    let total = counts.map(|count| *count as u64).try_fold(0u64, u64::checked_add);
    // A value that is no number makes the sum none, and is in no bucket.
    let fits = if sum.is_nan() { total.is_some_and(|total| total <= count) } else { total == Some(count) };
    if fits { Ok(distribution(count, sum)) } else { Err(RejectReason::BadHistogramBuckets) }
}

fn distribution(count: u64, sum: f64) -> Distribution {
    Distribution { count, sum: Some(sum), min: None, max: None }
}

/// A count of an integer histogram.
fn integer_of(count: Count) -> Result<u64, RejectReason> {
    match count {
        Count::Integer(count) => Ok(count),
        Count::Double(_) => Err(RejectReason::BadHistogramBuckets),
    }
}

/// A count of a float histogram; what is not sent is an integer 0.
fn double_of(count: Count) -> Result<f64, RejectReason> {
    match count {
        Count::Double(count) if count < 0.0 => Err(RejectReason::BadHistogramBuckets),
        Count::Double(count) => Ok(count),
        Count::Integer(count) => Ok(count as f64),
    }
}

fn is_integer(count: f64) -> bool {
    count <= EXACT_MAX && count.fract() == 0.0
}

/// The integer next to a count; the largest there is where that is larger, 0 of what is no number.
fn rounded(count: f64) -> i64 {
    count.round() as i64
}
