//! `series`, `labels`, `label/{name}/values` and `metadata`.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::response::Response;
use meshlake_query::prometheus;
use meshlake_query::promql::Error;
use meshlake_query::series::Metadata;
use meshlake_schema::attributes::push_json_string;
use serde_json::{Value, json};

use super::error::ApiError;
use super::parameters::Parameters;
use super::written::{self, Notes, push_labels};
use crate::FaceState;

/// What names in an address begin with that are escaped to be plain. Source: Prometheus's naming of UTF-8 metrics,
/// <https://github.com/prometheus/proposals/blob/main/proposals/0028-utf8.md>, "value encoding".
const ESCAPED: &str = "U__";

/// Label sets.
pub async fn series(State(state): State<FaceState>, parameters: Parameters) -> Result<Response, ApiError> {
    if parameters.first("match[]").is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let browse = parameters.browse()?;
    let found = prometheus::series(&state.prometheus, &parameters.tenant, browse).await;
    // Here alone Prometheus names the parameter.
    let (found, warnings) = found.map_err(|error| match error {
        Error::BadData(text) => ApiError::invalid("match[]", text),
        other => ApiError::from(other),
    })?;
    let push = |out: &mut String, labels| push_labels(out, &labels);
    Ok(written::list(found.into_iter(), push, Notes::warnings(warnings)))
}

/// Names of labels.
pub async fn label_names(
    State(state): State<FaceState>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let browse = parameters.browse()?;
    let (found, warnings) = prometheus::label_names(&state.prometheus, &parameters.tenant, browse).await?;
    Ok(texts(found, warnings))
}

/// Values of one label.
pub async fn label_values(
    State(state): State<FaceState>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let browse = parameters.browse()?;
    let label = unescaped(&name);
    let (found, warnings) =
        prometheus::label_values(&state.prometheus, &parameters.tenant, label, browse).await?;
    Ok(texts(found, warnings))
}

fn texts(
    found: impl IntoIterator<Item = String, IntoIter: Send + 'static>,
    warnings: Vec<String>,
) -> Response {
    let push = |out: &mut String, text: String| push_json_string(out, &text);
    written::list(found.into_iter(), push, Notes::warnings(warnings))
}

/// `{metric: [{"type","help","unit"}]}`, of `metric` or of `limit` metrics.
pub async fn metadata(State(state): State<FaceState>, parameters: Parameters) -> Result<Response, ApiError> {
    let [limit, per_metric] = ["limit", "limit_per_metric"].map(|name| number(&parameters, name));
    let (limit, per_metric) = (limit?, per_metric?);
    let metric = parameters.first("metric").map(str::to_owned);
    let known = prometheus::metadata(&state.prometheus, &parameters.tenant, metric).await?;
    let mut metrics = BTreeMap::<String, Vec<Value>>::new();
    for Metadata { metric, kind, help, unit } in known {
        if !metrics.contains_key(&metric) && limit.is_some_and(|limit| metrics.len() >= limit) {
            break;
        }
        let of_metric = metrics.entry(metric).or_default();
        // Here 0 is no limit, above it is none of all; so has Prometheus them.
        if per_metric.is_none_or(|most| most == 0 || of_metric.len() < most) {
            of_metric.push(json!({"type": kind, "help": help, "unit": unit}));
        }
    }
    Ok(written::data(&json!(metrics), Notes::default()))
}

/// A number; a negative one is as none.
fn number(parameters: &Parameters, name: &str) -> Result<Option<usize>, ApiError> {
    let Some(text) = parameters.first(name) else { return Ok(None) };
    let number: i64 = text.parse().map_err(|_| ApiError::bad_data(format!("{name} must be a number")))?;
    Ok(usize::try_from(number).ok())
}

/// A label's name as it is; one that is not soundly escaped is as it was given.
fn unescaped(name: &str) -> String {
    let Some(rest) = name.strip_prefix(ESCAPED) else { return name.to_owned() };
    decoded(rest).unwrap_or_else(|| name.to_owned())
}

/// `__` is `_`, and `_HEX_` the character of that code.
fn decoded(mut rest: &str) -> Option<String> {
    let mut name = String::new();
    while let Some(at) = rest.find('_') {
        name += &rest[..at];
        let (code, after) = rest[at + 1..].split_once('_')?;
        let character =
            if code.is_empty() { '_' } else { char::from_u32(u32::from_str_radix(code, 16).ok()?)? };
        name.push(character);
        rest = after;
    }
    Some(name + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the proposal's examples, and broken ones.
    #[test]
    fn escaped_names_are_read() {
        let cases = [
            ("job", "job"),
            ("U__my_2e_label", "my.label"),
            ("U__mysystem_2e_prod_2e_west_2e_cpu_2e_load", "mysystem.prod.west.cpu.load"),
            ("U__http_2e_status__code", "http.status_code"),
            ("U___1f600_", "\u{1f600}"),
            ("U__broken_2e", "U__broken_2e"),
            ("U__broken_zz_", "U__broken_zz_"),
            ("U__broken_d800_", "U__broken_d800_"),
        ];
        for (name, want) in cases {
            assert_eq!(unescaped(name), want);
        }
    }
}
