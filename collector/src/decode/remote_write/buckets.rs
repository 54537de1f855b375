//! Buckets of a native histogram, from spans and counts to one count after another; gaps become buckets without values.
//!
//! Source: prompb/io/prometheus/write/v2/types.proto, `BucketSpan` and the fields of `Histogram` that it belongs to.

use super::BUCKETS_MAX;
use crate::protobuf::wire::{Fields, Value, WireError, packed_fixed64, packed_varints, zigzag};
use crate::tally::RejectReason;

/// How many buckets follow one another, and how far behind those before.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Span {
    pub(super) offset: i32,
    pub(super) length: u32,
}

impl Span {
    /// # Errors
    /// Bytes that are no `BucketSpan`.
    pub(super) fn read(message: &[u8]) -> Result<Self, WireError> {
        let mut span = Span::default();
        for field in Fields::new(message) {
            match field? {
                (1, value) => span.offset = zigzag(value.varint(1)?),
                (2, value) => span.length = value.varint(2)? as u32,
                _ => {}
            }
        }
        Ok(span)
    }
}

/// Buckets of one sign as they are sent.
#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) spans: Vec<Span>,
    pub(super) deltas: Vec<i64>,
    pub(super) counts: Vec<f64>,
}

impl Side {
    pub(super) fn clear(&mut self) {
        self.spans.clear();
        self.deltas.clear();
        self.counts.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty() && self.deltas.is_empty() && self.counts.is_empty()
    }

    /// The counts of an integer histogram.
    ///
    /// # Errors
    /// [`RejectReason::BadHistogramBuckets`] for a count below zero or beyond 64 bits.
    pub(super) fn integers(&self) -> Result<Vec<i64>, RejectReason> {
        let mut last = 0i64;
        let counts = self.deltas.iter().map(|delta| {
            last = last.checked_add(*delta).filter(|count| *count >= 0)?;
            Some(last)
        });
        counts.collect::<Option<_>>().ok_or(RejectReason::BadHistogramBuckets)
    }

    /// The counts of a float histogram.
    ///
    /// # Errors
    /// [`RejectReason::BadHistogramBuckets`] for a count below zero.
    pub(super) fn doubles(&self) -> Result<&[f64], RejectReason> {
        let is_negative = self.counts.iter().any(|count| *count < 0.0);
        if is_negative { Err(RejectReason::BadHistogramBuckets) } else { Ok(&self.counts) }
    }
}

/// Writes the counts of spans one after another, with zeros in the gaps; gives the index of the first, `None` where there
/// are none.
pub(super) fn spread<T: Copy + Default>(
    spans: &[Span],
    counts: &[T],
    out: &mut Vec<T>,
) -> Result<Option<i64>, RejectReason> {
    let (mut left, mut next, mut first) = (counts, 0i64, None);
    for (at, span) in spans.iter().enumerate() {
        if at > 0 && span.offset < 0 {
            return Err(RejectReason::BadHistogramBuckets);
        }
        next += i64::from(span.offset);
        if span.length == 0 {
            continue;
        }
        let own = left.split_off(..span.length as usize).ok_or(RejectReason::BadHistogramBuckets)?;
        let gap_end = usize::try_from(next - *first.get_or_insert(next)).unwrap_or(usize::MAX);
        if gap_end.saturating_add(own.len()) > BUCKETS_MAX {
            return Err(RejectReason::TooManyBuckets);
        }
        out.resize(gap_end, T::default());
        out.extend_from_slice(own);
        next += i64::from(span.length);
    }
    if left.is_empty() { Ok(first) } else { Err(RejectReason::BadHistogramBuckets) }
}

/// The index of a bucket by its lower bound, from that by its upper bound.
pub(super) fn lower_index(first: Option<i64>) -> Result<i32, RejectReason> {
    let Some(first) = first else { return Ok(0) };
    i32::try_from(first - 1).map_err(|_| RejectReason::BadHistogramBuckets)
}

/// Adds the buckets without values before the first and behind the last.
pub(super) fn widen<T: Copy + Default>(
    counts: &mut Vec<T>,
    first: Option<i64>,
    buckets: usize,
) -> Result<(), RejectReason> {
    let before = usize::try_from(first.unwrap_or(0)).map_err(|_| RejectReason::BadHistogramBuckets)?;
    if before.saturating_add(counts.len()) > buckets {
        return Err(RejectReason::BadHistogramBuckets);
    }
    counts.splice(..0, std::iter::repeat_n(T::default(), before));
    counts.resize(buckets, T::default());
    Ok(())
}

/// Adds a field of repeated `sint64`, packed or one by one.
pub(super) fn extend_deltas(list: &mut Vec<i64>, value: Value<'_>, field: u32) -> Result<(), WireError> {
    let signed = |value: u64| (value >> 1) as i64 ^ -((value & 1) as i64);
    match value {
        Value::Bytes(packed) => {
            for delta in packed_varints(packed) {
                list.push(signed(delta?));
            }
        }
        single => list.push(signed(single.varint(field)?)),
    }
    Ok(())
}

/// Adds a field of repeated doubles, packed or one by one.
pub(super) fn extend_doubles(list: &mut Vec<f64>, value: Value<'_>, field: u32) -> Result<(), WireError> {
    match value {
        Value::Bytes(packed) => list.extend(packed_fixed64(packed)?.map(f64::from_bits)),
        single => list.push(single.double(field)?),
    }
    Ok(())
}
