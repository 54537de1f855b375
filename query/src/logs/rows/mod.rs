//! Rows as entries of streams.
//!
//! Both tables give the same: a time, a line, the labels of its stream, and what is stored beside it. A label `source` tells the
//! tables apart.

mod requests;
mod logs;
pub mod severity;

use std::borrow::Cow;

use arrow::array::RecordBatch;
use meshlake_logql::{Entry, LabelSet, Pipeline};
use meshlake_schema::{Table, UnixNanos};

use super::error::LogsError;
use super::streams::{Stream, Streams};

/// The label that says which table a stream is of.
pub const SOURCE: &str = "source";

/// The tables with lines, and the values of [`SOURCE`].
pub const TABLES: [(Table, &str); 2] = [(Table::Logs, "logs"), (Table::Requests, "requests")];

/// What is asked of rows.
#[derive(Debug, Clone, Copy)]
pub struct Needs<'q> {
    pub pipeline: Pipeline<'q>,
    /// Whether lines are looked at, or their length; else they are empty.
    pub lines: bool,
    /// Whether what is stored beside lines is.
    pub metadata: bool,
    /// Times from the first on and before the second.
    pub times: (UnixNanos, UnixNanos),
}

impl Needs<'_> {
    /// The columns of a table that are needed.
    pub fn columns(&self, table: Table) -> Vec<&'static str> {
        match table {
            Table::Requests => requests::columns(self),
            _ => logs::columns(self),
        }
    }

    fn has_time(&self, nanos: i64) -> bool {
        self.times.0.0 <= nanos && nanos < self.times.1.0
    }
}

/// Those of [`Needs::columns`] that are best read as dictionaries.
pub fn dictionaries(table: Table) -> &'static [&'static str] {
    match table {
        Table::Requests => requests::DICTIONARIES,
        _ => logs::DICTIONARIES,
    }
}

/// What takes entries.
pub type Each<'e> = dyn FnMut(&mut Entry<'_>) -> Result<(), LogsError> + 'e;

/// Gives the entries of a batch that are of a stream and a time that are asked for and pass the pipeline.
///
/// # Errors
/// Those of `each`, and of columns that are not the table's.
pub fn entries(
    table: Table,
    batch: &RecordBatch,
    needs: &Needs<'_>,
    streams: &mut Streams,
    each: &mut Each<'_>,
) -> Result<(), LogsError> {
    match table {
        Table::Requests => requests::entries(batch, needs, streams, each),
        _ => logs::entries(batch, needs, streams, each),
    }
}

/// One row as an entry, through the pipeline.
fn give<'r>(
    needs: &Needs<'_>,
    stream: &'r Stream,
    (nanos, line): (i64, Cow<'r, str>),
    metadata: impl FnOnce(&mut LabelSet<'r>),
    each: &mut Each<'_>,
) -> Result<(), LogsError> {
    // Most lines of a search end here, before anything is made of what is stored beside them.
    if !needs.pipeline.begins(&line) {
        return Ok(());
    }
    let mut labels = LabelSet::new(&stream.labels);
    if needs.metadata {
        metadata(&mut labels);
        for (name, value) in &stream.metadata {
            labels.add_metadata(name.as_str(), value.as_str());
        }
    }
    let mut entry = Entry { time: UnixNanos(nanos), line, labels };
    if needs.pipeline.run(&mut entry) { each(&mut entry) } else { Ok(()) }
}

fn wrong(error: &meshlake_schema::rows::RowsError) -> LogsError {
    LogsError::Read(meshlake_engine::QueryError::Internal(error.to_string()))
}
