//! `GET /api/traces`: traces by conditions, or by their ids.

use axum::Json;
use axum::extract::State;
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::error::envelope;
use super::{Answer, service_required, written};
use crate::FaceState;
use crate::duration;
use crate::jaeger::asking::{self, WholeTrace};
use crate::jaeger::failure::Failure;
use crate::jaeger::ids;
use crate::jaeger::parameters::Parameters;
use crate::jaeger::question::{Question, TAGS_MAX, TRACES_DEFAULT, TRACES_MAX};

/// How far back is searched when the request does not say: Jaeger's default, nanoseconds.
const LOOKBACK_NANOS: i64 = 2 * 24 * 60 * 60 * 1_000_000_000;

/// Spans of an answer, after which no more traces come: v1 has one document for all of them, which is made in memory. It is what
/// two traces may have that are as large as a trace can be, and far more than a page can show.
const SPANS_MAX: usize = 100_000;

/// The upper half of an id of 64 bits, which is not shown.
const ZEROS: &str = "0000000000000000";

/// Answers the search.
pub async fn answer(State(state): State<FaceState>, given: Parameters) -> Answer {
    let trace_ids: Vec<&str> = given.all("traceID").collect();
    if !trace_ids.is_empty() {
        return by_ids(&state, &given, &trace_ids).await;
    }
    let question = question(&given)?;
    let mut traces = asking::traces_of(&state, &given.tenant, &question).await?;
    let (mut data, mut spans) = (Vec::new(), 0);
    let mut errors = Value::Null;
    while let Some(trace) = traces.next().await.transpose()? {
        if spans > SPANS_MAX {
            let message = format!("there are more traces; these have over {SPANS_MAX} spans");
            errors = json!([{"msg": message}]);
            break;
        }
        spans += spans_of(&trace);
        data.push(written(trace));
    }
    Ok(Json(envelope(&json!(data), 0, &errors)))
}

fn spans_of(trace: &WholeTrace) -> usize {
    let scopes = trace.spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.map(|scope| scope.spans.len()).sum()
}

async fn by_ids(state: &FaceState, given: &Parameters, asked: &[&str]) -> Answer {
    if asked.len() > TRACES_MAX {
        return Err(Failure::Asker(format!("at most {TRACES_MAX} traces can be asked for")).into());
    }
    let asked = asked.iter().map(|text| ids::of_hex(text)).collect::<Result<Vec<_>, _>>()?;
    let is_raw = given.boolean("raw")?;
    let (mut data, mut errors) = (Vec::new(), Vec::new());
    let traces = stream::iter(&asked)
        .then(async |trace_id| (trace_id, asking::trace_of(state, &given.tenant, trace_id, is_raw).await));
    let mut traces = std::pin::pin!(traces);
    while let Some((trace_id, trace)) = traces.next().await {
        match trace {
            Ok(trace) => data.push(written(trace)),
            Err(Failure::NoTrace) => {
                let shown = trace_id.strip_prefix(ZEROS).unwrap_or(trace_id);
                errors.push(json!({"msg": Failure::NoTrace.to_string(), "traceID": shown}));
            }
            Err(failure) => return Err(failure.into()),
        }
    }
    let errors = if errors.is_empty() { Value::Null } else { json!(errors) };
    Ok(Json(envelope(&json!(data), 0, &errors)))
}

/// What v1's parameters ask for.
///
/// # Errors
/// [`Failure::Asker`]
pub fn question(given: &Parameters) -> Result<Question, Failure> {
    let service = given.first("service").ok_or_else(service_required)?;
    let nanos = |name: &str| {
        let Some(text) = given.first(name) else { return Ok(None) };
        let parsed = duration::parse(text);
        let why = || Failure::unparsed(name, format_args!("{text:?} is not a duration like 1.5s or 250ms"));
        // Zero is no bound, as Jaeger has it.
        parsed.map(|nanos| (nanos != 0).then_some(nanos)).ok_or_else(why)
    };
    let (duration_min, duration_max) = (nanos("minDuration")?, nanos("maxDuration")?);
    if duration_max.is_some_and(|max| duration_min.is_some_and(|min| max < min)) {
        return Err(Failure::Asker("'maxDuration' should be greater than 'minDuration'".to_owned()));
    }
    let limit = match given.integer("limit")? {
        None | Some(0) => TRACES_DEFAULT,
        Some(limit) => usize::try_from(limit).map_err(|error| Failure::unparsed("limit", error))?,
    };
    Ok(Question {
        service: service.to_owned(),
        operation: given.first("operation").unwrap_or_default().to_owned(),
        tags: tags(given)?,
        from: given.time("start")?.map_or(given.now.0.saturating_sub(LOOKBACK_NANOS), |time| time.0),
        to: given.time("end")?.unwrap_or(given.now).0,
        duration_min,
        duration_max,
        traces_max: limit.min(TRACES_MAX),
        is_raw: given.boolean("raw")?,
    })
}

