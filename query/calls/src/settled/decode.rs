//! Reads rows of a settled table: surveys them, and adds them up in the cells of a question.

use arrow::array::RecordBatch;
use meshlake_schema::rows::{Booleans, IntegerLists, Integers, Micros, Rows, RowsError, Text};
use meshlake_schema::{Kind, Table, TimeRange, UnixNanos, read_columns};

use super::ends::End;
use super::entries;
use super::numbers::narrow;
use super::whole::{self, Whole};
use crate::cell_key::{CellKey, DetailId};
use crate::cells::Book;
use crate::detail::{Detail, Observer};
use crate::entry::Entry;
use crate::grouping::Grain;
use crate::measure::{Protocol, SUMS};
use crate::packed::{Amount, Stored};
use crate::party::PartyId;
use crate::survey::{Counted, Survey};

read_columns! {
    /// What is read of every settled table to know where a cell belongs; the coarsest has them all.
    struct Keys of Table::Calls10m {
        time: Micros,
        evidence: Text,
        entry: Text,
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
        requests_milli: Integers,
    }
}

read_columns! {
    /// What a survey reads beside.
    struct Surveyed of Table::Calls10m {
        lost_milli: Integers,
    }
}

read_columns! {
    /// What a cell counts, beside its sums.
    struct Latencies of Table::Calls10m {
        protocol: Text,
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
        Grain::InstanceAndProxy => vec!["destination_instance", "destination_proxy_version"],
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
        if !matches!(book.grain, Grain::Told(_) | Grain::InstanceAndProxy) {
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
            proxy_version: text("destination_proxy_version"),
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

/// What is read of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Their ends and how many calls they count: what [`survey`] reads.
    Survey,
    /// What a question with this grain tells apart, and all that is counted: what [`add`] reads.
    Whole(Grain),
    /// The same without latencies and protocols, of which [`add`] then tells none.
    Counted(Grain),
}

/// The columns that are read of a settled table. Only the finer tables have operations and instances, and none has
/// attributes.
pub fn columns(table: Table, reading: Reading) -> Vec<&'static str> {
    let (grain, latencies) = match reading {
        Reading::Survey => return [Keys::NAMES, Surveyed::NAMES].concat(),
        Reading::Whole(grain) => (grain, Latencies::NAMES),
        Reading::Counted(grain) => (grain, &[][..]),
    };
    let whole = if grain.tells_ends() { whole::NAMES } else { &[] };
    let sums = SUMS.into_iter().filter(|name| !Keys::NAMES.contains(name));
    let always = Keys::NAMES.iter().copied().chain(latencies.iter().copied()).chain(sums);
    always.chain(told(table, grain)).chain(whole.iter().copied()).collect()
}

/// Those of [`columns`] that a scan is to give as dictionaries: few distinct texts in many rows.
pub fn dictionaries(table: Table, reading: Reading) -> Vec<&'static str> {
    let is_text = |name: &&str| {
        let declared = table.columns().iter().find(|column| column.name == *name);
        declared.is_some_and(|column| column.kind == Kind::Dictionary)
    };
    columns(table, reading).into_iter().filter(is_text).collect()
}

/// Surveys the rows of `batch` whose time is in the range of `book`, which learns their names, and in one of `times`, which
/// are ascending and apart.
///
/// # Errors
/// A bug of ours: the batch is not one of columns of a settled table.
pub fn survey(
    batch: &RecordBatch,
    times: &[TimeRange],
    book: &mut Book,
    survey: &mut Survey,
) -> Result<(), RowsError> {
    let mut rows = KeyRows::of(batch)?;
    let surveyed = Surveyed::of(batch)?;
    for row in 0..batch.num_rows() {
        let Some(key) = rows.key(row, times, book) else { continue };
        let lost = narrow(surveyed.lost_milli.or_zero(row));
        survey.add(&key, Counted { requests: rows.requests(row), lost });
    }
    Ok(())
}

