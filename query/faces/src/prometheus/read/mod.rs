//! `/api/v1/read`: samples as they are, for another Prometheus that evaluates queries over them.
//!
//! ```text
//! snappy(ReadRequest) -> snappy(ReadResponse)              SAMPLES
//!                     -> frames, each of one series        STREAMED_XOR_CHUNKS
//! ```
//! The first of the two that the client names is answered; without a name the first. Errors are plain text, as
//! Prometheus's. What was read stays in memory, charged, until it is sent.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/querying/remote_read_api/>, and `prompb/remote.proto` there.

mod frames;
mod messages;
mod float_histogram_chunk;
pub(super) mod spans;
mod xor_chunk;
mod bits;

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{Extensions, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use meshlake_query::prometheus::{self, Condition, Read, ReadSeries};
use meshlake_query::promql::Comparison;
use prost::Message as _;

use super::error::ApiError;
use crate::FaceState;
use crate::tenant::{NOT_A_TENANT, tenant_of};
use frames::frames;
use messages::{LabelMatcher, MatchKind, ReadQuery, ReadRequest, ReadResponse, ResponseKind};

/// Bytes of a request, unpacked: as many as an unpacked form may have.
const REQUEST_BYTES_MAX: usize = 2 << 20;

/// Selections of one request; a query of Prometheus makes one a selector.
const QUERIES_MAX: usize = 200;

/// Matchers of one request. A regular expression takes far more memory than its text.
const MATCHERS_MAX: usize = 1_000;

/// Answers one request.
pub async fn answer(
    State(state): State<FaceState>,
    beside: Extensions,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    match answered(&state, &beside, body).await {
        Ok(response) => response,
        Err(error) => (error.status, format!("{}\n", error.text)).into_response(),
    }
}

async fn answered(
    state: &FaceState,
    beside: &Extensions,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let tenant = tenant_of(beside).ok_or_else(|| ApiError::bad_data(NOT_A_TENANT))?;
    let refused =
        |error: BytesRejection| ApiError { status: error.status(), ..ApiError::bad_data(error.body_text()) };
    let request = request_of(&body.map_err(refused)?)?;
    let kind = response_kind(&request.accepted_response_types)?;
    let found = prometheus::read(&state.prometheus, &tenant, reads(request.queries)?).await?;
    match kind {
        ResponseKind::Samples => samples(found),
        ResponseKind::StreamedXorChunks => Ok(chunks(found)),
    }
}

fn request_of(body: &[u8]) -> Result<ReadRequest, ApiError> {
    let wrong = |error: snap::Error| ApiError::bad_data(error.to_string());
    let length = snap::raw::decompress_len(body).map_err(wrong)?;
    if length > REQUEST_BYTES_MAX {
        let text = format!("the request of {length} bytes is larger than {REQUEST_BYTES_MAX}");
        return Err(ApiError { status: StatusCode::PAYLOAD_TOO_LARGE, ..ApiError::bad_data(text) });
    }
    let unpacked = snap::raw::Decoder::new().decompress_vec(body).map_err(wrong)?;
    ReadRequest::decode(unpacked.as_slice()).map_err(|error| ApiError::bad_data(error.to_string()))
}

/// The first kind of response that is known, of those that are accepted.
fn response_kind(accepted: &[i32]) -> Result<ResponseKind, ApiError> {
    if accepted.is_empty() {
        return Ok(ResponseKind::Samples);
    }
    let known = accepted.iter().find_map(|kind| ResponseKind::try_from(*kind).ok());
    known.ok_or_else(|| {
        ApiError::bad_data(format!(
            "server does not support any of the requested response types: {accepted:?}"
        ))
    })
}

fn reads(queries: Vec<ReadQuery>) -> Result<Vec<Read>, ApiError> {
    let matchers: usize = queries.iter().map(|query| query.matchers.len()).sum();
    if queries.len() > QUERIES_MAX || matchers > MATCHERS_MAX {
        let text = format!("the request has more than {QUERIES_MAX} queries or {MATCHERS_MAX} matchers");
        return Err(ApiError::bad_data(text));
    }
    queries.into_iter().map(read_of).collect()
}

fn read_of(query: ReadQuery) -> Result<Read, ApiError> {
    let conditions = query.matchers.into_iter().map(condition_of).collect::<Result<_, _>>()?;
    // Both ends belong to what is asked for; ours begins after its start.
    let after = query.start_timestamp_ms.saturating_sub(1);
    Ok(Read { conditions, after, until: query.end_timestamp_ms })
}

fn condition_of(matcher: LabelMatcher) -> Result<Condition, ApiError> {
    let comparison = match MatchKind::try_from(matcher.kind) {
        Ok(MatchKind::Equal) => Comparison::Equal,
        Ok(MatchKind::NotEqual) => Comparison::NotEqual,
        Ok(MatchKind::Regex) => Comparison::Regex,
        Ok(MatchKind::NotRegex) => Comparison::NotRegex,
        Err(_) => return Err(ApiError::bad_data(format!("invalid matcher type {}", matcher.kind))),
    };
    Ok(Condition { name: matcher.name, comparison, value: matcher.value })
}

/// All samples in one message.
fn samples(found: ReadSeries) -> Result<Response, ApiError> {
    let message = ReadResponse::of(&found.lists).encode_to_vec();
    drop(found);
    let too_large =
        |error: snap::Error| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "execution", error.to_string());
    let packed = snap::raw::Encoder::new().compress_vec(&message).map_err(too_large)?;
    let headers = [(header::CONTENT_TYPE, "application/x-protobuf"), (header::CONTENT_ENCODING, "snappy")];
    Ok((headers, packed).into_response())
}

