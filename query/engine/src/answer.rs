//! The stream of an answer, ended by its deadline and its caps.
//!
//! The deadline covers the whole stream and not only planning, because a query does its work while it is
//! read. Dropping the stream stops the query.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::error::QueryError;
use crate::weight::{Texts, batch_bytes};

/// Rows as they are found, in batches of one schema. The first error is the last item. Cancel: dropping the
/// stream stops the query and frees its place.
pub struct RowStream {
    schema: SchemaRef,
    batches: BoxStream<'static, Result<RecordBatch, QueryError>>,
}

impl RowStream {
    /// No rows.
    pub(crate) fn empty(schema: SchemaRef) -> RowStream {
        RowStream { schema, batches: stream::empty().boxed() }
    }

    /// One batch that is made when it is asked for.
    pub(crate) fn of_one(
        schema: SchemaRef,
        batch: impl Future<Output = Result<RecordBatch, QueryError>> + Send + 'static,
    ) -> RowStream {
        RowStream { schema, batches: stream::once(batch).boxed() }
    }

    /// The same rows, whose columns are called what `name` makes of their names.
    pub(crate) fn called(self, name: fn(&str) -> &str) -> RowStream {
        if self.schema.fields().iter().all(|field| name(field.name()) == field.name()) {
            return self;
        }
        let schema = called(&self.schema, name);
        let batches = self.batches.map(move |batch| {
            let (_, columns, rows) = batch?.into_parts();
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            let renamed = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options);
            renamed.map_err(|error| QueryError::Internal(error.to_string()))
        });
        RowStream { schema: called(&self.schema, name), batches: batches.boxed() }
    }

    /// The columns of every batch, known before the first.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

/// `schema` with columns that are called what `name` makes of their names.
pub fn called(schema: &Schema, name: fn(&str) -> &str) -> SchemaRef {
    let renamed = schema.fields().iter().map(|field| Field::clone(field).with_name(name(field.name())));
    Arc::new(Schema::new_with_metadata(renamed.collect::<Vec<_>>(), schema.metadata().clone()))
}

impl Stream for RowStream {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.batches.poll_next_unpin(context)
    }
}

impl fmt::Debug for RowStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowStream").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// What ends a stream early.
#[derive(Debug, Clone, Copy)]
pub struct Caps {
    pub deadline: Instant,
    /// How long the whole query was given; for the message.
    pub timeout: Duration,
    pub rows_max: usize,
    pub bytes_max: usize,
}

struct Bounded {
    inner: BoxStream<'static, Result<RecordBatch, QueryError>>,
    caps: Caps,
    rows: usize,
    bytes: usize,
    ended: bool,
    _place: Arc<OwnedSemaphorePermit>,
}

/// `inner`, rows of `schema`, with `caps` applied; holds `place` until it is dropped.
pub fn bounded(
    schema: SchemaRef,
    inner: impl Stream<Item = Result<RecordBatch, QueryError>> + Send + 'static,
    caps: Caps,
    place: Arc<OwnedSemaphorePermit>,
) -> RowStream {
    let bounded = Bounded { inner: inner.boxed(), caps, rows: 0, bytes: 0, ended: false, _place: place };
    let batches = stream::unfold(bounded, |mut bounded| async move {
        let batch = bounded.next().await?;
        Some((batch, bounded))
    });
    RowStream { schema, batches: batches.boxed() }
}

impl Bounded {
    async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        if self.ended {
            return None;
        }
        let next = self.within_caps().await;
        self.ended = !matches!(next, Some(Ok(_)));
        if self.ended {
            // Its work stops now, however long the end takes to be written out.
            self.inner = stream::empty().boxed();
        }
        next
    }

    /// The next batch; the one that crosses the row cap is cut to it, and the error follows.
    async fn within_caps(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        if self.rows > self.caps.rows_max {
            return Some(Err(QueryError::TooManyRows(self.caps.rows_max)));
        }
        let batch = match tokio::time::timeout_at(self.caps.deadline, self.inner.next()).await {
            Err(_) => return Some(Err(QueryError::TimedOut(self.caps.timeout))),
            Ok(None) => return None,
            Ok(Some(Err(error))) => return Some(Err(error)),
            Ok(Some(Ok(batch))) => batch,
        };
        let left = self.caps.rows_max - self.rows;
        self.rows = self.rows.saturating_add(batch.num_rows());
        let batch = batch.slice(0, batch.num_rows().min(left));
        self.bytes = self.bytes.saturating_add(batch_bytes(&batch, Texts::Copied));
        if self.bytes > self.caps.bytes_max {
            return Some(Err(QueryError::TooManyBytes(self.caps.bytes_max)));
        }
        Some(Ok(batch))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;
    use arrow::datatypes::{DataType, Field, Schema};
    use tokio::sync::Semaphore;

    use super::*;

    fn batch(rows: i64) -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from_iter_values(0..rows))])
            .expect("the column fits the schema")
    }

    async fn run(
        batches: impl Stream<Item = Result<RecordBatch, QueryError>> + Send + 'static,
        rows_max: usize,
        bytes_max: usize,
    ) -> (usize, Option<QueryError>) {
        run_until(batches, rows_max, bytes_max, Duration::from_secs(30)).await
    }

    async fn run_until(
        batches: impl Stream<Item = Result<RecordBatch, QueryError>> + Send + 'static,
        rows_max: usize,
        bytes_max: usize,
        timeout: Duration,
    ) -> (usize, Option<QueryError>) {
        let caps = Caps { deadline: Instant::now() + timeout, timeout, rows_max, bytes_max };
        let places = Arc::new(Semaphore::new(1));
        let place = Arc::new(places.acquire_owned().await.expect("the semaphore is open"));
        let mut bounded = bounded(batch(0).schema(), batches, caps, place);
        let mut rows = 0;
        while let Some(next) = bounded.next().await {
            match next {
                Ok(batch) => rows += batch.num_rows(),
                Err(error) => return (rows, Some(error)),
            }
        }
        (rows, None)
    }

    #[tokio::test]
    async fn rows_up_to_the_cap_pass_and_the_next_is_an_error() {
        let three = || stream::iter([Ok(batch(2)), Ok(batch(1))]);
        assert_eq!(run(three(), 3, 1 << 20).await, (3, None));
        assert_eq!(run(three(), 2, 1 << 20).await, (2, Some(QueryError::TooManyRows(2))));
    }

    #[tokio::test]
    async fn bytes_over_the_cap_are_an_error() {
        // Three rows of eight bytes.
        assert_eq!(run(stream::iter([Ok(batch(3))]), 10, 24).await, (3, None));
        assert_eq!(run(stream::iter([Ok(batch(3))]), 10, 23).await, (0, Some(QueryError::TooManyBytes(23))));
    }

    #[tokio::test]
    async fn a_stream_that_never_ends_is_ended_by_the_deadline() {
        let (rows, error) = run_until(stream::pending(), 10, 1 << 20, Duration::ZERO).await;
        assert_eq!((rows, error), (0, Some(QueryError::TimedOut(Duration::ZERO))));
    }
}
