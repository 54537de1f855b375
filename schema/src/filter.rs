//! Which rows of a table are wanted, said without any engine.
//!
//! Whoever asks (a page, a fold of calls, a trace language) says it in these words, and the engine alone
//! translates them into its own expressions. They are data: they can be compared, sent to another process and
//! tested without an engine. Only what a scan can use is here: what it takes to leave out files, pages and rows.
//!
//! Truth has two values. A test of a null or absent value is false, whatever it tests but [`Test::IsNull`], and
//! [`Filter::Not`] of it is true: `not status = 500` keeps rows without a status. SQL's third value would drop
//! them in silence, so a translation to SQL of `Not` is `IS NOT TRUE`.

use std::ops::Bound;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::tables::{Kind, Table};
use crate::time::UnixNanos;

/// Which rows are wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Filter {
    /// All of them; every row when there is none.
    And(Vec<Filter>),
    /// At least one of them; no row when there is none.
    Or(Vec<Filter>),
    Not(Box<Filter>),
    /// The value at a place passes a test.
    Is(Place, Test),
}

/// Where a value is in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// A column of the table.
    Column(String),
    /// The attribute of this key as sent, whether it has a column of its own or lies in `attributes`. Its value
    /// is text, however it was sent.
    Attribute(String),
}

/// What is asked of one value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Test {
    Equals(Value),
    /// One of these; never when there is none.
    IsIn(Vec<Value>),
    IsNull,
    /// This text stands somewhere in it, byte for byte. An empty one stands in every text.
    Contains(String),
    /// Between two ends of one type, by number, by time, or by bytes of text.
    IsWithin(Bound<Value>, Bound<Value>),
}

/// A value that a row's is compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    Text(String),
    Integer(i64),
    /// Sent as its bits: text has no word for what is no number.
    #[serde(with = "bits")]
    Double(f64),
    Boolean(bool),
    /// Compared in microseconds, rounded down: the unit of columns of times.
    Time(UnixNanos),
}

/// Why a filter does not fit a table.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum FilterError {
    #[error("table {table} has no column {column}")]
    NoColumn { table: &'static str, column: String },
    #[error("table {0} has no attributes")]
    NoAttributes(&'static str),
    #[error("{place:?} of table {table} is never compared with {value:?}")]
    OtherKind { table: &'static str, place: Place, value: Value },
}

impl Filter {
    /// The value of `column` equals `value`.
    pub fn equals(column: &str, value: Value) -> Filter {
        Filter::Is(Place::Column(column.to_owned()), Test::Equals(value))
    }

    /// The value of `column` is one of `values`.
    pub fn is_in(column: &str, values: Vec<Value>) -> Filter {
        Filter::Is(Place::Column(column.to_owned()), Test::IsIn(values))
    }

    /// The attribute of that key reads as `text`.
    pub fn attribute(key: &str, text: &str) -> Filter {
        Filter::Is(Place::Attribute(key.to_owned()), Test::Equals(Value::Text(text.to_owned())))
    }

    /// Rows that pass both.
    #[must_use]
    pub fn and(self, other: Filter) -> Filter {
        let parts = |filter| match filter {
            Filter::And(parts) => parts,
            other => vec![other],
        };
        Filter::And([parts(self), parts(other)].concat())
    }

    /// Rows that do not pass.
    #[must_use]
    pub fn negated(self) -> Filter {
        Filter::Not(Box::new(self))
    }

    /// Proves that the filter can be asked of `table`: that its columns are the table's and its values of
    /// their kinds.
    ///
    /// # Errors
    /// The first misfit. What people ask is to be checked before, so here it is a bug of ours.
    pub fn check(&self, table: Table) -> Result<(), FilterError> {
        match self {
            Filter::And(parts) | Filter::Or(parts) => parts.iter().try_for_each(|part| part.check(table)),
            Filter::Not(inner) => inner.check(table),
            Filter::Is(place, test) => {
                let kind = kind_at(table, place)?;
                let misfit = match test {
                    Test::Contains(text) => Some(Value::Text(text.clone())).filter(|text| !text.is_of(kind)),
                    test => test.values().find(|value| !value.is_of(kind)).cloned(),
                };
                misfit.map_or(Ok(()), |value| {
                    Err(FilterError::OtherKind { table: table.name(), place: place.clone(), value })
                })
            }
        }
    }

    /// The one text that `column` must have in every row that passes; none when there is no such text.
    pub fn only_text(&self, column: &str) -> Option<&str> {
        match self {
            Filter::And(parts) => parts.iter().find_map(|part| part.only_text(column)),
            Filter::Is(Place::Column(name), Test::Equals(Value::Text(text))) if name == column => Some(text),
            _ => None,
        }
    }
}

impl Test {
    /// The values that rows' whole values are compared with.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        let bound = |bound| match bound {
            Bound::Included(value) | Bound::Excluded(value) => Some(value),
            Bound::Unbounded => None,
        };
        let (list, ends) = match self {
            Test::Equals(value) => (std::slice::from_ref(value), [None, None]),
            Test::IsIn(values) => (values.as_slice(), [None, None]),
            Test::IsNull | Test::Contains(_) => (&[][..], [None, None]),
            Test::IsWithin(from, to) => (&[][..], [bound(from.as_ref()), bound(to.as_ref())]),
        };
        list.iter().chain(ends.into_iter().flatten())
    }
}

