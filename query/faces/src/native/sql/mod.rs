//! `POST /api/v1/sql`: one read-only statement in, rows out as they are found.
//!
//! ```text
//! {"sql": "SELECT ..."}  ->  {"columns":[{"name","type"}],"rows":[[...]]}         application/json (default)
//!                            text/csv | application/vnd.apache.arrow.stream | application/vnd.apache.parquet
//! ```
//! The body may also be the statement itself, and `"parameters": [...]` gives values for `$1`, `$2` (`statement.rs`).
//! The answer is streamed, never held whole. The first part is held back, so that a query that fails early
//! still gets its status; one that fails later breaks the connection off, which every client notices. Past
//! the row cap, JSON ends properly with `"truncated": true`; the other formats have no place for it and
//! break off.

mod statement;
mod format;
mod json;
mod csv;
mod arrow_stream;
mod parquet;
mod encoder;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};

use super::{ApiError, Tenant};
use crate::FaceState;
use encoder::Encoder;
use format::Format;
use meshlake_query::{QueryError, RowStream};
use statement::statement_of;

/// How much of the answer is held back until its status is sent: enough that most answers fail with a
/// status or not at all, little enough that the first rows come at once.
const HELD_BYTES: usize = 64 * 1024;

/// Rows encoded into one chunk; buffered batches can be far larger than DataFusion's own.
const CHUNK_ROWS: usize = 8_192;

/// Answers one statement in the format that `Accept` asks for.
pub async fn answer(
    State(state): State<FaceState>,
    Tenant(tenant): Tenant,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let body = body.map_err(|error| ApiError::refused_body(error.status(), error.body_text()))?;
    let statement = statement_of(&headers, &body)?;
    let format = Format::accepted(&headers)?;
    let answer = match &statement.parameters {
        None => state.engine.sql(&tenant, &statement.sql).await?,
        Some(parameters) => {
            let query = state.engine.begin(&tenant).await?;
            query.run(query.prepare(&statement.sql).await?.bind(parameters)?).await?
        }
    };
    let mut chunks = Box::pin(encoded(answer, format)?.fuse());
    let (mut held, mut held_bytes) = (Vec::new(), 0);
    while held_bytes < HELD_BYTES {
        let Some(chunk) = chunks.next().await.transpose()? else { break };
        held_bytes += chunk.len();
        held.push(Ok(chunk));
    }
    let late = chunks.inspect(|chunk| {
        if let Err(error) = chunk {
            tracing::warn!(%error, "break off answer");
        }
    });
    let body = Body::from_stream(stream::iter(held).chain(late));
    Ok(([(header::CONTENT_TYPE, format.content_type())], body).into_response())
}

/// What is left to send.
struct Encoding {
    answer: RowStream,
    /// None once the end was written or an error was told.
    encoder: Option<Box<dyn Encoder>>,
}

fn encoded(
    answer: RowStream,
    format: Format,
) -> Result<impl Stream<Item = Result<Bytes, QueryError>> + Send, QueryError> {
    let encoder = Some(format.encoder(answer.schema())?);
    let encoding = Encoding { answer, encoder };
    Ok(stream::unfold(encoding, |mut encoding| async move {
        let chunk = encoding.next_chunk().await?;
        Some((chunk.map(Bytes::from), encoding))
    }))
}

impl Encoding {
    async fn next_chunk(&mut self) -> Option<Result<Vec<u8>, QueryError>> {
        let mut encoder = self.encoder.take()?;
        let chunk = match self.answer.next().await {
            None => return Some(encoder.end(None)),
            Some(Err(QueryError::TooManyRows(rows_max))) => return Some(encoder.end(Some(rows_max))),
            Some(Err(error)) => return Some(Err(error)),
            Some(Ok(batch)) => {
                let starts = (0..batch.num_rows()).step_by(CHUNK_ROWS);
                let slices = starts.map(|start| batch.slice(start, CHUNK_ROWS.min(batch.num_rows() - start)));
                slices.map(|slice| encoder.rows(&slice)).collect::<Result<Vec<_>, _>>()
            }
        };
        if chunk.is_ok() {
            self.encoder = Some(encoder);
        }
        Some(chunk.map(|parts| parts.concat()))
    }
}