/// A message a series, or several for a long one.
fn chunks(found: ReadSeries) -> Response {
    let body = Body::from_stream(stream::iter(frames(found).map(Ok::<_, Infallible>)));
    let content_type = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_kind_that_is_known_is_answered() {
        assert_eq!(response_kind(&[]), Ok(ResponseKind::Samples));
        assert_eq!(response_kind(&[7, 1, 0]), Ok(ResponseKind::StreamedXorChunks));
        assert_eq!(response_kind(&[0, 1]), Ok(ResponseKind::Samples));
        assert!(response_kind(&[7]).is_err());
    }

    #[test]
    fn both_ends_of_a_range_are_read_and_matchers_are_bounded() {
        let matcher = |kind| LabelMatcher { kind, name: "a".to_owned(), value: "b".to_owned() };
        let query = |matchers| ReadQuery { start_timestamp_ms: 10, end_timestamp_ms: 20, matchers };
        let read = read_of(query(vec![matcher(3)])).expect("it is sound");
        let want =
            Condition { name: "a".to_owned(), comparison: Comparison::NotRegex, value: "b".to_owned() };
        assert_eq!((read.after, read.until, read.conditions), (9, 20, vec![want]));
        assert!(read_of(query(vec![matcher(4)])).is_err());
        let first = ReadQuery { start_timestamp_ms: i64::MIN, end_timestamp_ms: 0, matchers: Vec::new() };
        assert!(read_of(first).is_ok_and(|read| read.after == i64::MIN));
        let empty = || query(Vec::new());
        assert!(reads(vec![empty(); QUERIES_MAX]).is_ok());
        assert!(reads(vec![empty(); QUERIES_MAX + 1]).is_err());
        assert!(reads(vec![query(vec![matcher(0); MATCHERS_MAX])]).is_ok());
        assert!(reads(vec![query(vec![matcher(0); MATCHERS_MAX + 1])]).is_err());
    }

    #[test]
    fn a_request_is_bounded_before_it_is_unpacked() {
        let packed = |bytes: usize| {
            snap::raw::Encoder::new().compress_vec(&vec![0_u8; bytes]).expect("there is memory")
        };
        let status =
            |bytes: usize| request_of(&packed(bytes)).expect_err("zeros are no message").status.as_u16();
        assert_eq!((status(REQUEST_BYTES_MAX), status(REQUEST_BYTES_MAX + 1)), (400, 413));
        assert_eq!(request_of(b"\xff").expect_err("it is not snappy").status.as_u16(), 400);
    }
}
