//! Names and values of what spans can be asked for: what an editor offers.
//!
//! A query narrows both; one that is not whole yet, as while it is typed, narrows nothing. Whether there may be more than is told is
//! said in Tempo's way: of one job none is completed.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{Path, State};
use meshlake_query::traceql::{Browse, Browsed, SCOPES, Told, names as names_of, values as values_of};
use meshlake_query::traceql_language::tree::{Field, Intrinsic, Scope};
use meshlake_query::traceql_language::{Kind, Status, parse};
use meshlake_schema::{TimeRange, UnixNanos};
use serde_json::{Value, json};

use super::error::ApiError;
use super::messages::{SearchTagsV2Scope, TagValue};
use super::parameters::{Parameters, query, range};
use super::values::told;
use crate::FaceState;

/// Names of a scope, or values, that are told if a request does not say. Grafana asks for 5,000 itself.
const LIMIT: u32 = 5_000;

/// More are never told: Tempo has no such limit, but one of bytes (1 MB) which is about as much.
const LIMIT_MAX: u32 = 20_000;

/// The scope of what every span has without attributes.
const INTRINSIC: &str = "intrinsic";

/// What is asked for, by either way in.
pub struct Asked {
    pub tenant: String,
    /// Empty for all of them.
    pub scope: String,
    pub query: String,
    pub range: TimeRange,
    /// 0 for as many as there are by default.
    pub limit: u32,
}

/// What is told, and whether there is no more of it.
pub struct Listed<T> {
    pub items: T,
    pub is_complete: bool,
}

impl<T> Listed<T> {
    /// What is known without a look.
    fn whole(items: T) -> Listed<T> {
        Listed { items, is_complete: true }
    }

    /// The same otherwise told.
    fn map<U>(self, told: impl FnOnce(T) -> U) -> Listed<U> {
        Listed { items: told(self.items), is_complete: self.is_complete }
    }

    /// As a member of that name.
    fn answer(self, name: &str, told: impl FnOnce(T) -> Value) -> Json<Value> {
        let metrics = json!({"completedJobs": u32::from(self.is_complete), "totalJobs": 1});
        Json(json!({name: told(self.items), "metrics": metrics}))
    }
}

impl Asked {
    fn of(parameters: &Parameters) -> Result<Asked, ApiError> {
        let text = |name| parameters.first(name).unwrap_or_default().to_owned();
        Ok(Asked {
            tenant: parameters.tenant.clone(),
            scope: text("scope"),
            query: text("q"),
            range: parameters.range()?,
            limit: parameters.number("limit")?.unwrap_or_default(),
        })
    }

    /// From a message, whose times are seconds.
    ///
    /// # Errors
    /// 400.
    pub fn between(start: u32, end: u32) -> Result<TimeRange, ApiError> {
        let seconds = |seconds: u32| Some(UnixNanos::from_seconds(i64::from(seconds)));
        range(seconds(start), seconds(end))
    }

    async fn browse(&self) -> Browse {
        let limit = if self.limit == 0 { LIMIT } else { self.limit.min(LIMIT_MAX) };
        let query = if self.query.is_empty() { None } else { query(self.query.clone()).await.ok() };
        Browse { range: self.range, query, limit: limit as usize }
    }
}

pub async fn names(State(state): State<FaceState>, parameters: Parameters) -> Result<Json<Value>, ApiError> {
    Ok(all_names(&state, &Asked::of(&parameters)?).await?.answer("tagNames", |names| json!(names)))
}

pub async fn names_by_scope(
    State(state): State<FaceState>,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let of = |scope: &SearchTagsV2Scope| json!({"name": scope.name, "tags": scope.tags});
    let told = |scopes: Vec<SearchTagsV2Scope>| scopes.iter().map(of).collect();
    Ok(scoped_names(&state, &Asked::of(&parameters)?).await?.answer("scopes", told))
}

pub async fn values(
    State(state): State<FaceState>,
    parameters: Parameters,
    Path(tag): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let values = plain_values(&state, &Asked::of(&parameters)?, &tag).await?;
    Ok(values.answer("tagValues", |values| json!(values)))
}

pub async fn typed_values(
    State(state): State<FaceState>,
    parameters: Parameters,
    Path(tag): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let of = |value: &TagValue| json!({"type": value.kind, "value": value.value});
    let told = |values: Vec<TagValue>| values.iter().map(of).collect();
    Ok(kept_values(&state, &Asked::of(&parameters)?, &tag).await?.answer("tagValues", told))
}

/// Names of all scopes, each once, sorted.
///
/// # Errors
/// As of an answer over HTTP.
pub async fn all_names(state: &FaceState, asked: &Asked) -> Result<Listed<BTreeSet<String>>, ApiError> {
    let scopes = scoped_names(state, asked).await?;
    Ok(scopes.map(|scopes| scopes.into_iter().flat_map(|scope| scope.tags).collect()))
}

