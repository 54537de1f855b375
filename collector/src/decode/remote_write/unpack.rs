//! Proves that a payload can be decoded, and counts what its rows will take.
//!
//! Each sample is a row with all labels of its series, and a gap in a histogram becomes buckets without values: a few
//! bytes on the wire may be thousands in columns. So what the rows take is counted before there are any, and the sender is
//! told when it is more than one export may have.

use bytes::Bytes;

use super::buckets::Span;
use super::series::{Payload, SAMPLES_FIELD};
use super::{BUCKETS_MAX, Version};
use crate::decode::{Unreadable, Valid, valid_protobuf};
use crate::protobuf::messages::remote_write::{WRITE_REQUEST, WRITE_REQUEST_2};
use crate::protobuf::wire::{Fields, Value, WireError, packed_varints};

/// Strings in the table of symbols: each takes two words while a payload is decoded, and may be two bytes on the wire. A
/// request of Prometheus, 2,000 samples by default, has some hundreds.
const SYMBOLS_MAX: usize = 1 << 20;

/// Where a label's name and its value end, in the offsets of a column.
const LABEL_OFFSETS_BYTES: usize = 2 * size_of::<i32>();

/// # Errors
/// Bytes that are no such message, or have more symbols than are read; a message of the other version.
pub(super) fn unpack(bytes: Bytes, version: Version) -> Result<Valid, Unreadable> {
    let message = match version {
        Version::One => &WRITE_REQUEST,
        Version::Two => &WRITE_REQUEST_2,
    };
    let valid = valid_protobuf(bytes, message)?;
    check_version(&valid.bytes, version)?;
    let column_bytes = valid.column_bytes.saturating_add(repeated_bytes(&valid.bytes, version)?);
    Ok(Valid { column_bytes, ..valid })
}

/// The two messages share no field, so that one that is taken for the other would be empty: refused, because to its sender
/// a success would mean that it is stored.
fn check_version(bytes: &[u8], version: Version) -> Result<(), Unreadable> {
    let (mut fields_1, mut symbols, mut fields_2) = (0, 0, 0);
    for field in Fields::new(bytes) {
        match field?.0 {
            1 | 3 => fields_1 += 1,
            4 => symbols += 1,
            5 => fields_2 += 1,
            _ => {}
        }
    }
    fields_2 += symbols;
    let refused = |why: &str| Err(Unreadable::Undecodable(why.to_owned()));
    match version {
        Version::One if fields_1 == 0 && fields_2 > 0 => {
            refused("an io.prometheus.write.v2.Request whose content type says prometheus.WriteRequest")
        }
        Version::Two if fields_2 == 0 && fields_1 > 0 => {
            refused("a prometheus.WriteRequest whose content type says io.prometheus.write.v2.Request")
        }
        Version::Two if symbols > SYMBOLS_MAX => refused("more than 1048576 symbols"),
        _ => Ok(()),
    }
}

/// What rows take beyond what the validation counts: labels once a row, and buckets between spans.
fn repeated_bytes(bytes: &[u8], version: Version) -> Result<usize, WireError> {
    let payload = Payload::read(bytes, version)?;
    let mut all = payload.symbols_bytes();
    for series in payload.series() {
        all = all.saturating_add(series_bytes(series?, &payload)?);
    }
    Ok(all)
}

fn series_bytes(series: &[u8], payload: &Payload<'_>) -> Result<usize, WireError> {
    let histograms_field = payload.version.histograms_field();
    let (mut points, mut labels, mut buckets) = (0usize, 0usize, 0usize);
    for field in Fields::new(series) {
        match field? {
            (1, value) => labels = labels.saturating_add(label_bytes(value, payload)?),
            (SAMPLES_FIELD, _) => points += 1,
            (field, value) if field == histograms_field => {
                points += 1;
                buckets = buckets.saturating_add(bucket_bytes(value.bytes(field)?)?);
            }
            _ => {}
        }
    }
    Ok(points.saturating_mul(labels).saturating_add(buckets))
}

/// Of a label, or of references to names and values of labels.
fn label_bytes(field: Value<'_>, payload: &Payload<'_>) -> Result<usize, WireError> {
    let symbol_bytes = |reference| payload.symbol(reference).map_or(0, <[u8]>::len) + LABEL_OFFSETS_BYTES / 2;
    match (payload.version, field) {
        (Version::One, field) => Ok(field.bytes(1)?.len() + LABEL_OFFSETS_BYTES),
        (Version::Two, Value::Bytes(packed)) => packed_varints(packed)
            .try_fold(0usize, |all, reference| Ok(all.saturating_add(symbol_bytes(reference?)))),
        (Version::Two, single) => Ok(symbol_bytes(single.varint(1)?)),
    }
}

/// Of the buckets from the first to the last of both signs, or those between bounds, as integers and as doubles; those of
/// a histogram that is rejected because they are too many are not made.
fn bucket_bytes(histogram: &[u8]) -> Result<usize, WireError> {
    const NEGATIVE_SPANS: u32 = 8;
    const POSITIVE_SPANS: u32 = 11;
    const CUSTOM_VALUES: u32 = 16;
    let (mut sides, mut bounds) = ([(0usize, 0usize); 2], 0);
    for field in Fields::new(histogram) {
        match field? {
            (CUSTOM_VALUES, Value::Bytes(packed)) => bounds += packed.len() / size_of::<f64>(),
            (CUSTOM_VALUES, _) => bounds += 1,
            (field @ (NEGATIVE_SPANS | POSITIVE_SPANS), value) => {
                let span = Span::read(value.bytes(field)?)?;
                let (spans, extent) = &mut sides[usize::from(field == POSITIVE_SPANS)];
                let gap = if *spans > 0 { usize::try_from(span.offset).unwrap_or(0) } else { 0 };
                *extent = extent.saturating_add(gap).saturating_add(span.length as usize);
                *spans += 1;
            }
            _ => {}
        }
    }
    let kept = sides.into_iter().map(|(_, extent)| if extent > BUCKETS_MAX { 0 } else { extent });
    Ok(2 * size_of::<f64>() * (kept.sum::<usize>() + bounds))
}
