//! Reads the rows of a batch by columns that are proven to be the table's.
//!
//! A fold says once, with [`read_columns!`](crate::read_columns), which columns it reads and as what. From that
//! come both the list that a scan is asked for and the readers, so that the two cannot disagree, and a name that
//! the table does not have, or has as something else, is an error when the readers are made: a look-up by name
//! in the batch alone would read a misspelt column as null in every row. A column that the table has and the
//! batch lacks does read as null, because files of older versions lack what was added since, and a projection
//! leaves out what a question does not need.
//!
//! Readers borrow. No text is copied, whatever the encoding: a hot batch holds dictionaries, a scan hands out
//! views, a test may hold plain strings. [`Interned`] calls for the meaning of a text once per dictionary entry
//! instead of once per row.

mod nested;
mod lists;
mod numbers;
mod text;

use std::fmt;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::DataType;
use thiserror::Error;

use crate::tables::{Kind, Table};

pub use lists::{DoubleLists, IntegerLists, TextLists};
pub use nested::{Attributes, Events, Exemplars, Links, Quantiles};
pub use numbers::{Booleans, Doubles, Integers, Micros};
pub use text::{Interned, Text};

/// Why a column cannot be read. Always a bug of ours: of who asks for the column, or of who made the batch.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RowsError {
    #[error("table {table} has no column {column}")]
    NoColumn { table: &'static str, column: String },
    #[error("column {column} of table {table} is {kind:?}, not one of {asked:?}")]
    OtherKind { table: &'static str, column: String, kind: Kind, asked: &'static [Kind] },
    #[error("column {column} of table {table} came as {data_type}")]
    OtherType { table: &'static str, column: String, data_type: DataType },
}

/// How the values of one column are read.
pub trait ColumnReader<'a>: Sized {
    /// The kinds of columns that it reads.
    const KINDS: &'static [Kind];

    /// Reads null in every row.
    fn absent() -> Self;

    /// None for an array that holds something else.
    fn of(array: &'a dyn Array) -> Option<Self>;
}

/// Whether all values are the same; none at all are.
fn are_alike<T: PartialEq>(values: &[T]) -> bool {
    // Each with the first and without a way out in between, which the compiler makes comparisons of many at once of.
    values.first().is_none_or(|first| values.iter().fold(true, |alike, value| alike & (value == first)))
}

/// The rows of a batch that holds columns of a table, in any order and any encoding of the kinds.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    table: Table,
    batch: &'a RecordBatch,
}

impl fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("table", &self.table).field("rows", &self.count()).finish()
    }
}

impl<'a> Rows<'a> {
    pub fn of(table: Table, batch: &'a RecordBatch) -> Self {
        Rows { table, batch }
    }

    pub fn count(&self) -> usize {
        self.batch.num_rows()
    }

    /// The reader of a column; null in every row when the batch lacks it.
    ///
    /// # Errors
    /// [`RowsError::NoColumn`] and [`RowsError::OtherKind`] whatever the batch holds, so that a test with an
    /// empty batch finds them; [`RowsError::OtherType`] when the batch's column is not what the table says.
    pub fn read<R: ColumnReader<'a>>(&self, column: &str) -> Result<R, RowsError> {
        let (table, name) = (self.table.name(), || column.to_owned());
        let declared = self.table.columns().iter().find(|declared| declared.name == column);
        let declared = declared.ok_or_else(|| RowsError::NoColumn { table, column: name() })?;
        if !R::KINDS.contains(&declared.kind) {
            let (kind, asked) = (declared.kind, R::KINDS);
            return Err(RowsError::OtherKind { table, column: name(), kind, asked });
        }
        let Some(array) = self.batch.column_by_name(column) else { return Ok(R::absent()) };
        R::of(array.as_ref()).ok_or_else(|| {
            let data_type = array.data_type().clone();
            RowsError::OtherType { table, column: name(), data_type }
        })
    }
}

/// Declares a struct of readers, one per column of a table, each under the column's own name.
///
/// Besides the struct it makes `NAMES`, the columns in the order declared, for the scan, and `of`, which makes
/// the readers for a batch.
///
/// ```
/// use meshlake_schema::rows::{Integers, Text};
/// use meshlake_schema::{Table, read_columns};
///
/// read_columns! {
///     /// What a trace is drawn from.
///     pub struct Spans of Table::Spans {
///         trace_id: Text,
///         duration_nano: Integers,
///     }
/// }
///
/// assert_eq!(Spans::NAMES, ["trace_id", "duration_nano"]);
/// let batch = arrow::array::RecordBatch::new_empty(Table::Spans.schema().clone());
/// assert!(Spans::of(&batch).is_ok(), "both are columns of spans, and of these kinds");
/// ```
#[macro_export]
macro_rules! read_columns {
    (
        $(#[$doc:meta])*
        $visibility:vis struct $name:ident of $table:path {
            $($(#[$column_doc:meta])* $column:ident: $reader:ident),+ $(,)?
        }
    ) => {
        $(#[$doc])*
        $visibility struct $name<'a> {
            $($(#[$column_doc])* $visibility $column: $reader<'a>),+
        }

        impl<'a> $name<'a> {
            /// The columns, in the order of the fields.
            $visibility const NAMES: &'static [&'static str] = &[$(stringify!($column)),+];

            /// The readers of `batch`.
            ///
            /// # Errors
            /// See `Rows::read`: a bug of ours.
            $visibility fn of(
                batch: &'a ::arrow::array::RecordBatch,
            ) -> Result<Self, $crate::rows::RowsError> {
                let rows = $crate::rows::Rows::of($table, batch);
                Ok($name { $($column: rows.read(stringify!($column))?),+ })
            }
        }
    };
}

#[cfg(test)]
mod tests;
