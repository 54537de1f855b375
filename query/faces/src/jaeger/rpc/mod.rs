//! Jaeger's API over gRPC, both versions, as Kiali and other programs ask it.
//!
//! Messages are declared by hand with the numbers of `jaeger-idl`'s protos; fields that nothing here reads are not declared.
//! Source: proto/api_v2/query.proto, proto/api_v3/query_service.proto. Limits: nothing is archived, so ArchiveTrace is
//! UNIMPLEMENTED; no filters of v3.

mod v2;
mod v3;
mod messages;

use axum::Router;
use meshlake_query::dependencies::Dependency;
use meshlake_schema::UnixNanos;

use super::failure::Failure;
use super::model::Stamp;
use super::question::{Question, TAGS_MAX, TRACES_DEFAULT, TRACES_MAX};
use crate::FaceState;
use messages::TraceQueryParameters;

/// Full names of the services.
pub const SERVICES: [&str; 2] = [v2::SERVICE, v3::SERVICE];

/// The methods of both.
pub fn router() -> Router<FaceState> {
    Router::new().merge(v2::router()).merge(v3::router())
}

/// What a search asks for. A duration of zero is no bound.
///
/// # Errors
/// [`Failure::Asker`]
fn question(asked: Option<TraceQueryParameters>, now: UnixNanos) -> Result<Question, Failure> {
    let asked = asked.ok_or_else(|| Failure::Asker("missing query".to_owned()))?;
    if asked.tags.len() > TAGS_MAX {
        return Err(Failure::Asker(format!("at most {TAGS_MAX} tags can be searched for")));
    }
    let mut tags: Vec<(String, String)> = asked.tags.into_iter().collect();
    tags.sort_unstable();
    let nanos = |stamp: Option<Stamp>| stamp.map(Stamp::total).filter(|nanos| *nanos != 0);
    let depth = usize::try_from(asked.search_depth).ok().filter(|depth| *depth > 0);
    Ok(Question {
        service: asked.service_name,
        operation: asked.operation_name,
        tags,
        from: nanos(asked.start_time_min).unwrap_or_default(),
        to: nanos(asked.start_time_max).unwrap_or(now.0),
        duration_min: nanos(asked.duration_min),
        duration_max: nanos(asked.duration_max),
        traces_max: depth.unwrap_or(TRACES_DEFAULT).min(TRACES_MAX),
        is_raw: asked.raw_traces,
    })
}

/// The calls between two times that must be there.
///
/// # Errors
/// [`Failure::Asker`]; those of folding calls.
async fn dependencies(
    state: &FaceState,
    tenant: &str,
    start: Option<Stamp>,
    end: Option<Stamp>,
) -> Result<Vec<Dependency>, Failure> {
    let (Some(start), Some(end)) = (start, end) else {
        return Err(Failure::Asker("StartTime and EndTime must be initialized.".to_owned()));
    };
    let (start, end) = (start.total(), end.total());
    let nanos = u64::try_from(end.saturating_sub(start)).unwrap_or_default();
    let lookback = std::time::Duration::from_nanos(nanos);
    super::asking::dependencies(state, tenant, UnixNanos(end), lookback).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_a_question() {
        let now = UnixNanos(1_000);
        assert_eq!(question(None, now), Err(Failure::Asker("missing query".to_owned())));
        let want = Question { to: 1_000, traces_max: TRACES_DEFAULT, ..Question::default() };
        assert_eq!(question(Some(TraceQueryParameters::default()), now), Ok(want));
        let asked = TraceQueryParameters {
            service_name: "a".to_owned(),
            operation_name: "b".to_owned(),
            tags: [("k", "v"), ("c", "d")].map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            start_time_min: Some(Stamp::of(5)),
            start_time_max: Some(Stamp::of(9)),
            duration_min: Some(Stamp::of(1)),
            duration_max: Some(Stamp::of(2)),
            search_depth: i32::MAX,
            raw_traces: true,
        };
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let want = Question {
            service: "a".to_owned(),
            operation: "b".to_owned(),
            tags: vec![tag("c", "d"), tag("k", "v")],
            from: 5,
            to: 9,
            duration_min: Some(1),
            duration_max: Some(2),
            traces_max: TRACES_MAX,
            is_raw: true,
        };
        assert_eq!(question(Some(asked), now), Ok(want));
    }

    #[test]
    fn tags_have_a_bound() {
        let asked = |tags: usize| TraceQueryParameters {
            tags: (0..tags).map(|n| (n.to_string(), String::new())).collect(),
            ..TraceQueryParameters::default()
        };
        assert!(question(Some(asked(TAGS_MAX)), UnixNanos(0)).is_ok());
        assert!(question(Some(asked(TAGS_MAX + 1)), UnixNanos(0)).is_err());
    }
}
