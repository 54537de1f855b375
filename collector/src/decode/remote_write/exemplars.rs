//! Exemplars of a series: a value, a time, and labels, of which two name a span.
//!
//! `trace_id` and `span_id`, the names that both specifications advise, stand in the columns of these names where they are
//! the hex digits of such ids; a reader finds them there, under these names. So does a trace id that is called
//! `traceID`, as older libraries do, which stays a label as well, lest its name be lost.

use super::labels::{Label, LabelList, text};
use super::samples::nanoseconds;
use super::series::Payload;
use crate::metric_rows::exemplars::ExemplarsColumn;
use crate::protobuf::wire::{Fields, WireError, repeated};

/// Hex digits of ids.
const TRACE_ID_DIGITS: usize = 32;
const SPAN_ID_DIGITS: usize = 16;

/// The types of as many labels as there may be, which are all strings.
pub(super) const LABEL_TYPES: &str = {
    const TYPES: [u8; super::LABELS_MAX + 1] = [b's'; super::LABELS_MAX + 1];
    match std::str::from_utf8(&TYPES) {
        Ok(types) => types,
        Err(_) => unreachable!(),
    }
};

/// The messages of a series' exemplars, in the order sent.
pub(super) fn exemplars_of<'a>(
    series: &'a [u8],
    payload: &Payload<'a>,
) -> impl Iterator<Item = Result<&'a [u8], WireError>> + use<'a> {
    repeated(series, payload.version.exemplars_field())
}

/// Pushes one exemplar of the row that is being built; says whether it could.
///
/// # Errors
/// Bytes that are no such message.
pub(super) fn push<'a>(
    column: &mut ExemplarsColumn,
    message: &'a [u8],
    payload: &Payload<'a>,
    labels: &mut LabelList<'a>,
) -> Result<bool, WireError> {
    let (mut value, mut time) = (0.0, 0);
    for field in Fields::new(message) {
        match field? {
            (2, field) => value = field.double(2)?,
            (3, field) => time = field.varint(3)? as i64,
            _ => {}
        }
    }
    payload.read_labels(message, labels)?;
    let Ok(labels) = labels.checked() else { return Ok(false) };
    column.time_unix_nano.push(nanoseconds(time));
    column.value.push(value);
    column.value_int.push_option(None);
    let id_of = |names: &[&[u8]], digits| {
        let named = names.iter().find_map(|name| labels.iter().find(|label| label.name == *name));
        named.map(|label| label.value).filter(|value| is_id(value, digits)).map(text)
    };
    column.trace_id.push_option(id_of(&[b"trace_id", b"traceID"], TRACE_ID_DIGITS));
    column.span_id.push_option(id_of(&[b"span_id", b"spanID"], SPAN_ID_DIGITS));
    let stays = |label: &&Label<'_>| match label.name {
        b"trace_id" => !is_id(label.value, TRACE_ID_DIGITS),
        b"span_id" => !is_id(label.value, SPAN_ID_DIGITS),
        _ => true,
    };
    let mut count = 0;
    for label in labels.iter().filter(stays) {
        column.attributes.push_entry(text(label.name), text(label.value));
        count += 1;
    }
    column.attributes.end_row();
    column.attribute_types.push(&LABEL_TYPES[..count]);
    Ok(true)
}

/// Whether text is an id as its column holds it: lower-case hex digits, not all of them zero.
fn is_id(value: &[u8], digits: usize) -> bool {
    value.len() == digits
        && value.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        && value.iter().any(|digit| *digit != b'0')
}