/// `tag=key:value` and `tags={"key": "value"}`, each as often as it comes; of one key the last counts.
fn tags(given: &Parameters) -> Result<Vec<(String, String)>, Failure> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for tag in given.all("tag") {
        let (key, value) = tag.split_once(':').ok_or_else(|| {
            Failure::Asker(format!("malformed 'tag' parameter, expecting key:value, received: {tag}"))
        })?;
        tags.push((key.to_owned(), value.to_owned()));
    }
    for object in given.all("tags") {
        let object: std::collections::BTreeMap<String, String> =
            serde_json::from_str(object).map_err(|error| {
                Failure::Asker(format!("malformed 'tags' parameter, cannot unmarshal JSON: {error}"))
            })?;
        tags.extend(object);
    }
    let again = |at: usize| tags[at + 1..].iter().any(|(key, _)| *key == tags[at].0);
    let tags: Vec<_> = (0..tags.len()).filter(|at| !again(*at)).map(|at| tags[at].clone()).collect();
    if tags.len() > TAGS_MAX {
        return Err(Failure::Asker(format!("at most {TAGS_MAX} tags can be searched for")));
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01, microseconds.
    const NOW: i64 = 1_767_225_600_000_000;

    fn asked(query: &str) -> Result<Question, String> {
        question(&Parameters::given(query, NOW * 1_000)).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_service_is_enough() {
        let want = Question {
            service: "web".to_owned(),
            from: NOW * 1_000 - LOOKBACK_NANOS,
            to: NOW * 1_000,
            traces_max: 100,
            ..Question::default()
        };
        assert_eq!(asked("service=web"), Ok(want.clone()));
        assert_eq!(asked("service=web&limit=0&minDuration=0s&operation=&raw=0"), Ok(want));
    }

    #[test]
    fn all_parameters_are_taken() {
        let query = format!(
            "service=web&operation=GET%20/&start={}&end={NOW}&limit=20&minDuration=1.5ms&maxDuration=2s&raw=true\
             &tags=%7B%22error%22:%22true%22,%22a%22:%22b:c%22%7D&tag=a:x&tag=k:v:w&lookback=custom",
            NOW - 1
        );
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let want = Question {
            service: "web".to_owned(),
            operation: "GET /".to_owned(),
            tags: vec![tag("k", "v:w"), tag("a", "b:c"), tag("error", "true")],
            from: (NOW - 1) * 1_000,
            to: NOW * 1_000,
            duration_min: Some(1_500_000),
            duration_max: Some(2_000_000_000),
            traces_max: 20,
            is_raw: true,
        };
        assert_eq!(asked(&query), Ok(want));
    }

    #[test]
    fn an_answer_has_a_bound() {
        let limit =
            |limit: usize| asked(&format!("service=a&limit={limit}")).map(|question| question.traces_max);
        assert_eq!(limit(TRACES_MAX), Ok(TRACES_MAX));
        assert_eq!(limit(TRACES_MAX + 1), Ok(TRACES_MAX));
        let tags = |count: usize| (0..count).map(|n| format!("&tag=k{n}:v")).collect::<String>();
        assert!(asked(&format!("service=a{}", tags(TAGS_MAX))).is_ok());
        assert!(asked(&format!("service=a{}", tags(TAGS_MAX + 1))).is_err());
    }

    #[test]
    fn what_is_wrong_is_told_in_jaegers_words() {
        let cases = [
            ("", "parameter 'service' is required"),
            ("service=a&minDuration=2s&maxDuration=1s", "'maxDuration' should be greater than 'minDuration'"),
            ("service=a&minDuration=2", "unable to parse param 'minDuration': "),
            ("service=a&start=yesterday", "unable to parse param 'start': "),
            ("service=a&limit=-1", "unable to parse param 'limit': "),
            ("service=a&tag=k", "malformed 'tag' parameter, expecting key:value, received: k"),
            ("service=a&tags=k", "malformed 'tags' parameter, cannot unmarshal JSON: "),
            ("service=a&tags=%7B%22k%22:1%7D", "malformed 'tags' parameter, cannot unmarshal JSON: "),
        ];
        for (query, want) in cases {
            let error = asked(query).expect_err(query);
            assert!(error.starts_with(want), "{query}: {error}");
        }
    }
}
