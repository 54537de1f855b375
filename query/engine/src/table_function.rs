//! Tables that are computed when a statement asks for them: `SELECT * FROM golden('edge')`.
//!
//! Calls are a fold and traces are trees, which SQL cannot say. Whoever can compute them gives the engine a
//! [`TableFunction`]; to a statement its rows are a table like any other, to be joined, filtered and summed, and they
//! are of the snapshot that the statement's other tables are of. The work is bounded as the statement is: by its
//! deadline, and by the memory pool for what a function charges to its query's budget.
//!
//! A function is handed a query in which no functions are known, so none can call itself or another, however deep.
//! Limits: arguments are constants, by position; those left out at the end, and nulls, take what the function says.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, IntervalDayTime, IntervalMonthDayNano, IntervalUnit, SchemaRef, TimeUnit};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{TableFunction as Callable, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use meshlake_schema::UnixNanos;
use meshlake_schema::time::parse_duration;

use crate::error::QueryError;
use crate::query::Query;

/// The rows of a table that is computed; every batch has the function's columns.
pub type ComputedRows = BoxStream<'static, std::result::Result<RecordBatch, QueryError>>;

/// A table that is computed from a snapshot.
pub trait TableFunction: Send + Sync + 'static {
    /// As statements call it, in lower case.
    fn name(&self) -> &'static str;

    /// What it takes, in that order; each may be left out.
    fn parameters(&self) -> &'static [Parameter];

    /// The columns of its rows, whatever the arguments.
    fn columns(&self) -> SchemaRef;

    /// Computes the rows for one statement.
    ///
    /// cancel: a stream that is dropped stops the work.
    fn rows(&self, query: Arc<Query>, arguments: Arguments) -> ComputedRows;
}

/// One parameter of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    pub name: &'static str,
    pub kind: ParameterKind,
}

/// What an argument is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    Text,
    /// A timestamp or date, RFC 3339, or seconds since the epoch.
    Time,
    /// An interval of days and less, text like `5m`, or seconds.
    Duration,
    /// A whole number from 0 on.
    Count,
}

/// A constant, read as what its parameter is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    Text(String),
    Time(UnixNanos),
    Duration(Duration),
    Count(u64),
}

/// What a statement calls a function with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    parameters: &'static [Parameter],
    /// By position; shorter than the parameters where the last are left out.
    values: Vec<Option<Argument>>,
}