/// Puts the rows of `batch` whose time is in the range of `book` and in one of `times`, which are ascending and apart, where
/// `place` says by what a survey tells apart of them and by how many calls they count, in thousandths.
///
/// # Errors
/// A bug of ours: the batch is not one of columns of `table`.
pub fn add<P>(
    batch: &RecordBatch,
    table: Table,
    times: &[TimeRange],
    book: &mut Book,
    mut place: impl FnMut(&CellKey, u64) -> Option<P>,
    mut put: impl FnMut(&mut Book, CellKey, &Amount<'_>, P),
) -> Result<(), RowsError> {
    let mut keys = KeyRows::of(batch)?;
    let latencies = Latencies::of(batch)?;
    let rows = Rows::of(table, batch);
    let sums = SUMS.iter().map(|name| rows.read(name)).collect::<Result<Vec<Integers<'_>>, _>>()?;
    let details = Details::of(&rows, table, book.grain)?;
    let whole = book.grain.tells_ends().then(|| Whole::of(batch)).transpose()?;
    let mut text = String::new();
    for row in 0..batch.num_rows() {
        let Some(mut key) = keys.key(row, times, book) else { continue };
        let Some(place) = place(&key, keys.requests(row)) else { continue };
        let stored = stored(row, &latencies, &sums);
        let amount = Amount::Stored(&stored);
        if let Some(whole) = &whole {
            let operation = details.operation(row);
            Detail { operation, ..whole.detail(row) }.of_grain(book.grain).write(&mut text);
            key.detail = book.detail(Some(&text));
            key.protocol = protocol(row, &latencies);
            put(book, key, &amount, place);
            book.add_sizes(key, &whole.sizes(row));
            continue;
        }
        if key.entry != Entry::Alias && !(book.grain.is_by_instance() && key.entry.is_edge()) {
            key.detail = details.of_row(row, book);
        }
        put(book, key, &amount, place);
    }
    Ok(())
}

/// The keys of the rows of a batch, one after the other. Rows are sorted by their ends, so most have those of the row before.
struct KeyRows<'a> {
    keys: Keys<'a>,
    source: Option<Known<'a>>,
    destination: Option<Known<'a>>,
}

/// An end of the row before.
struct Known<'a> {
    end: End<'a>,
    party: PartyId,
}

impl<'a> KeyRows<'a> {
    fn of(batch: &'a RecordBatch) -> Result<KeyRows<'a>, RowsError> {
        Ok(KeyRows { keys: Keys::of(batch)?, source: None, destination: None })
    }

    /// In thousandths.
    fn requests(&self, row: usize) -> u64 {
        narrow(self.keys.requests_milli.or_zero(row))
    }

    /// Where a row belongs, but for what is told apart at its ends; `None` outside the range and the times.
    fn key(&mut self, row: usize, times: &[TimeRange], book: &mut Book) -> Option<CellKey> {
        let time = self.keys.time.get(row).map(UnixNanos::from_micros)?;
        let next = times.partition_point(|times| times.to <= time);
        if times.get(next).is_none_or(|times| time < times.from) {
            return None;
        }
        let at = book.slot_of_cell(time.0)?;
        let evidence = self.keys.evidence.get(row).and_then(entries::evidence)?;
        let entry = self.keys.entry.get(row).and_then(entries::named)?;
        // Few answers group a node by its callers; for others cells are added up, with those of earlier versions, which tell none.
        let tells_source = entry.is_edge() || book.grain.tells_callers();
        let source = if tells_source {
            interned(source(row, &self.keys), &mut self.source, book)
        } else {
            PartyId::NOBODY
        };
        let destination = interned(destination(row, &self.keys), &mut self.destination, book);
        let (detail, protocol) = (DetailId::NONE, Protocol::Unknown);
        Some(CellKey { source, destination, detail, at, evidence, entry, protocol })
    }
}

fn interned<'a>(end: End<'a>, last: &mut Option<Known<'a>>, book: &mut Book) -> PartyId {
    match last {
        Some(known) if known.end == end => known.party,
        _ => {
            let party = end.intern(book);
            *last = Some(Known { end, party });
            party
        }
    }
}

fn source<'a>(row: usize, keys: &Keys<'a>) -> End<'a> {
    End {
        name: keys.source_name.get(row),
        namespace: keys.source_namespace.get(row),
        workload: keys.source_workload.get(row),
        version: keys.source_version.get(row),
        naming: keys.source_naming.get(row),
        port: keys.source_port.get(row),
        is_scoped: keys.source_is_scoped.get(row),
        marks: keys.source_marks.get(row),
    }
}

fn destination<'a>(row: usize, keys: &Keys<'a>) -> End<'a> {
    End {
        name: keys.destination_name.get(row),
        namespace: keys.destination_namespace.get(row),
        workload: keys.destination_workload.get(row),
        version: keys.destination_version.get(row),
        naming: keys.destination_naming.get(row),
        port: keys.destination_port.get(row),
        is_scoped: keys.destination_is_scoped.get(row),
        marks: keys.destination_marks.get(row),
    }
}

fn stored<'a>(row: usize, latencies: &Latencies<'a>, sums: &[Integers<'_>]) -> Stored<'a> {
    let mut numbers = [0; SUMS.len()];
    numbers.iter_mut().zip(sums).for_each(|(number, column)| *number = narrow(column.or_zero(row)));
    let (min, max) = (latencies.latency_min_nano.or_zero(row), latencies.latency_max_nano.or_zero(row));
    Stored {
        sums: numbers,
        protocol: protocol(row, latencies),
        zeros: narrow(latencies.latency_zero_milli.or_zero(row)),
        buckets: latencies.latency_buckets.get(row),
        counts: latencies.latency_counts_milli.get(row),
        bounds: (narrow(min), narrow(max)),
    }
}

fn protocol(row: usize, latencies: &Latencies<'_>) -> Protocol {
    latencies.protocol.get(row).and_then(Protocol::named).unwrap_or_default()
}
