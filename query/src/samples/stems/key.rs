//! Tells the rows of stored series apart by numbers.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use arrow::array::RecordBatch;
use meshlake_schema::Table;
use meshlake_schema::rows::{Booleans, ColumnReader, Integers, Rows, RowsError, Text};

/// Which stem a row belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StemKey {
    pub table: Table,
    pub series_id: i64,
    variant: u32,
}

/// What of a row is in its key beside the id, as text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Variant {
    texts: [Option<Box<str>>; 5],
    temporality: Option<i64>,
    is_monotonic: Option<bool>,
}

/// Numbers of what was met; the same for all who ask one of these.
#[derive(Debug, Default)]
pub struct Variants(Mutex<HashMap<Variant, u32>>);

/// The columns that a key is made of: those of [`COLUMNS`] that the table has.
const TEXTS: [&str; 5] =
    ["metric_unit", "metric_type", "scope_version", "scope_attributes", "scope_schema_url"];
const COLUMNS: [&str; 8] = [
    "series_id",
    TEXTS[0],
    TEXTS[1],
    TEXTS[2],
    TEXTS[3],
    TEXTS[4],
    "aggregation_temporality",
    "is_monotonic",
];

/// A variant by numbers that mean something within one batch.
type Codes = ([(u64, u64); 5], Option<i64>, Option<bool>);

/// The keys of the rows of one batch.
pub struct Keys<'a> {
    table: Table,
    series: Integers<'a>,
    texts: [Text<'a>; 5],
    temporality: Integers<'a>,
    is_monotonic: Booleans<'a>,
    /// The codes of the texts, if they are the same in all rows.
    uniform: Option<[(u64, u64); 5]>,
    known: HashMap<Codes, u32>,
    last: Option<(Codes, u32)>,
}

impl<'a> Keys<'a> {
    /// The columns of `table` that keys are made of.
    pub fn columns(table: Table) -> impl Iterator<Item = &'static str> {
        COLUMNS.into_iter().filter(move |name| has(table, name))
    }

    /// Those of them that are text: few in many rows.
    pub fn dictionaries(table: Table) -> impl Iterator<Item = &'static str> {
        TEXTS.into_iter().filter(move |name| has(table, name))
    }

    /// # Errors
    /// See `Rows::read`: a bug of ours.
    pub fn of(table: Table, batch: &'a RecordBatch) -> Result<Self, RowsError> {
        let rows = Rows::of(table, batch);
        let text = |name| optional(table, &rows, name);
        let texts: [Text<'_>; 5] =
            [text(TEXTS[0])?, text(TEXTS[1])?, text(TEXTS[2])?, text(TEXTS[3])?, text(TEXTS[4])?];
        let are_uniform = texts.iter().all(|text| text.is_uniform() || !text.has_values());
        let has_rows = batch.num_rows() > 0;
        Ok(Keys {
            table: points_of(table),
            series: rows.read("series_id")?,
            texts,
            uniform: (are_uniform && has_rows).then(|| texts.map(|text| text.code(0))),
            temporality: optional(table, &rows, "aggregation_temporality")?,
            is_monotonic: optional(table, &rows, "is_monotonic")?,
            known: HashMap::new(),
            last: None,
        })
    }

    pub fn get(&mut self, row: usize, variants: &Variants) -> StemKey {
        let (temporality, is_monotonic) = (self.temporality.get(row), self.is_monotonic.get(row));
        let is_last = |last: &Codes| {
            (last.1, last.2) == (temporality, is_monotonic)
                && (self.uniform.is_some() || last.0 == self.texts.map(|text| text.code(row)))
        };
        let variant = match &self.last {
            Some((last, variant)) if is_last(last) => *variant,
            _ => self.variant(row, variants),
        };
        StemKey { table: self.table, series_id: self.series.or_zero(row), variant }
    }

    fn variant(&mut self, row: usize, variants: &Variants) -> u32 {
        let codes = self.uniform.unwrap_or_else(|| self.texts.map(|text| text.code(row)));
        let codes = (codes, self.temporality.get(row), self.is_monotonic.get(row));
        let (texts, temporality, is_monotonic) = (&self.texts, codes.1, codes.2);
        let variant = *self.known.entry(codes).or_insert_with(|| {
            let texts = texts.map(|text| text.get(row).map(Box::from));
            variants.number(Variant { texts, temporality, is_monotonic })
        });
        self.last = Some((codes, variant));
        variant
    }
}

impl Variants {
    fn number(&self, variant: Variant) -> u32 {
        // A panic elsewhere leaves whole entries.
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = u32::try_from(numbers.len()).expect("a variant takes more than a byte of memory");
        *numbers.entry(variant).or_insert(next)
    }
}

/// The table of points that a table is, or tells the series of.
pub fn points_of(table: Table) -> Table {
    table.source().unwrap_or(table)
}

/// Whether the table has that column.
pub fn has(table: Table, column: &str) -> bool {
    table.columns().iter().any(|declared| declared.name == column)
}

/// A column that not every metric table has: null in every row of the others.
pub fn optional<'a, R: ColumnReader<'a>>(table: Table, rows: &Rows<'a>, name: &str) -> Result<R, RowsError> {
    if has(table, name) { rows.read(name) } else { Ok(R::absent()) }
}
