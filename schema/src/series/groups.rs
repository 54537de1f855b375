//! Adds up parts of series by key: the one place that says what two parts of a series are together.
//!
//! Texts are compared by number. Of the parts of a group one stands for all in every column that is not added up, since
//! those are alike in the key, or follow from what is: attributes from the series' id, the service from the resource.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::interleave;
use hashbrown::HashMap;

use super::SeriesError;
use crate::batch::TableBatch;
use crate::names::{Keys, Names};
use crate::rows::{Booleans, DoubleLists, Integers, Micros, Rows};
use crate::tables::Table;
use crate::time::WINDOW_MICROS;

/// Texts that a series is called by. The first comes first in the table's order.
const TEXTS: [&str; 15] = [
    "metric_name",
    "tenant",
    "metric_description",
    "metric_unit",
    "metric_metadata",
    "metric_metadata_types",
    "metric_type",
    "resource",
    "resource_types",
    "scope_name",
    "scope_version",
    "scope_attributes",
    "scope_attribute_types",
    "scope_schema_url",
    "attribute_types",
];

/// Numbers of the texts of [`TEXTS`], and what else is in the key of a series beside its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Variant {
    texts: [Option<u32>; TEXTS.len()],
    temporality: Option<i64>,
    is_monotonic: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    series_id: i64,
    window: i64,
    variant: u32,
    marks: u32,
}

/// What a row says beside its key.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// Batch and row that stand for all.
    place: (usize, usize),
    ingest_micros: i64,
    time_micros: i64,
    time_nanos: i64,
    last_nanos: i64,
    point_count: i64,
    sum_count: i64,
}

impl Part {
    fn merge(&mut self, other: &Part) {
        self.ingest_micros = self.ingest_micros.max(other.ingest_micros);
        self.time_micros = self.time_micros.min(other.time_micros);
        self.time_nanos = self.time_nanos.min(other.time_nanos);
        self.last_nanos = self.last_nanos.max(other.last_nanos);
        self.point_count = self.point_count.saturating_add(other.point_count);
        self.sum_count = self.sum_count.saturating_add(other.sum_count);
    }
}

/// The groups so far.
#[derive(Default)]
pub(super) struct Groups<'a> {
    names: Names<'a>,
    variants: Numbers<Variant>,
    /// Lists by the bits of their values.
    marks: Numbers<Vec<u64>>,
    places: HashMap<Key, usize>,
    parts: Vec<(Key, Part)>,
}

/// Numbers what is met, in the order in which it is.
struct Numbers<T> {
    numbers: HashMap<T, u32>,
    all: Vec<T>,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Numbers { numbers: HashMap::new(), all: Vec::new() }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Numbers<T> {
    fn number(&mut self, of: &T) -> u32 {
        if let Some(known) = self.numbers.get(of) {
            return *known;
        }
        let next = u32::try_from(self.all.len()).expect("batches in memory hold fewer than 2^32 rows");
        self.numbers.insert(of.clone(), next);
        self.all.push(of.clone());
        next
    }
}

impl<'a> Groups<'a> {
    /// Adds the rows of batch number `batch`.
    pub fn add(&mut self, batch: usize, rows: &'a RecordBatch) -> Result<(), SeriesError> {
        let mut keys = KeyColumns::of(rows)?;
        let table = Rows::of(Table::MetricPointsSeries, rows);
        let (ingest, times): (Micros<'_>, Micros<'_>) = (table.read("ingest_time")?, table.read("time")?);
        let (firsts, lasts): (Integers<'_>, Integers<'_>) =
            (table.read("time_unix_nano")?, table.read("last_time_unix_nano")?);
        let (points, sums): (Integers<'_>, Integers<'_>) =
            (table.read("point_count")?, table.read("sum_count")?);
        for row in 0..rows.num_rows() {
            let part = Part {
                place: (batch, row),
                ingest_micros: ingest.get(row).unwrap_or_default(),
                time_micros: times.get(row).unwrap_or_default(),
                time_nanos: firsts.or_zero(row),
                last_nanos: lasts.or_zero(row),
                point_count: points.or_zero(row),
                sum_count: sums.or_zero(row),
            };
            let key = keys.key(row, part.time_micros.div_euclid(WINDOW_MICROS), self);
            let next = self.parts.len();
            match *self.places.entry(key).or_insert(next) {
                new if new == next => self.parts.push((key, part)),
                known => self.parts[known].1.merge(&part),
            }
        }
        Ok(())
    }

