//! `POST /api/v1/sql`: one read-only statement in, rows out as they are found.
//!
//! ```text
//! {"sql": "SELECT ..."}  ->  {"columns":[{"name","type"}],"rows":[[...]]}     ?format=json, the default
//!                            {"name":value,...} a line                        ?format=ndjson
//!                            CSV, Arrow IPC stream, Parquet                    ?format=csv | arrow | parquet
//! ```
//! A format is also chosen by `Accept`. The body may be the statement itself, and `"parameters": [...]` gives values for
//! `$1`, `$2`, `"parameters": {...}` for `$name` (`statement.rs`). The answer is streamed, never held whole, and a client that goes away stops the query.
//!
//! The first part is held back, so that a query that fails early still gets its status. One that fails later, or outgrows
//! a cap, ends so that nobody takes it for whole: the connection is broken off before the last chunk (HTTP/1.1) or the
//! stream is reset (HTTP/2), and what has come lacks its end: `]}` in JSON, the end-of-stream mark in Arrow, the footer in
//! Parquet. Only JSON has a place to say it, so past a cap it ends properly with `"truncated": true` and the reason. The
//! caps are in the headers of every answer.
//!
//! There is no GET form: a page of another origin could make a browser send one, as an image, and a statement costs.

mod statement;
mod format;
mod json;
mod ndjson;
mod csv;
mod arrow_stream;
mod parquet;
mod encoder;

use arrow::array::RecordBatch;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};

use super::{ApiError, Tenant};
use crate::FaceState;
use encoder::Encoder;
use format::Format;
use meshlake_query::{QueryError, RowStream};
use serde::Deserialize;
use statement::statement_of;

/// How much of the answer is held back until its status is sent: enough that most answers fail with a
/// status or not at all, little enough that the first rows come at once.
const HELD_BYTES: usize = 64 * 1024;

/// The row cap of this answer.
const ROWS_MAX: HeaderName = HeaderName::from_static("meshlake-rows-max");

/// Its byte cap, of rows in memory.
const BYTES_MAX: HeaderName = HeaderName::from_static("meshlake-bytes-max");

/// Rows encoded into one chunk, at first and at most; buffered batches can be far larger than the engine's own.
const CHUNK_ROWS_FIRST: usize = 128;
const CHUNK_ROWS_MAX: usize = 8_192;

/// About as many bytes has a chunk, whatever its rows have. While one is made its thread answers nobody else, and it is held
/// twice over: a batch of texts of 32 KiB would be half a gigabyte.
const CHUNK_BYTES: usize = 512 << 10;

/// What stands behind the `?`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    format: Option<String>,
}

/// Answers one statement in the format that is asked for.
pub async fn answer(
    State(state): State<FaceState>,
    Tenant(tenant): Tenant,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let Query(asked) = asked.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let body = body.map_err(|error| ApiError::refused_body(error.status(), error.body_text()))?;
    let statement = statement_of(&headers, &body)?;
    let format = Format::asked(asked.format.as_deref(), &headers)?;
    let answer = match statement.parameters {
        None => state.engine.sql(&tenant, &statement.sql).await?,
        Some(parameters) => {
            let query = state.engine.begin(&tenant).await?;
            let prepared = query.prepare(&statement.sql).await?;
            let values = parameters.in_order(prepared.names())?;
            query.run(prepared.bind(&values)?).await?
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
    let config = state.engine.config();
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(format.content_type())),
        (ROWS_MAX, config.rows_max.into()),
        (BYTES_MAX, config.answer_bytes_max.into()),
    ];
    let mut answer = (headers, body).into_response();
    if statement.is_form {
        let kept = HeaderValue::from_static(format.attachment());
        answer.headers_mut().insert(header::CONTENT_DISPOSITION, kept);
    }
    Ok(answer)
}

/// What is left to send.
struct Encoding {
    answer: RowStream,
    /// None once the end was written or an error was told.
    encoder: Option<Box<dyn Encoder>>,
    /// Rows that have come and wait to be encoded.
    rest: Option<RecordBatch>,
    chunk_rows: usize,
}

fn encoded(
    answer: RowStream,
    format: Format,
) -> Result<impl Stream<Item = Result<Bytes, QueryError>> + Send, QueryError> {
    let encoder = Some(format.encoder(answer.schema())?);
    let encoding = Encoding { answer, encoder, rest: None, chunk_rows: CHUNK_ROWS_FIRST };
    Ok(stream::unfold(encoding, |mut encoding| async move {
        let chunk = encoding.next_chunk().await?;
        Some((chunk.map(Bytes::from), encoding))
    }))
}

impl Encoding {
    async fn next_chunk(&mut self) -> Option<Result<Vec<u8>, QueryError>> {
        let mut encoder = self.encoder.take()?;
        let batch = match self.rest.take() {
            Some(rest) => Some(Ok(rest)),
            None => self.answer.next().await,
        };
        let chunk = match batch {
            None => return Some(encoder.end(None)),
            Some(Err(cut @ (QueryError::TooManyRows(_) | QueryError::TooManyBytes(_)))) => {
                return Some(encoder.end(Some(cut)));
            }
            Some(Err(error)) => return Some(Err(error)),
            Some(Ok(batch)) => encoder.rows(&self.first_of(&batch)),
        };
        if let Ok(chunk) = &chunk {
            self.encoder = Some(encoder);
            self.chunk_rows = rows_after(self.chunk_rows, chunk.len());
        }
        Some(chunk)
    }

    /// The rows of the next chunk; the others are kept.
    fn first_of(&mut self, batch: &RecordBatch) -> RecordBatch {
        let (all, rows) = (batch.num_rows(), self.chunk_rows.min(batch.num_rows()));
        self.rest = (rows < all).then(|| batch.slice(rows, all - rows));
        batch.slice(0, rows)
    }
}

/// How many rows the next chunk has, after one of so many that was so long.
fn rows_after(rows: usize, bytes: usize) -> usize {
    if bytes < CHUNK_BYTES / 2 {
        (rows * 2).min(CHUNK_ROWS_MAX)
    } else if bytes > CHUNK_BYTES * 2 {
        (rows / 2).max(1)
    } else {
        rows
    }
}

#[cfg(test)]
mod tests;
