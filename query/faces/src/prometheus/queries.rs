//! `query`, `query_range` and `query_exemplars`.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use meshlake_query::prometheus::{self, Asked, EARLIEST, LATEST};
use meshlake_query::promql::{Labels, Options, When};
use meshlake_query::series::Exemplar;

use super::error::ApiError;
use super::parameters::Parameters;
use super::written::{self, Notes, push_labels, push_list, push_number, push_time};
use crate::FaceState;

/// The values of `stats` that Prometheus knows.
const STATS: [&str; 2] = ["true", "all"];

/// `query`: at `time`, or now.
pub async fn instant(State(state): State<FaceState>, parameters: Parameters) -> Result<Response, ApiError> {
    let limit = parameters.limit()?;
    let time = parameters.time_or("time", parameters.now)?;
    answer(&state, &parameters, When::Instant(time), limit).await
}

/// `query_range`: from `start` to `end`, each `step`.
pub async fn range(State(state): State<FaceState>, parameters: Parameters) -> Result<Response, ApiError> {
    let limit = parameters.limit()?;
    let (start, end) = (parameters.time("start")?, parameters.time("end")?);
    if end < start {
        return Err(ApiError::invalid("end", "end timestamp must not be before start time"));
    }
    let step = parameters.duration("step")?;
    if step <= 0 {
        let text = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(ApiError::invalid("step", text));
    }
    let steps = end.abs_diff(start) / step.unsigned_abs();
    if steps > Options::default().steps_max as u64 {
        let text = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution \
                    (?step=XX)";
        return Err(ApiError::bad_data(text));
    }
    answer(&state, &parameters, When::Range { start, end, step }, limit).await
}

async fn answer(
    state: &FaceState,
    parameters: &Parameters,
    when: When,
    limit: Option<usize>,
) -> Result<Response, ApiError> {
    let asked = Asked {
        text: parameters.query(),
        when,
        timeout: timeout(parameters)?,
        lookback: lookback(parameters)?,
        limit,
    };
    let answered = prometheus::evaluate(&state.prometheus, &parameters.tenant, asked).await;
    let mut answered = answered.map_err(ApiError::of_query)?;
    let stats = parameters.first("stats");
    if let Some(unknown) = stats.filter(|stats| !STATS.contains(stats)) {
        answered.answer.warnings.push(format!(
            "value {unknown:?} for parameter \"stats\" is deprecated and will be rejected in the next major release, \
             use \"true\" or \"all\""
        ));
    }
    let stats = stats.map(|_| written::stats(&answered));
    let warnings = std::mem::take(&mut answered.answer.warnings);
    let infos = std::mem::take(&mut answered.answer.infos);
    Ok(written::answer(answered, stats.as_ref(), Notes { warnings, infos }))
}

fn timeout(parameters: &Parameters) -> Result<Option<Duration>, ApiError> {
    if parameters.first("timeout").is_none() {
        return Ok(None);
    }
    let millis = parameters.duration("timeout")?;
    let positive = u64::try_from(millis).ok().filter(|millis| *millis > 0);
    let wrong = || {
        let seconds = millis as f64 / 1e3;
        ApiError::invalid("timeout", format_args!("timeout must be positive, got {seconds}s"))
    };
    Ok(Some(Duration::from_millis(positive.ok_or_else(wrong)?)))
}

/// Zero is the default, as without it.
fn lookback(parameters: &Parameters) -> Result<Option<i64>, ApiError> {
    let Some(text) = parameters.first("lookback_delta") else { return Ok(None) };
    let wrong = |error| ApiError::bad_data(format!("error parsing lookback delta duration: {error}"));
    let lookback = super::times::duration(text).map_err(wrong)?;
    Ok(Some(lookback).filter(|lookback| *lookback > 0))
}

/// `query_exemplars`: events of the query's series; Grafana tries it with milliseconds for seconds, which is a time.
pub async fn exemplars(State(state): State<FaceState>, parameters: Parameters) -> Result<Response, ApiError> {
    let (from, to) = (parameters.time_or("start", EARLIEST)?, parameters.time_or("end", LATEST)?);
    if to < from {
        return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
    }
    let (found, warnings) =
        prometheus::exemplars(&state.prometheus, &parameters.tenant, parameters.query(), from, to).await?;
    Ok(written::list(found.into_iter(), push_series, Notes::warnings(warnings)))
}

/// `{"seriesLabels":{..},"exemplars":[{"labels":{..},"value":"N","timestamp":T}]}`.
fn push_series(out: &mut String, (labels, exemplars): (Labels, Vec<Exemplar>)) {
    out.push_str("{\"seriesLabels\":");
    push_labels(out, &labels);
    out.push_str(",\"exemplars\":");
    push_list(out, exemplars, |out, exemplar| {
        out.push_str("{\"labels\":");
        push_labels(out, &exemplar.labels);
        out.push_str(",\"value\":");
        push_number(out, exemplar.value);
        out.push_str(",\"timestamp\":");
        push_time(out, exemplar.time);
        out.push('}');
    });
    out.push('}');
}
