//! Lines as they become durable.
//!
//! Nothing is queued for who watches: each reads the next rows when it can take them, and is told when rows went to files
//! before it came for them. Lines come as they were stored, which is not by their times.

use std::sync::Arc;

use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use meshlake_engine::{Engine, Followed, QueryError};
use meshlake_logql::Pipeline;
use meshlake_logql::tree::log::Log;
use meshlake_schema::{Table, UnixNanos};

use super::error::LogsError;
use super::lines::Found;
use super::pushed;
use super::rows::{Needs, entries};
use super::streams::Streams;

/// What a watcher is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Lines that passed the query; there may be none.
    Lines(Vec<Found>),
    /// Rows went to files unseen; there may have been lines among them that were asked for.
    Missed,
}

/// Ends only with an error, or when it is dropped.
pub type Tail = BoxStream<'static, Result<Told, LogsError>>;

/// The lines that a query asks for, from now on.
///
/// # Errors
/// As [`Engine::follow`].
pub async fn tail(engine: &Engine, tenant: &str, log: Log) -> Result<Tail, LogsError> {
    let log = Arc::new(log);
    let clock = Arc::clone(engine.clock());
    let mut tails = Vec::new();
    for table in pushed::tables(&log) {
        let columns = needs(&log, UnixNanos(0)).columns(table);
        let rows = engine.follow(table, &columns, tenant).await?;
        let (log, clock) = (Arc::clone(&log), Arc::clone(&clock));
        let told = rows.map_err(|error| LogsError::Read(QueryError::Snapshot(error)));
        let told = told.and_then(move |followed| {
            let told = told_of(table, &followed, &log, clock.now());
            async move { told }
        });
        tails.push(told.boxed());
    }
    Ok(stream::select_all(tails).boxed())
}

/// All that is stored, at all times.
fn needs(log: &Log, now: UnixNanos) -> Needs<'_> {
    let times = (UnixNanos(i64::MIN), UnixNanos(i64::MAX));
    Needs { pipeline: Pipeline::new(log, now), lines: true, metadata: true, times }
}

fn told_of(table: Table, followed: &Followed, log: &Log, now: UnixNanos) -> Result<Told, LogsError> {
    let Followed::Rows { rows, .. } = followed else { return Ok(Told::Missed) };
    let mut lines = Vec::new();
    let mut add = |entry: &mut meshlake_logql::Entry<'_>| {
        lines.push(Found::of(entry));
        Ok(())
    };
    entries(table, rows, &needs(log, now), &mut Streams::default(), &mut add)?;
    lines.sort();
    Ok(Told::Lines(lines))
}