impl Value {
    fn is_of(&self, kind: Kind) -> bool {
        match self {
            Value::Text(_) => matches!(kind, Kind::Text | Kind::Dictionary),
            Value::Integer(_) => matches!(kind, Kind::Int32 | Kind::Int64 | Kind::Float64),
            Value::Double(_) => kind == Kind::Float64,
            Value::Boolean(_) => kind == Kind::Boolean,
            Value::Time(_) => kind == Kind::Timestamp,
        }
    }
}

fn kind_at(table: Table, place: &Place) -> Result<Kind, FilterError> {
    let columns = table.columns();
    match place {
        Place::Column(name) => {
            let column = columns.iter().find(|column| column.name == name);
            let missing = || FilterError::NoColumn { table: table.name(), column: name.clone() };
            column.map(|column| column.kind).ok_or_else(missing)
        }
        Place::Attribute(_) => {
            let has_attributes = columns.iter().any(|column| column.kind == Kind::Attributes);
            has_attributes.then_some(Kind::Text).ok_or(FilterError::NoAttributes(table.name()))
        }
    }
}

/// A double as the integer of its bits.
mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(value.to_bits())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        u64::deserialize(from).map(f64::from_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_comes_back_as_it_was_sent() {
        let within =
            Test::IsWithin(Bound::Included(Value::Time(UnixNanos(1))), Bound::Excluded(Value::Integer(-1)));
        let doubles = [f64::INFINITY, -0.0, 0.1].map(Value::Double).to_vec();
        let filter = Filter::is_in("adjusted_count", doubles)
            .and(Filter::Is(Place::Column("time".to_owned()), within))
            .and(Filter::Or(vec![Filter::attribute("k", "\u{0}\"v").negated()]));
        let text = serde_json::to_string(&filter).expect("text has words for all of it");
        assert_eq!(serde_json::from_str::<Filter>(&text).ok(), Some(filter));
        let not_a_number = serde_json::to_string(&Value::Double(f64::NAN)).expect("as any other");
        assert!(matches!(serde_json::from_str(&not_a_number), Ok(Value::Double(value)) if value.is_nan()));
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn a_filter_that_fits_its_table_passes() {
        let within = Test::IsWithin(Bound::Included(Value::Time(UnixNanos(1))), Bound::Unbounded);
        let filter = Filter::equals("trace_id", text("a"))
            .and(Filter::is_in("kind", vec![Value::Integer(2), Value::Integer(5)]))
            .and(Filter::Or(vec![Filter::equals("is_proxy", Value::Boolean(true)).negated()]))
            .and(Filter::Is(Place::Column("time".to_owned()), within))
            .and(Filter::equals("adjusted_count", Value::Integer(1)))
            .and(Filter::Is(Place::Column("links".to_owned()), Test::IsNull))
            .and(Filter::Is(Place::Column("name".to_owned()), Test::Contains("x".to_owned())))
            .and(Filter::attribute("any.key", "v"));
        assert_eq!(filter.check(Table::Spans), Ok(()));
    }

    #[test]
    fn a_filter_that_does_not_fit_is_named() {
        let from = Bound::Excluded(text("a"));
        let range = Filter::Is(Place::Column("kind".to_owned()), Test::IsWithin(from, Bound::Unbounded));
        let cases = [
            (Filter::equals("trace_ids", text("a")), "table spans has no column trace_ids"),
            (
                Filter::And(vec![Filter::Or(vec![Filter::equals("kind", text("2")).negated()])]),
                "Column(\"kind\") of table spans is never compared with Text(\"2\")",
            ),
            (
                Filter::Is(Place::Column("kind".to_owned()), Test::Contains("2".to_owned())),
                "Column(\"kind\") of table spans is never compared with Text(\"2\")",
            ),
            (range, "Column(\"kind\") of table spans is never compared with Text(\"a\")"),
            (
                Filter::Is(Place::Attribute("k".to_owned()), Test::Equals(Value::Integer(2))),
                "Attribute(\"k\") of table spans is never compared with Integer(2)",
            ),
        ];
        for (filter, want) in cases {
            assert_eq!(filter.check(Table::Spans).map_err(|error| error.to_string()), Err(want.to_owned()));
        }
        let of_ledger = Filter::attribute("k", "v").check(Table::Ledger);
        assert_eq!(of_ledger, Err(FilterError::NoAttributes("ledger")));
    }

    #[test]
    fn the_only_text_is_known_where_every_row_must_have_it() {
        let wanted = Filter::equals("trace_id", text("a"));
        let other = Filter::equals("name", text("b"));
        assert_eq!(other.clone().and(wanted.clone()).only_text("trace_id"), Some("a"));
        assert_eq!(other.clone().and(wanted.clone()).only_text("span_id"), None);
        for open in [Filter::Or(vec![wanted.clone(), other]), wanted.negated()] {
            assert_eq!(open.only_text("trace_id"), None, "{open:?}");
        }
    }
}
