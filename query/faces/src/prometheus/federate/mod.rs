//! `/federate`: the latest sample of each series that `match[]` selects, as a Prometheus scrapes it.
//!
//! ```text
//! text      lines, for everybody; native histograms have none, but for those with custom buckets
//! protobuf  messages, for who prefers them, with native histograms
//! accept    which of both a scraper asks for, and how it reads names
//! ```
//! Types are not told, as Prometheus's own federation does not tell them. A series without `instance` says so, or whoever
//! scrapes would put its own there.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/federation/>, and
//! <https://prometheus.io/docs/instrumenting/content_negotiation/>.

mod text;
mod protobuf;
mod accept;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use meshlake_query::prometheus;
use meshlake_query::promql::{Histogram, METRIC_NAME};

use super::error::ApiError;
use super::parameters::Parameters;
use crate::FaceState;
use accept::{Format, Names};

/// Answers the samples, sorted by name; what is wrong as a line of text, as who scrapes logs it.
pub async fn answer(
    state: State<FaceState>,
    headers: HeaderMap,
    parameters: Result<Parameters, ApiError>,
) -> Response {
    let answered = match parameters {
        Ok(parameters) => exposed(state, headers, parameters).await,
        Err(error) => Err(error),
    };
    answered.unwrap_or_else(|error| (error.status, error.text + "\n").into_response())
}

async fn exposed(
    State(state): State<FaceState>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let selectors = parameters.selectors()?;
    if selectors.is_empty() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let mut samples =
        prometheus::latest(&state.prometheus, &parameters.tenant, selectors, parameters.now).await?;
    // Sorted by labels already: within a metric, its series stay in that order.
    samples.sort_by(|(a, ..), (b, ..)| a.get(METRIC_NAME).cmp(b.get(METRIC_NAME)));
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let (format, names) = accept::accepted(accept);
    let body = match format {
        Format::Text => Body::from(text::exposition(&samples, names)),
        Format::Protobuf => Body::from(protobuf::exposition(&samples, names)),
    };
    Ok(([(header::CONTENT_TYPE, accept::content_type(format, names))], body).into_response())
}

/// A name as it may stand where it needs no quotes; a metric's may have colons.
fn plain_or_utf8(text: &str, names: Names, is_metric: bool) -> String {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_' || (is_metric && c == ':');
    let is_plain = |at: usize, c: char| is_start(c) || (at > 0 && c.is_ascii_digit());
    match names {
        Names::Utf8 => text.to_owned(),
        Names::Underscores => {
            text.chars().enumerate().map(|(at, c)| if is_plain(at, c) { c } else { '_' }).collect()
        }
    }
}

/// Upper bounds of a histogram with custom buckets, and how many values lie below each; above the last is infinity.
fn classic_buckets(histogram: &Histogram) -> Vec<(f64, f64)> {
    let mut below = 0.0;
    let mut filled = histogram.positive.iter().peekable();
    let mut buckets = Vec::with_capacity(histogram.custom_bounds.len() + 1);
    for (index, bound) in histogram.custom_bounds.iter().enumerate() {
        let is_here = |(at, _): &&(i32, f64)| usize::try_from(*at).is_ok_and(|at| at <= index);
        while let Some((_, count)) = filled.next_if(is_here) {
            below += count;
        }
        buckets.push((*bound, below));
    }
    buckets.push((f64::INFINITY, histogram.count));
    buckets
}
