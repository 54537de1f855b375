//! Rows of one table, asked for without SQL.
//!
//! What reads tables itself (a fold of calls, a trace, a trace language) says what it wants in words of the schema,
//! and this is the one place that turns them into DataFusion's. So no other crate names DataFusion, and a scan can
//! be compared, sent and tested without it. Limits: a filter of some hundred parts joined by AND and OR is refused
//! as a statement of that depth is; a list of values may be of any length.

use std::ops::Bound;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::Column;
use datafusion::dataframe::DataFrame;
use datafusion::error::Result;
use datafusion::functions::string::expr_fn::contains;
use datafusion::logical_expr::{Expr, lit};
use meshlake_schema::filter::{Filter, Place, Test, Value};
use meshlake_schema::{Table, TimeRange, UnixNanos};
use meshlake_store::snapshot::DataFile;

use crate::catalog::{attribute, nanos_are_time};
use crate::error::QueryError;
use crate::lean::Lean;
use crate::values::scalar;

const TIME_COLUMN: &str = "time";
const NANOS_COLUMN: &str = "time_unix_nano";

/// Which rows and columns of one table are wanted. Without anything said, all of them:
/// `Scan { limit: Some(1), ..Scan::of(Table::Spans) }`.
#[derive(Debug, Clone)]
pub struct Scan<'a> {
    pub table: Table,
    /// Those columns in that order; none for all of the table's.
    pub columns: Option<&'a [&'a str]>,
    /// Equality with a trace, span or request id, or with an attribute, uses the filters that files have for them.
    pub filter: Filter,
    /// Of `time`.
    pub range: TimeRange,
    /// Columns that rows are sorted by, ascending, nulls last; in no order without any.
    pub order: &'a [&'a str],
    /// The first so many rows, by that order.
    pub limit: Option<usize>,
    /// In which forms columns come that would cost more in others. None: as SQL sees them.
    pub lean: Option<Lean<'a>>,
    pub part: Part<'a>,
}

/// Where the rows are that are wanted: a file never changes, so that what was read of it once needs no second scan.
#[derive(Debug, Clone, Copy, Default)]
pub enum Part<'a> {
    /// In files and in the buffer.
    #[default]
    Whole,
    /// In these files of the table.
    Files(&'a [&'a DataFile]),
    /// In the buffer.
    Buffered,
}

impl Scan<'_> {
    /// All rows of `table`.
    pub fn of(table: Table) -> Self {
        Scan {
            table,
            columns: None,
            filter: Filter::And(Vec::new()),
            range: TimeRange::ALL,
            order: &[],
            limit: None,
            lean: None,
            part: Part::Whole,
        }
    }

    /// # Errors
    /// [`QueryError::Internal`] for a column that the table has not, or a value of another kind than its column:
    /// what people ask is checked before it becomes a scan.
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        let lean = self.lean.unwrap_or(Lean { dictionaries: &[], nested: &[] });
        let nested = lean.nested.iter().map(|(name, _)| name);
        let named =
            self.columns.unwrap_or_default().iter().chain(self.order).chain(lean.dictionaries).chain(nested);
        let schema = self.table.open_schema();
        let missing = named.into_iter().find(|name| schema.column_with_name(name).is_none());
        if let Some(name) = missing {
            return Err(QueryError::Internal(format!("table {} has no column {name}", self.table.name())));
        }
        self.filter.check(self.table).map_err(|error| QueryError::Internal(error.to_string()))
    }

    /// What its rows have of the columns of `table`.
    pub(crate) fn columns_of(&self, table: &SchemaRef) -> Result<SchemaRef> {
        let Some(names) = self.columns else { return Ok(Arc::clone(table)) };
        let places = names.iter().map(|name| table.index_of(name)).collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(table.project(&places)?))
    }

    /// The column that says when a row was, and how it says so: the exact one if it is read anyway.
    fn time_column(&self) -> (&'static str, fn(UnixNanos) -> Value) {
        let is_read = self.columns.is_some_and(|columns| columns.contains(&NANOS_COLUMN));
        if is_read && nanos_are_time(self.table) {
            (NANOS_COLUMN, |time| Value::Integer(time.0))
        } else {
            (TIME_COLUMN, Value::Time)
        }
    }

    /// `rows`, which are all of the table's, cut down to what is wanted.
    pub(crate) fn frame(&self, rows: DataFrame) -> Result<DataFrame> {
        let mut frame = rows;
        if self.range != TimeRange::ALL {
            let (name, value) = self.time_column();
            let (from, to) = (value(self.range.from), value(self.range.to));
            let in_range = Test::IsWithin(Bound::Included(from), Bound::Excluded(to));
            frame = frame.filter(test(column(name), &in_range))?;
        }
        frame = frame.filter(expression(&self.filter, self.table))?;
        if !self.order.is_empty() {
            frame = frame.sort(self.order.iter().map(|name| column(name).sort(true, false)).collect())?;
        }
        if self.limit.is_some() {
            frame = frame.limit(0, self.limit)?;
        }
        match self.columns {
            Some(names) => frame.select(names.iter().map(|name| column(name)).collect::<Vec<_>>()),
            None => Ok(frame),
        }
    }
}

/// Not [`datafusion::logical_expr::col`], which reads dots and capital letters as SQL does.
fn column(name: &str) -> Expr {
    Expr::Column(Column::from_name(name))
}

/// What `filter` says, true or not for every row but where SQL's null is as good as false: at the top, and below
/// AND and OR up to the next NOT, which is where the third value ends.
fn expression(filter: &Filter, table: Table) -> Expr {
    let joined = |parts: &[Filter], join: fn(Expr, Expr) -> Expr, none: bool| {
        parts.iter().map(|part| expression(part, table)).reduce(join).unwrap_or_else(|| lit(none))
    };
    match filter {
        Filter::And(parts) => joined(parts, Expr::and, true),
        Filter::Or(parts) => joined(parts, Expr::or, false),
        Filter::Not(inner) => match inner.as_ref() {
            Filter::Is(place, Test::IsNull) => value_at(place, table).is_not_null(),
            inner => expression(inner, table).is_not_true(),
        },
        Filter::Is(place, asked) => test(value_at(place, table), asked),
    }
}

fn value_at(place: &Place, table: Table) -> Expr {
    match place {
        Place::Column(name) => column(name),
        Place::Attribute(key) => attribute(table, key),
    }
}

fn test(value: Expr, asked: &Test) -> Expr {
    match asked {
        Test::Equals(other) => value.eq(lit(scalar(other))),
        Test::IsIn(others) if others.is_empty() => lit(false),
        Test::IsIn(others) => value.in_list(others.iter().map(|other| lit(scalar(other))).collect(), false),
        Test::IsNull => value.is_null(),
        Test::Contains(text) => contains(value, lit(text.as_str())),
        Test::IsWithin(from, to) => within(value, from, to),
    }
}

fn within(value: Expr, from: &Bound<Value>, to: &Bound<Value>) -> Expr {
    let from = match from {
        Bound::Included(from) => Some(value.clone().gt_eq(lit(scalar(from)))),
        Bound::Excluded(from) => Some(value.clone().gt(lit(scalar(from)))),
        Bound::Unbounded => None,
    };
    let to = match to {
        Bound::Included(to) => Some(value.clone().lt_eq(lit(scalar(to)))),
        Bound::Excluded(to) => Some(value.clone().lt(lit(scalar(to)))),
        Bound::Unbounded => None,
    };
    // A range without ends still has no null in it.
    from.into_iter().chain(to).reduce(Expr::and).unwrap_or_else(|| value.is_not_null())
}
