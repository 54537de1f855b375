//! Tables that SQL can ask for by name and that no SQL could compute: golden metrics, the graph, a trace as a tree.
//!
//! Each is a file here and a line in [`all`]. A function computes nothing that an API does not: it asks the same
//! functions of this crate, on the snapshot of the statement that calls it. What an API says beside its rows (warnings,
//! the part of the range that was observed) has no place in a table and is left out.
//!
//! `docs/sql.md` shows how they are called.

mod golden;
mod graph;
mod calls;
mod trace_tree;
mod versions;
mod balance;
mod policies;
mod rollouts;

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use meshlake_calls::{Range, Source};
use meshlake_engine::{Arguments, ComputedRows, Parameter, ParameterKind, Query, QueryError, TableFunction};
use meshlake_schema::UnixNanos;

use crate::calls::LoadError;

/// What is asked for when a statement names no range, as in the APIs.
const DEFAULT_RANGE: Duration = Duration::from_secs(15 * 60);

/// Every function, for the engine.
pub fn all() -> Vec<Arc<dyn TableFunction>> {
    // A function is a line here.
    vec![
        Arc::new(golden::GOLDEN),
        Arc::new(graph::NODES),
        Arc::new(graph::EDGES),
        Arc::new(calls::CALLS),
        Arc::new(trace_tree::TRACE_TREE),
        Arc::new(versions::VERSIONS),
        Arc::new(balance::BALANCE),
        Arc::new(policies::POLICIES),
        Arc::new(rollouts::ROLLOUTS),
    ]
}

/// A function whose answer comes as a whole, a row an `R`.
struct Function<R: 'static> {
    name: &'static str,
    parameters: &'static [Parameter],
    columns: &'static [Column<R>],
    answer: fn(Arc<Query>, Arguments) -> Answer<R>,
}

type Answer<R> = BoxFuture<'static, Result<Vec<R>, QueryError>>;

impl<R: Send + 'static> TableFunction for Function<R> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn parameters(&self) -> &'static [Parameter] {
        self.parameters
    }

    fn columns(&self) -> SchemaRef {
        schema(self.columns)
    }

    fn rows(&self, query: Arc<Query>, arguments: Arguments) -> ComputedRows {
        let (columns, answer) = (self.columns, (self.answer)(query, arguments));
        stream::once(async move { batch(columns, &answer.await?) }).boxed()
    }
}

const fn parameter(name: &'static str, kind: ParameterKind) -> Parameter {
    Parameter { name, kind }
}

/// A column of a function's table, and where its values come from in a row of the answer.
struct Column<R> {
    name: &'static str,
    value: Value<R>,
}

/// A getter by the type of its column; none is null.
enum Value<R> {
    Text(fn(&R) -> Option<&str>),
    Number(fn(&R) -> Option<f64>),
    Integer(fn(&R) -> Option<i64>),
    Boolean(fn(&R) -> Option<bool>),
    Time(fn(&R) -> Option<UnixNanos>),
}

impl<R> Value<R> {
    fn data_type(&self) -> DataType {
        match self {
            Value::Text(_) => DataType::Utf8,
            Value::Number(_) => DataType::Float64,
            Value::Integer(_) => DataType::Int64,
            Value::Boolean(_) => DataType::Boolean,
            Value::Time(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }

    fn array(&self, rows: &[R]) -> ArrayRef {
        match self {
            Value::Text(get) => Arc::new(rows.iter().map(get).collect::<StringArray>()),
            Value::Number(get) => Arc::new(rows.iter().map(get).collect::<Float64Array>()),
            Value::Integer(get) => Arc::new(rows.iter().map(get).collect::<Int64Array>()),
            Value::Boolean(get) => Arc::new(rows.iter().map(get).collect::<BooleanArray>()),
            Value::Time(get) => {
                let micros = rows.iter().map(|row| get(row).map(UnixNanos::micros));
                Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
            }
        }
    }
}

fn schema<R>(columns: &[Column<R>]) -> SchemaRef {
    let fields = columns.iter().map(|column| Field::new(column.name, column.value.data_type(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn batch<R>(columns: &[Column<R>], rows: &[R]) -> Result<RecordBatch, QueryError> {
    let arrays = columns.iter().map(|column| column.value.array(rows)).collect();
    RecordBatch::try_new(schema(columns), arrays).map_err(|error| QueryError::Internal(error.to_string()))
}

/// The range that `from`, `to` and `step` name, on the grid.
fn range(query: &Query, given: &Arguments, step: Option<Duration>) -> Result<Range, QueryError> {
    let to = given.time("to").unwrap_or(query.began());
    let from = given.time("from").unwrap_or(to.minus(DEFAULT_RANGE));
    Range::new(from, to, step).map_err(|error| QueryError::Invalid(error.to_string()))
}

/// The parameters of a function of one service that takes no others.
const OF_SERVICE: [Parameter; 4] = [
    parameter("service", ParameterKind::Text),
    parameter("from", ParameterKind::Time),
    parameter("to", ParameterKind::Time),
    parameter("source", ParameterKind::Text),
];

/// The service, the range and the source that a function of one service is asked for.
fn of_service<'a>(query: &Query, given: &'a Arguments) -> Result<(&'a str, Range, Source), QueryError> {
    Ok((service(given)?, range(query, given, None)?, source(given)?))
}

/// The service that has to be named.
fn service(given: &Arguments) -> Result<&str, QueryError> {
    given.text("service").ok_or_else(|| QueryError::Invalid("name a service".to_owned()))
}

/// What calls are counted from.
fn source(given: &Arguments) -> Result<Source, QueryError> {
    one_of("source", given.text("source"), &Source::ALL.map(|source| (source.name(), source)))
}

/// One of several words; none is the first.
fn one_of<T: Copy>(name: &str, given: Option<&str>, words: &[(&str, T)]) -> Result<T, QueryError> {
    let Some(given) = given else { return Ok(words[0].1) };
    let found = words.iter().find(|(word, _)| *word == given);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        QueryError::Invalid(format!("{name}: {given:?} is not one of {}", known.join(", ")))
    })
}

/// In SQL one error is as good as another: what no statement could ask for is invalid.
fn failed(error: LoadError) -> QueryError {
    match error {
        LoadError::Query(error) => error,
        LoadError::TooManyCells(error) => QueryError::Invalid(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