    /// The groups as rows of `table`, whose batches were added in the order of `batches`.
    pub fn finish(mut self, table: Table, batches: &[TableBatch]) -> Result<TableBatch, SeriesError> {
        let mut parts = std::mem::take(&mut self.parts);
        let variant = |key: &Key| &self.variants.all[key.variant as usize];
        let text = |key: &Key, place: usize| variant(key).texts[place].map(|number| self.names.text(number));
        let texts = |key: &Key| (0..TEXTS.len()).map(|place| text(key, place)).collect::<Vec<_>>();
        let rest = |key: &Key| {
            let variant = variant(key);
            (variant.temporality, variant.is_monotonic, &self.marks.all[key.marks as usize])
        };
        parts.sort_by(|(a, one), (b, other)| {
            let by_key = || (a.series_id, one.time_micros).cmp(&(b.series_id, other.time_micros));
            let by_name = text(a, 0).cmp(&text(b, 0)).then_with(by_key);
            by_name.then_with(|| texts(a).cmp(&texts(b))).then_with(|| rest(a).cmp(&rest(b)))
        });
        let columns: Result<Vec<ArrayRef>, SeriesError> =
            table.columns().iter().map(|column| column_of(column.name, table, &parts, batches)).collect();
        let rows = RecordBatch::try_new(Arc::clone(table.schema()), columns?)?;
        Ok(TableBatch::try_new(table, rows).expect("the columns are those of the table, in its order"))
    }
}

fn column_of(
    name: &str,
    table: Table,
    parts: &[(Key, Part)],
    batches: &[TableBatch],
) -> Result<ArrayRef, SeriesError> {
    let integers = |value: fn(&Part) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(parts.iter().map(|(_, part)| value(part))))
    };
    let times = |value: fn(&Part) -> i64| -> ArrayRef {
        let times = TimestampMicrosecondArray::from_iter_values(parts.iter().map(|(_, part)| value(part)));
        Arc::new(times.with_timezone("UTC"))
    };
    Ok(match name {
        "ingest_time" => times(|part| part.ingest_micros),
        "time" => times(|part| part.time_micros),
        "time_unix_nano" => integers(|part| part.time_nanos),
        "last_time_unix_nano" => integers(|part| part.last_nanos),
        "point_count" => integers(|part| part.point_count),
        "sum_count" => integers(|part| part.sum_count),
        name => {
            let empty = RecordBatch::new_empty(Arc::clone(table.schema()));
            let all = batches.iter().map(TableBatch::rows);
            let all: Vec<&RecordBatch> = if batches.is_empty() { vec![&empty] } else { all.collect() };
            let columns = all.iter().map(|rows| {
                rows.column_by_name(name).expect("a proven batch has its table's columns").as_ref()
            });
            let places: Vec<(usize, usize)> = parts.iter().map(|(_, part)| part.place).collect();
            interleave(&columns.collect::<Vec<_>>(), &places)?
        }
    })
}

/// The columns of one batch that keys are made of.
struct KeyColumns<'a> {
    texts: [Keys<'a>; TEXTS.len()],
    temporality: Integers<'a>,
    is_monotonic: Booleans<'a>,
    series: Integers<'a>,
    marks: DoubleLists<'a>,
    /// Most rows are called as the row before, but for the series' id.
    last: Option<(Variant, u32)>,
    last_marks: Option<(&'a [f64], u32)>,
}

impl<'a> KeyColumns<'a> {
    fn of(rows: &'a RecordBatch) -> Result<Self, SeriesError> {
        let table = Rows::of(Table::MetricPointsSeries, rows);
        Ok(KeyColumns {
            texts: TEXTS.map(|name| Keys::of(rows, name)),
            temporality: table.read("aggregation_temporality")?,
            is_monotonic: table.read("is_monotonic")?,
            series: table.read("series_id")?,
            marks: table.read("marks")?,
            last: None,
            last_marks: None,
        })
    }

    fn key(&mut self, row: usize, window: i64, groups: &mut Groups<'a>) -> Key {
        let names = &mut groups.names;
        let variant = Variant {
            texts: self.texts.each_mut().map(|text| text.number(row, names)),
            temporality: self.temporality.get(row),
            is_monotonic: self.is_monotonic.get(row),
        };
        let variant = match self.last {
            Some((last, number)) if last == variant => number,
            _ => {
                let number = groups.variants.number(&variant);
                self.last = Some((variant, number));
                number
            }
        };
        let list = self.marks.get(row);
        let marks = match self.last_marks {
            // NaN equals nothing, and is then looked up by its bits.
            Some((last, number)) if last == list => number,
            _ => {
                let number = groups.marks.number(&list.iter().map(|mark| mark.to_bits()).collect());
                self.last_marks = Some((list, number));
                number
            }
        };
        Key { series_id: self.series.or_zero(row), window, variant, marks }
    }
}
