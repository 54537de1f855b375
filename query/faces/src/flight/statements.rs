//! Statements: described, and run as streams of record batches.
//!
//! A stream holds its query: a client that goes away, or a cancelled run, drops both. Rows leave as the engine makes
//! them, as plain strings for views; nothing is collected. A statement is planned twice, once to say its columns and once
//! to run, which costs milliseconds and keeps the server without state between the two.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::FlightData;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use meshlake_query::{Engine, Prepared, QueryError, RowStream};
use tonic::Status;

use super::handle::Handle;
use super::running::{Run, Running};
use crate::grpc::status::{failed, unencodable};
use crate::portable::{portable, portable_schema};

/// The record batches of an answer as they go over the wire.
pub type Batches = BoxStream<'static, Result<FlightData, Status>>;

/// What answers statements. Clones share the engine and what runs.
#[derive(Clone)]
pub struct Statements {
    pub engine: Engine,
    pub running: Running,
}

/// What is known of a statement before it runs.
pub struct Described {
    /// Its columns; none where the type of one depends on a value.
    pub columns: Option<SchemaRef>,
    /// Its parameters, `$1` first; those of unknown type as text, which is read as whatever they are used as.
    pub parameters: SchemaRef,
}

impl Statements {
    pub fn new(engine: Engine) -> Self {
        Statements { engine, running: Running::default() }
    }

    /// # Errors
    /// As a statement that is run.
    pub async fn describe(&self, tenant: &str, sql: &str) -> Result<Described, Status> {
        let prepared = self.prepare(tenant, sql).await.map_err(|error| failed(&error))?;
        let parameters = (1..).zip(prepared.parameters()).map(|(place, data_type): (u32, _)| {
            Field::new(format!("${place}"), data_type.clone().unwrap_or(DataType::Utf8), true)
        });
        let parameters = portable_schema(&Schema::new(parameters.collect::<Vec<_>>()));
        let is_known = prepared.parameters().iter().all(Option::is_some);
        Ok(Described { columns: is_known.then(|| portable_schema(prepared.columns())), parameters })
    }

    async fn prepare(&self, tenant: &str, sql: &str) -> Result<Prepared, QueryError> {
        self.engine.begin(tenant).await?.prepare(sql).await
    }

    /// The rows of `handle`'s statement with its values.
    ///
    /// # Errors
    /// CANCELLED, also later in the stream; those of `status.rs`.
    pub async fn run(&self, tenant: &str, handle: &Handle) -> Result<Batches, Status> {
        let mut run = self.running.enter(tenant, handle.name);
        let rows = run.until_cancelled(self.rows(tenant, handle)).await??;
        let schema = portable_schema(rows.schema());
        let rows = plain(cancellable(rows, run), SchemaRef::clone(&schema));
        Ok(encoded(schema, rows))
    }

    async fn rows(&self, tenant: &str, handle: &Handle) -> Result<RowStream, Status> {
        let asked = async {
            let query = self.engine.begin(tenant).await?;
            if handle.values.is_empty() {
                return query.sql(&handle.sql).await;
            }
            query.run(query.prepare(&handle.sql).await?.bind(&handle.values)?).await
        };
        asked.await.map_err(|error| failed(&error))
    }
}

/// One batch that is there already.
pub fn only(batch: RecordBatch) -> Batches {
    encoded(batch.schema(), stream::iter([Ok(batch)]))
}

/// `rows` until they end, fail, or their run is cancelled; the failure is the last item.
fn cancellable(rows: RowStream, run: Run) -> impl Stream<Item = Result<RecordBatch, Status>> + Send {
    stream::unfold(Some((rows, run)), |running| async move {
        let (mut rows, mut run) = running?;
        match run.until_cancelled(rows.next()).await {
            Err(cancelled) => Some((Err(cancelled), None)),
            Ok(None) => None,
            Ok(Some(Err(error))) => Some((Err(failed(&error)), None)),
            Ok(Some(Ok(batch))) => Some((Ok(batch), Some((rows, run)))),
        }
    })
}

fn plain(
    rows: impl Stream<Item = Result<RecordBatch, Status>> + Send,
    schema: SchemaRef,
) -> impl Stream<Item = Result<RecordBatch, Status>> + Send {
    rows.map(move |batch| portable(&batch?, &schema).map_err(|error| unencodable(&error)))
}

fn encoded(
    schema: SchemaRef,
    rows: impl Stream<Item = Result<RecordBatch, Status>> + Send + 'static,
) -> Batches {
    let encoder = FlightDataEncoderBuilder::new().with_schema(schema);
    encoder.build(rows.map_err(FlightError::from)).map_err(Status::from).boxed()
}