impl Arguments {
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.of(name) {
            Some(Argument::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub fn time(&self, name: &str) -> Option<UnixNanos> {
        match self.of(name) {
            Some(Argument::Time(time)) => Some(*time),
            _ => None,
        }
    }

    pub fn duration(&self, name: &str) -> Option<Duration> {
        match self.of(name) {
            Some(Argument::Duration(duration)) => Some(*duration),
            _ => None,
        }
    }

    pub fn count(&self, name: &str) -> Option<u64> {
        match self.of(name) {
            Some(Argument::Count(count)) => Some(*count),
            _ => None,
        }
    }

    /// # Panics
    /// Only for a name that is none of the function's parameters.
    fn of(&self, name: &str) -> Option<&Argument> {
        let at = self.parameters.iter().position(|parameter| parameter.name == name);
        self.values.get(at.expect("a parameter that the function declares"))?.as_ref()
    }

    fn read(function: &str, parameters: &'static [Parameter], given: &[Expr]) -> Result<Arguments> {
        if given.len() > parameters.len() {
            let names: Vec<&str> = parameters.iter().map(|parameter| parameter.name).collect();
            let (most, names) = (parameters.len(), names.join(", "));
            return plan_err!("{function} takes at most {most} arguments: {names}");
        }
        let values = parameters.iter().zip(given).map(|(parameter, expr)| {
            let Expr::Literal(value, _) = expr else {
                return plan_err!("{function}: {} must be a constant, not {expr}", parameter.name);
            };
            if value.is_null() {
                return Ok(None);
            }
            let wrong = || {
                let (name, wants) = (parameter.name, parameter.kind.wanted());
                DataFusionError::Plan(format!("{function}: {name} must be {wants}, not {value}"))
            };
            parameter.kind.read(value).ok_or_else(wrong).map(Some)
        });
        Ok(Arguments { parameters, values: values.collect::<Result<_>>()? })
    }
}

impl ParameterKind {
    /// What a value is by its best type; each can be given as text.
    pub fn data_type(self) -> DataType {
        match self {
            ParameterKind::Text => DataType::Utf8,
            ParameterKind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            ParameterKind::Duration => DataType::Interval(IntervalUnit::MonthDayNano),
            ParameterKind::Count => DataType::Int64,
        }
    }

    fn wanted(self) -> &'static str {
        match self {
            ParameterKind::Text => "text",
            ParameterKind::Time => "a timestamp, RFC 3339 or unix seconds",
            ParameterKind::Duration => "an interval of days and less, or like 30s, 5m, 1h, 1d",
            ParameterKind::Count => "a whole number from 0 on",
        }
    }

    fn read(self, value: &ScalarValue) -> Option<Argument> {
        match self {
            ParameterKind::Text => text_of(value).map(|text| Argument::Text(text.to_owned())),
            ParameterKind::Time => time_of(value).map(Argument::Time),
            ParameterKind::Duration => duration_of(value).map(Argument::Duration),
            ParameterKind::Count => match value.cast_to(&DataType::UInt64).ok()? {
                ScalarValue::UInt64(count) if value.data_type().is_integer() => count.map(Argument::Count),
                _ => None,
            },
        }
    }
}

fn text_of(value: &ScalarValue) -> Option<&str> {
    value.try_as_str().flatten()
}

fn time_of(value: &ScalarValue) -> Option<UnixNanos> {
    if let Some(text) = text_of(value) {
        return UnixNanos::parse(text);
    }
    if value.data_type().is_numeric() {
        return UnixNanos::parse(&value.to_string());
    }
    match value.cast_to(&DataType::Timestamp(TimeUnit::Nanosecond, None)).ok()? {
        ScalarValue::TimestampNanosecond(nanos, _) => nanos.map(UnixNanos),
        _ => None,
    }
}

fn duration_of(value: &ScalarValue) -> Option<Duration> {
    const DAY: Duration = Duration::from_secs(86_400);
    let days = |days: i32| DAY.checked_mul(u32::try_from(days).ok()?);
    match value {
        ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano {
            months: 0,
            days: of_days,
            nanoseconds,
        })) => days(*of_days)?.checked_add(Duration::from_nanos(u64::try_from(*nanoseconds).ok()?)),
        ScalarValue::IntervalDayTime(Some(IntervalDayTime { days: of_days, milliseconds })) => {
            days(*of_days)?.checked_add(Duration::from_millis(u64::try_from(*milliseconds).ok()?))
        }
        value if value.data_type().is_integer() => parse_duration(&value.to_string()),
        value => parse_duration(text_of(value)?),
    }
}

/// How DataFusion names the scan of a function, and so a guard of plans meets it.
pub fn scan_name(function: &str) -> String {
    format!("{function}()")
}

/// `functions` as a session calls them, over what `query` sees.
pub fn callable(functions: &[Arc<dyn TableFunction>], query: &Arc<Query>) -> Vec<Arc<Callable>> {
    let callable = functions.iter().map(|function| {
        let call = Call { function: Arc::clone(function), query: Arc::clone(query) };
        Arc::new(Callable::new(function.name().to_owned(), Arc::new(call)))
    });
    callable.collect()
}

/// A function in a session.
struct Call {
    function: Arc<dyn TableFunction>,
    query: Arc<Query>,
}

impl TableFunctionImpl for Call {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let function = Arc::clone(&self.function);
        let arguments = Arguments::read(function.name(), function.parameters(), args.exprs())?;
        let columns = function.columns();
        let query = Arc::clone(&self.query);
        let table = Computed { columns: Arc::clone(&columns), function, query, arguments };
        Ok(Arc::new(StreamingTable::try_new(columns, vec![Arc::new(table)])?))
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", scan_name(self.function.name()))
    }
}

/// A function with its arguments.
struct Computed {
    columns: SchemaRef,
    function: Arc<dyn TableFunction>,
    query: Arc<Query>,
    arguments: Arguments,
}

impl PartitionStream for Computed {
    fn schema(&self) -> &SchemaRef {
        &self.columns
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.function.rows(Arc::clone(&self.query), self.arguments.clone());
        let rows = rows.map_err(DataFusionError::from);
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.columns), rows))
    }
}

impl fmt::Debug for Computed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", scan_name(self.function.name()))
    }
}