/// Names by scope; scopes without any are not told.
///
/// # Errors
/// As of an answer over HTTP.
pub async fn scoped_names(
    state: &FaceState,
    asked: &Asked,
) -> Result<Listed<Vec<SearchTagsV2Scope>>, ApiError> {
    let wanted: Vec<Scope> = match asked.scope.as_str() {
        "" | "none" => SCOPES.to_vec(),
        INTRINSIC => Vec::new(),
        word => {
            let scope = SCOPES.into_iter().find(|scope| scope.word() == word);
            vec![scope.ok_or_else(|| ApiError::bad_request(format!("invalid scope: {word}")))?]
        }
    };
    let (mut scopes, mut is_complete) = (Vec::new(), true);
    if !wanted.is_empty() {
        let query = state.engine.begin(&asked.tenant).await?;
        let found: Browsed<BTreeMap<Scope, BTreeSet<String>>> =
            names_of(&query, &asked.browse().await, &wanted).await?;
        is_complete = found.is_complete;
        for (scope, names) in found.found {
            if !names.is_empty() {
                scopes.push(SearchTagsV2Scope {
                    name: scope.word().to_owned(),
                    tags: names.into_iter().collect(),
                });
            }
        }
    }
    if matches!(asked.scope.as_str(), "" | "none" | INTRINSIC) {
        let tags = Intrinsic::ALL.iter().map(|intrinsic| intrinsic.word().to_owned()).collect();
        scopes.push(SearchTagsV2Scope { name: INTRINSIC.to_owned(), tags });
    }
    Ok(Listed { items: scopes, is_complete })
}

/// Values as plain texts, of a tag as it was named before scopes.
///
/// # Errors
/// As of an answer over HTTP.
pub async fn plain_values(
    state: &FaceState,
    asked: &Asked,
    tag: &str,
) -> Result<Listed<Vec<String>>, ApiError> {
    let values = match tag {
        "status.code" => return Ok(Listed::whole(["unset", "ok", "error"].map(str::to_owned).to_vec())),
        "error" => return Ok(Listed::whole(vec!["true".to_owned()])),
        "root.name" => kept_values(state, asked, Intrinsic::RootName.word()).await?,
        "root.service.name" => kept_values(state, asked, Intrinsic::RootService.word()).await?,
        tag => kept_values(state, asked, tag).await?,
    };
    Ok(values.map(|values| values.into_iter().map(|value| value.value).collect()))
}

/// Values with the names of their kinds.
///
/// # Errors
/// As of an answer over HTTP.
pub async fn kept_values(
    state: &FaceState,
    asked: &Asked,
    tag: &str,
) -> Result<Listed<Vec<TagValue>>, ApiError> {
    let keywords = |words: Vec<&str>| {
        let of = |word: &str| TagValue { kind: "keyword".to_owned(), value: word.to_owned() };
        Listed::whole(words.into_iter().map(of).collect())
    };
    let field = field(tag)?;
    match &field {
        Field::Intrinsic { intrinsic: Intrinsic::Status, .. } => {
            return Ok(keywords(Status::ALL.iter().map(|status| status.word()).collect()));
        }
        Field::Intrinsic { intrinsic: Intrinsic::Kind, .. } => {
            return Ok(keywords(Kind::ALL.iter().map(|kind| kind.word()).collect()));
        }
        // There is no end of them.
        Field::Intrinsic { intrinsic: Intrinsic::Duration | Intrinsic::TraceDuration, .. } => {
            return Ok(Listed::whole(Vec::new()));
        }
        // A span tells none of them by itself, and they are numbers that nobody chooses from a list.
        Field::Intrinsic {
            intrinsic: Intrinsic::ChildCount | Intrinsic::NestedSetLeft | Intrinsic::NestedSetRight,
            ..
        } => return Ok(Listed::whole(Vec::new())),
        _ => {}
    }
    let query = state.engine.begin(&asked.tenant).await?;
    let found = values_of(&query, &asked.browse().await, &field).await?;
    let of = |Told(value): &Told| {
        let (kind, value) = told(value);
        TagValue { kind: kind.to_owned(), value }
    };
    let is_complete = found.is_complete;
    Ok(Listed { items: found.found.iter().map(of).collect(), is_complete })
}

/// What a tag asks for: an intrinsic, an attribute with its scope, or without one as before there were scopes.
fn field(tag: &str) -> Result<Field, ApiError> {
    if let Some(intrinsic) = Intrinsic::named(tag) {
        return Ok(Field::intrinsic(intrinsic));
    }
    let is_scoped =
        SCOPES.iter().any(|scope| tag.strip_prefix(scope.word()).is_some_and(|key| key.starts_with('.')));
    if !is_scoped && !tag.starts_with('.') && !tag.contains(':') {
        return Ok(Field::attribute(Scope::Any, tag));
    }
    let tree = parse(&format!("{{ {tag} != nil }}"));
    let tree =
        tree.map_err(|error| ApiError::bad_request(format!("please provide a valid tagName: {error}")))?;
    match tree.fields().as_slice() {
        [field] => Ok((*field).clone()),
        _ => Err(ApiError::bad_request("please provide a valid tagName")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_an_intrinsic_or_an_attribute_with_or_without_its_scope() {
        let check = |tag: &str, want: &str| {
            let found = field(tag).map(|field| field.to_string()).map_err(|error| error.text);
            assert_eq!(found.as_deref(), Ok(want), "{tag}");
        };
        check("name", "name");
        check("span:status", "status");
        check("service.name", ".service.name");
        check(".service.name", ".service.name");
        check("resource.service.name", "resource.service.name");
        check("span.\"a b\"", "span.\"a b\"");
        check("instrumentation.x", "instrumentation.x");
        for tag in ["span.", ".a } || { .b", "event:no", ".a = 1 || .b"] {
            let error = field(tag).expect_err("it is no tag");
            assert!(error.text.starts_with("please provide a valid tagName"), "{tag}: {error:?}");
        }
    }
}
