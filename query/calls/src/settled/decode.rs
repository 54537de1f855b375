//! Adds rows of a settled table up in the cells of a question.

use arrow::array::RecordBatch;
use meshlake_schema::rows::{Booleans, IntegerLists, Integers, Micros, Rows, RowsError, Text};
use meshlake_schema::{Kind, Table, TimeRange, UnixNanos, read_columns};

use super::ends::End;
use super::entries;
use super::numbers::{histogram, narrow};
use super::whole::{self, Whole};
use crate::cells::{Book, CellKey, DetailId};
use crate::entry::Entry;
use crate::grouping::Grain;
use crate::measure::{Measure, Protocol, SUMS};
use crate::party::PartyId;

read_columns! {
    /// What is read of every settled table; the coarsest has them all.
    pub(super) struct Columns of Table::Calls10m {
        time: Micros,
        evidence: Text,
        entry: Text,
        protocol: Text,
        source_naming: Text,
        source_name: Text,
        source_namespace: Text,
        source_workload: Text,
        source_version: Text,
        source_port: Integers,
        source_is_scoped: Booleans,
        source_marks: Integers,
        destination_naming: Text,
        destination_name: Text,
        destination_namespace: Text,
        destination_workload: Text,
        destination_version: Text,
        destination_port: Integers,
        destination_is_scoped: Booleans,
        destination_marks: Integers,
        latency_zero_milli: Integers,
        latency_buckets: IntegerLists,
        latency_counts_milli: IntegerLists,
        latency_min_nano: Integers,
        latency_max_nano: Integers,
    }
}

/// The column of what a grain tells apart; none where it, or the table, tells nothing apart.
fn detail_column(table: Table, grain: Grain) -> Option<&'static str> {
    let name = match grain {
        Grain::Node | Grain::Whole | Grain::Attribute(_) => return None,
        Grain::Cluster => "destination_cluster",
        Grain::Operation => "operation",
        Grain::Instance => "destination_instance",
    };
    table.columns().iter().any(|column| column.name == name).then_some(name)
}

/// The columns that a question with this grain reads of a settled table. Only the finer tables have operations and
/// instances, and none has attributes.
pub fn columns(table: Table, grain: Grain) -> Vec<&'static str> {
    let whole = if grain == Grain::Whole { whole::NAMES } else { &[] };
    let always = Columns::NAMES.iter().copied().chain(SUMS);
    always.chain(detail_column(table, grain)).chain(whole.iter().copied()).collect()
}

/// Those of [`columns`] that a scan is to give as dictionaries: few distinct texts in many rows.
pub fn dictionaries(table: Table, grain: Grain) -> Vec<&'static str> {
    let is_text = |name: &&str| {
        let declared = table.columns().iter().find(|column| column.name == *name);
        declared.is_some_and(|column| column.kind == Kind::Dictionary)
    };
    columns(table, grain).into_iter().filter(is_text).collect()
}

/// Adds the rows of `batch` to `book` whose time is in its range and in one of `times`, which are ascending and apart.
///
/// # Errors
/// A bug of ours: the batch is not one of columns of `table`.
pub fn add(batch: &RecordBatch, table: Table, times: &[TimeRange], book: &mut Book) -> Result<(), RowsError> {
    let columns = Columns::of(batch)?;
    let rows = Rows::of(table, batch);
    let sums = SUMS.iter().map(|name| rows.read(name)).collect::<Result<Vec<Integers<'_>>, _>>()?;
    let detail = detail_column(table, book.grain);
    let details: Option<Text<'_>> = detail.map(|name| rows.read(name)).transpose()?;
    let whole = (book.grain == Grain::Whole).then(|| Whole::of(batch)).transpose()?;
    let mut text = String::new();
    for row in 0..batch.num_rows() {
        let Some(time) = columns.time.get(row).map(UnixNanos::from_micros) else { continue };
        let next = times.partition_point(|times| times.to <= time);
        if times.get(next).is_none_or(|times| time < times.from) {
            continue;
        }
        let Some(mut key) = key(row, time, &columns, details.as_ref(), book) else { continue };
        let measure = measure(row, &columns, &sums);
        if let Some(whole) = &whole {
            whole.detail(row).write(&mut text);
            key.detail = book.detail(Some(&text));
            key.protocol = protocol(row, &columns);
            book.add_sizes(key, &whole.sizes(row));
        }
        book.add_cell(key, &measure);
    }
    Ok(())
}

fn key(
    row: usize,
    time: UnixNanos,
    columns: &Columns<'_>,
    details: Option<&Text<'_>>,
    book: &mut Book,
) -> Option<CellKey> {
    let at = book.slot_of_cell(time.0)?;
    let evidence = columns.evidence.get(row).and_then(entries::evidence)?;
    let entry = columns.entry.get(row).and_then(entries::named)?;
    // No answer groups a node by its callers: their cells are added up, with those of earlier versions, which tell none.
    let tells_source = entry.is_edge() || book.grain == Grain::Whole;
    let source = if tells_source { source(row, columns).intern(book) } else { PartyId::NOBODY };
    let destination = destination(row, columns).intern(book);
    let is_without = entry == Entry::Alias || (book.grain == Grain::Instance && entry.is_edge());
    let text = details.filter(|_| !is_without).and_then(|details| details.named(row));
    let detail = if text.is_some() { book.detail(text) } else { DetailId::NONE };
    Some(CellKey { source, destination, detail, at, evidence, entry, protocol: Protocol::Unknown })
}

fn source<'a>(row: usize, columns: &Columns<'a>) -> End<'a> {
    End {
        name: columns.source_name.get(row),
        namespace: columns.source_namespace.get(row),
        workload: columns.source_workload.get(row),
        version: columns.source_version.get(row),
        naming: columns.source_naming.get(row),
        port: columns.source_port.get(row),
        is_scoped: columns.source_is_scoped.get(row),
        marks: columns.source_marks.get(row),
    }
}

fn destination<'a>(row: usize, columns: &Columns<'a>) -> End<'a> {
    End {
        name: columns.destination_name.get(row),
        namespace: columns.destination_namespace.get(row),
        workload: columns.destination_workload.get(row),
        version: columns.destination_version.get(row),
        naming: columns.destination_naming.get(row),
        port: columns.destination_port.get(row),
        is_scoped: columns.destination_is_scoped.get(row),
        marks: columns.destination_marks.get(row),
    }
}

fn measure(row: usize, columns: &Columns<'_>, sums: &[Integers<'_>]) -> Measure {
    let mut numbers = [0; SUMS.len()];
    numbers.iter_mut().zip(sums).for_each(|(number, column)| *number = narrow(column.or_zero(row)));
    let latency = histogram(
        columns.latency_zero_milli.or_zero(row),
        columns.latency_buckets.get(row),
        columns.latency_counts_milli.get(row),
        columns.latency_min_nano.or_zero(row),
        columns.latency_max_nano.or_zero(row),
    );
    Measure::of_sums(numbers, protocol(row, columns), latency)
}

fn protocol(row: usize, columns: &Columns<'_>) -> Protocol {
    columns.protocol.get(row).and_then(Protocol::named).unwrap_or_default()
}
