//! Writes parts of traces as rows of `traces`: sorted, with each part's services by name.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;

use super::TracesError;
use super::parts::{Part, Parts, Root};
use crate::batch::TableBatch;
use crate::tables::{Kind, SERVICES_MAX, Table};

/// The parts as rows.
pub(super) fn finish(mut parts: Parts) -> Result<TableBatch, TracesError> {
    let order = sorted(&parts);
    let (services, truncated) = services(&mut parts, &order)?;
    let (names, keys) = (&parts.names, &parts.keys);
    let ids = || order.iter().map(|&position| keys[position].trace_id);
    check_text(ids().map(str::len).sum())?;
    let part = || order.iter().map(|&position| &parts.parts[position]);
    let root = || part().map(|part| part.root);
    let integers =
        |value: fn(&Part) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(part().map(value))) };
    let times = |value: fn(&Part) -> i64| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter_values(part().map(value)).with_timezone("UTC"))
    };
    let root_integers = |value: fn(Root) -> Option<i64>| -> ArrayRef {
        Arc::new(root().map(|root| root.and_then(value)).collect::<Int64Array>())
    };
    let root_texts =
        |value: fn(Root) -> Option<u32>| names.dictionary(root().map(|root| root.and_then(value)));
    let columns: Vec<ArrayRef> = vec![
        names.dictionary(order.iter().map(|&position| Some(keys[position].tenant))),
        times(|part| part.ingest_micros),
        times(|part| part.time_micros),
        integers(|part| part.time_nanos),
        integers(|part| part.end_nanos),
        integers(|part| part.last_start_nanos),
        integers(|part| part.end_nanos.saturating_sub(part.time_nanos)),
        Arc::new(StringArray::from_iter_values(ids())),
        root_integers(|root| Some(root.time_nanos)),
        root_integers(|root| Some(root.duration_nanos)),
        root_texts(|root| root.service),
        root_texts(|root| root.service_namespace),
        root_texts(|root| root.name),
        Arc::new(root().map(|root| root.map(|root| root.status_code)).collect::<Int32Array>()),
        root_texts(|root| root.outcome),
        root_integers(|root| root.http_status),
        integers(|part| part.span_count),
        integers(|part| part.error_count),
        integers(|part| part.status_error_count),
        services,
        Arc::new(truncated),
    ];
    let rows = RecordBatch::try_new(Arc::clone(Table::Traces.schema()), columns);
    let rows = rows.expect("the columns are those of the table, in its order, of one length");
    Ok(TableBatch::try_new(Table::Traces, rows).expect("the schema is the table's own"))
}

/// Positions of the parts by the table's sort key, then tenant. The first half of an id nearly always decides, and
/// compares as one number.
fn sorted(parts: &Parts) -> Vec<usize> {
    let head = |position: usize| {
        let mut head = [0; 16];
        let id = parts.keys[position].trace_id.as_bytes();
        let count = id.len().min(head.len());
        head[..count].copy_from_slice(&id[..count]);
        u128::from_be_bytes(head)
    };
    let rest = |position: usize| {
        let (key, part) = (&parts.keys[position], &parts.parts[position]);
        (key.trace_id, part.time_micros, parts.names.text(key.tenant))
    };
    let mut order: Vec<(u128, usize)> = (0..parts.keys.len()).map(|i| (head(i), i)).collect();
    order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| rest(a.1).cmp(&rest(b.1))));
    order.into_iter().map(|(_, position)| position).collect()
}

/// The columns `services` and `services_truncated` of the parts in the order given.
fn services(parts: &mut Parts, order: &[usize]) -> Result<(ArrayRef, BooleanArray), TracesError> {
    let by_name = ranks(parts);
    let mut rows = vec![0; order.len()];
    for (row, &position) in order.iter().enumerate() {
        rows[position] = row;
    }
    // Sorted by row, then name, as one number each.
    let mut pairs: Vec<u64> = parts
        .services
        .iter()
        .map(|&(position, service)| {
            (rows[position as usize] as u64) << 32 | u64::from(by_name.ranks[service as usize])
        })
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    let (mut lengths, mut texts) = (vec![0; order.len()], Vec::with_capacity(pairs.len()));
    let mut truncated: Vec<bool> =
        order.iter().map(|&position| parts.parts[position].services_truncated).collect();
    for pair in pairs {
        let (row, rank) = ((pair >> 32) as usize, pair as u32);
        if lengths[row] == SERVICES_MAX {
            truncated[row] = true;
            continue;
        }
        lengths[row] += 1;
        texts.push(by_name.texts[rank as usize]);
    }
    check_text(texts.iter().map(|text| text.len()).sum())?;
    let DataType::List(element) = Kind::TextList.hot_type() else { unreachable!("a list kind is a list") };
    let values = Arc::new(StringArray::from_iter_values(texts));
    let lists = ListArray::new(element, OffsetBuffer::from_lengths(lengths), values, None);
    Ok((Arc::new(lists), truncated.into()))
}

/// Services by name.
struct Ranks<'a> {
    texts: Vec<&'a str>,
    /// By the number of a name that is a service's: its place in `texts`.
    ranks: Vec<u32>,
}

fn ranks<'a>(parts: &Parts<'a>) -> Ranks<'a> {
    let mut is_service = vec![false; parts.names.len()];
    for (_, service) in &parts.services {
        is_service[*service as usize] = true;
    }
    let mut numbers: Vec<u32> = (0..parts.names.len() as u32).filter(|n| is_service[*n as usize]).collect();
    numbers.sort_unstable_by_key(|number| parts.names.text(*number));
    let mut ranks = vec![0; parts.names.len()];
    for (rank, number) in numbers.iter().enumerate() {
        ranks[*number as usize] = rank as u32;
    }
    Ranks { texts: numbers.iter().map(|number| parts.names.text(*number)).collect(), ranks }
}

/// Arrow counts the bytes of a text column with an `i32`.
fn check_text(bytes: usize) -> Result<(), TracesError> {
    i32::try_from(bytes).map(|_| ()).map_err(|_| TracesError::TooLarge { bytes })
}
