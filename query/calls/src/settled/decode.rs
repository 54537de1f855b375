//! Adds rows of a settled table up in the cells of a question.

use arrow::array::RecordBatch;
use meshlake_schema::rows::{Booleans, IntegerLists, Integers, Micros, Rows, RowsError, Text};
use meshlake_schema::{Kind, Table, TimeRange, UnixNanos, read_columns};

use super::detail::{Detail, Observer};
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

/// The columns of what a grain tells apart; none where it tells nothing apart.
pub fn detail_columns(grain: Grain) -> Vec<&'static str> {
    match grain {
        Grain::Node | Grain::Whole | Grain::Attribute(_) | Grain::Labels { by_operation: false } => vec![],
        Grain::Cluster => vec!["destination_cluster"],
        Grain::Operation | Grain::Labels { by_operation: true } => vec!["operation"],
        Grain::Instance => vec!["destination_instance"],
        Grain::Told(told) => ["observer"].into_iter().chain(told.columns()).collect(),
    }
}

/// The columns of a batch that tell apart what is asked for.
struct Details<'a> {
    texts: Vec<(&'static str, Text<'a>)>,
    numbers: Vec<(&'static str, Integers<'a>)>,
}

impl<'a> Details<'a> {
    fn of(rows: &Rows<'a>, table: Table, grain: Grain) -> Result<Self, RowsError> {
        let mut details = Details { texts: vec![], numbers: vec![] };
        for name in told(table, grain) {
            match name {
                "response_code" | "grpc_status" => details.numbers.push((name, rows.read(name)?)),
                _ => details.texts.push((name, rows.read(name)?)),
            }
        }
        Ok(details)
    }

    fn operation(&self, row: usize) -> Option<&'a str> {
        let (_, column) = self.texts.iter().find(|(name, _)| *name == "operation")?;
        column.named(row)
    }

    fn of_row(&self, row: usize, book: &mut Book) -> DetailId {
        if !matches!(book.grain, Grain::Told(_)) {
            let text = self.texts.first().and_then(|(_, column)| column.named(row));
            return text.map_or(DetailId::NONE, |text| book.detail(Some(text)));
        }
        let text = |name| {
            let column = self.texts.iter().find(|(known, _)| *known == name);
            column.and_then(|(_, column)| column.named(row))
        };
        let number = |name| {
            let column = self.numbers.iter().find(|(known, _)| *known == name);
            column.and_then(|(_, column)| column.get(row))
        };
        let detail = Detail {
            observer: Observer::named(text("observer").unwrap_or_default()),
            route: text("route"),
            host: text("host"),
            instance: text("destination_instance"),
            response_code: number("response_code"),
            grpc_status: number("grpc_status"),
            response_flags: text("response_flags"),
            refusal: text("refusal"),
            security: text("connection_security_policy"),
            catch_all: text("catch_all"),
            ..Detail::default()
        };
        let mut written = String::new();
        detail.write(&mut written);
        book.detail(Some(&written))
    }
}

/// Those of [`detail_columns`] that the table has.
fn told(table: Table, grain: Grain) -> impl Iterator<Item = &'static str> {
    let has = move |name: &&str| table.columns().iter().any(|column| column.name == *name);
    detail_columns(grain).into_iter().filter(has)
}

/// The columns that a question with this grain reads of a settled table. Only the finer tables have operations and
/// instances, and none has attributes.
pub fn columns(table: Table, grain: Grain) -> Vec<&'static str> {
    let whole = if grain.tells_ends() { whole::NAMES } else { &[] };
    let always = Columns::NAMES.iter().copied().chain(SUMS);
    always.chain(told(table, grain)).chain(whole.iter().copied()).collect()
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
    let details = Details::of(&rows, table, book.grain)?;
    let whole = book.grain.tells_ends().then(|| Whole::of(batch)).transpose()?;
    let mut text = String::new();
    for row in 0..batch.num_rows() {
        let Some(time) = columns.time.get(row).map(UnixNanos::from_micros) else { continue };
        let next = times.partition_point(|times| times.to <= time);
        if times.get(next).is_none_or(|times| time < times.from) {
            continue;
        }
        let Some(mut key) = key(row, time, &columns, &details, book) else { continue };
        let measure = measure(row, &columns, &sums);
        if let Some(whole) = &whole {
            let operation = details.operation(row);
            Detail { operation, ..whole.detail(row) }.of_grain(book.grain).write(&mut text);
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
    details: &Details<'_>,
    book: &mut Book,
) -> Option<CellKey> {
    let at = book.slot_of_cell(time.0)?;
    let evidence = columns.evidence.get(row).and_then(entries::evidence)?;
    let entry = columns.entry.get(row).and_then(entries::named)?;
    // Few answers group a node by its callers; for others cells are added up, with those of earlier versions, which tell none.
    let tells_source = entry.is_edge() || book.grain.tells_callers();
    let source = if tells_source { source(row, columns).intern(book) } else { PartyId::NOBODY };
    let destination = destination(row, columns).intern(book);
    let is_without = entry == Entry::Alias
        || book.grain.tells_ends()
        || (book.grain == Grain::Instance && entry.is_edge());
    let detail = if is_without { DetailId::NONE } else { details.of_row(row, book) };
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
