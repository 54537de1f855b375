//! What a request asks: the parameters of its address and of its form, and whose data.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, header};
use meshlake_query::logql::tree::log::Log;
use meshlake_query::logql::{Query, parse};
use meshlake_query::logs::{Direction, LINES_MAX};
use meshlake_schema::UnixNanos;

use super::error::ApiError;
use super::times;
use crate::FaceState;
use crate::tenant::{NOT_A_TENANT, tenant_of};

/// Lines of an answer that names no limit: Loki's.
const LIMIT: usize = 100;

/// How long before the end a range begins that names no start: of queries an hour, of labels six.
pub const QUERY_NANOS: i64 = 3_600_000_000_000;
pub const BROWSE_NANOS: i64 = 6 * QUERY_NANOS;

/// Selectors of one request. Each is a scan.
const SELECTORS_MAX: usize = 20;

/// What Grafana asks labels to be told by their origin with.
const ENCODING_FLAGS: &str = "x-loki-response-encoding-flags";
const CATEGORIZE: &str = "categorize-labels";

/// Parameters in their order, those of the form first, as Go reads them.
#[derive(Debug, Clone)]
pub struct Parameters {
    pub tenant: String,
    pub now: i64,
    /// Whether labels are told by their origin.
    pub categorizes: bool,
    pairs: Vec<(String, String)>,
}

impl FromRequest<FaceState> for Parameters {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &FaceState) -> Result<Self, ApiError> {
        let tenant = tenant_of(request.extensions()).ok_or_else(|| ApiError::bad_request(NOT_A_TENANT))?;
        let now = state.engine.clock().now().0;
        let query = request.uri().query().unwrap_or_default().to_owned();
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let flags = request.headers().get_all(ENCODING_FLAGS).iter().map(text).collect::<Vec<_>>().join(",");
        let categorizes = flags.split(',').any(|flag| flag.trim() == CATEGORIZE);
        let content_type = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        let is_form = content_type.is_some_and(|kind| kind.starts_with(b"application/x-www-form-urlencoded"));
        let mut pairs = Vec::new();
        if is_form {
            let form = Bytes::from_request(request, &()).await;
            let form = form.map_err(|error| ApiError::new(error.status(), error.body_text()))?;
            pairs.extend(form_urlencoded::parse(&form).into_owned());
        }
        pairs.extend(form_urlencoded::parse(query.as_bytes()).into_owned());
        Ok(Parameters { tenant, now, categorizes, pairs })
    }
}

impl Parameters {
    /// The first of a name; none where it is missing or empty.
    pub fn first(&self, name: &str) -> Option<&str> {
        let value = self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    /// The query. To compile its expressions can take a while, so that it is done on a thread that may.
    pub async fn query(&self) -> Result<Query, ApiError> {
        parsed(self.first("query").unwrap_or_default().to_owned()).await
    }

    /// The query if there is one, which has to ask for lines.
    pub async fn selector(&self) -> Result<Option<Log>, ApiError> {
        match self.first("query") {
            Some(text) => selector(text.to_owned()).await.map(Some),
            None => Ok(None),
        }
    }

    /// The selectors of `match[]`, or of `match`.
    pub async fn selectors(&self) -> Result<Vec<Log>, ApiError> {
        let texts = self.pairs.iter().filter(|(key, _)| matches!(key.as_str(), "match[]" | "match"));
        let texts: Vec<String> = texts.map(|(_, text)| text.clone()).filter(|text| text != "{}").collect();
        if texts.len() > SELECTORS_MAX {
            return Err(ApiError::bad_request(format!("match[] has more than {SELECTORS_MAX} selectors")));
        }
        let mut logs = Vec::new();
        for text in texts {
            logs.push(selector(text).await?);
        }
        Ok(logs)
    }

    /// A time that may be missing, nanoseconds since the epoch.
    pub fn time(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.first(name) else { return Ok(None) };
        let wrong =
            || ApiError::bad_request(format!("could not parse '{name}' parameter: {text:?} is no time"));
        times::time(text).map(Some).ok_or_else(wrong)
    }

    /// A length that may be missing, above 0.
    pub fn length(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.first(name) else { return Ok(None) };
        let wrong =
            || ApiError::bad_request(format!("could not parse '{name}' parameter: {text:?} is no duration"));
        let length = times::length(text).ok_or_else(wrong)?;
        if length <= 0 {
            let text =
                "zero or negative query resolution step widths are not accepted. Try a positive integer";
            return Err(ApiError::bad_request(text));
        }
        Ok(Some(length))
    }

    /// `start` and `end`; `since` is how long before the end it begins.
    pub fn range(&self, default_nanos: i64) -> Result<(UnixNanos, UnixNanos), ApiError> {
        let end = self.time("end")?.unwrap_or(self.now);
        let since = self.length("since")?.unwrap_or(default_nanos);
        let start = self.time("start")?.unwrap_or(end.saturating_sub(since));
        if end < start {
            return Err(ApiError::bad_request("end timestamp must not be before or equal to start time"));
        }
        Ok((UnixNanos(start), UnixNanos(end)))
    }

    /// How many lines.
    pub fn limit(&self) -> Result<usize, ApiError> {
        let Some(text) = self.first("limit") else { return Ok(LIMIT) };
        let limit: i64 = text.parse().map_err(|_| {
            ApiError::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
        })?;
        let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0);
        let limit = limit.ok_or_else(|| ApiError::bad_request("limit must be a positive value"))?;
        if limit > LINES_MAX {
            let text = format!(
                "max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {LINES_MAX})"
            );
            return Err(ApiError::bad_request(text));
        }
        Ok(limit)
    }

    pub fn direction(&self) -> Result<Direction, ApiError> {
        match self.first("direction").map(str::to_ascii_lowercase).as_deref() {
            None | Some("backward") => Ok(Direction::Backward),
            Some("forward") => Ok(Direction::Forward),
            Some(other) => Err(ApiError::bad_request(format!("invalid direction '{other}'"))),
        }
    }
}

async fn parsed(text: String) -> Result<Query, ApiError> {
    let parsing = tokio::task::spawn_blocking(move || parse(&text));
    let parsed = parsing.await.map_err(|_| {
        ApiError::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "the server failed; its log says more")
    })?;
    Ok(parsed?)
}

async fn selector(text: String) -> Result<Log, ApiError> {
    match parsed(text).await? {
        Query::Log(log) => Ok(log),
        Query::Metric(_) => Err(ApiError::bad_request("only label matchers are supported")),
    }
}
