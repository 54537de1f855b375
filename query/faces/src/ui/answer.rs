//! `GET /`: the page for people, with its stylesheet and icon.
//!
//! The page never fails as a whole: what could not be answered is said on it, for a person with an error
//! page in front of them has no way to find out more. Its status still tells machines.

use std::time::Duration;

use axum::extract::{Query as Parameters, State};
use axum::http::{Extensions, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use meshlake_query::calls::{LoadError, load};
use meshlake_query::graph::{Graph, graph};
use meshlake_query::ledger::{Account, accounts};
use meshlake_query::services::newest;
use meshlake_query::shown::Wanted;
use meshlake_query::{By, Fault, Frame, Grain, Question, Range, Source};
use meshlake_schema::UnixNanos;
use serde::Deserialize;

use super::diagnosis::{Diagnosis, Heard};
use super::{ICON, Page, REFRESH_SECONDS, STYLE, Span, Window};
use crate::FaceState;
use crate::tenant::{NOT_A_TENANT, tenant_of};

#[derive(Deserialize)]
struct Given {
    range: Option<String>,
    from: Option<String>,
    to: Option<String>,
    refresh: Option<u64>,
}

/// Answers the page. Parameters that make no sense are those of the plain page.
pub async fn answer(State(state): State<FaceState>, beside: Extensions, uri: Uri) -> Response {
    let Some(tenant) = tenant_of(&beside) else {
        return (StatusCode::BAD_REQUEST, format!("{NOT_A_TENANT}\n")).into_response();
    };
    let given = Parameters::<Given>::try_from_uri(&uri).ok().map(|Parameters(given)| given);
    let span = given.as_ref().map_or(Span::Last(Window::default()), span);
    let refresh = given.and_then(|given| given.refresh).filter(|seconds| REFRESH_SECONDS.contains(seconds));
    let (page, status) = page(&state, tenant, span, refresh).await;
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page.render()).into_response()
}

/// What the parameters ask for: both ends, or else one of the windows.
fn span(given: &Given) -> Span {
    let time = |text: &Option<String>| text.as_deref().and_then(UnixNanos::parse);
    if let (Some(from), Some(to)) = (time(&given.from), time(&given.to))
        && Range::new(from, to, None).is_ok()
    {
        return Span::Fixed { from, to };
    }
    let window = Window::ALL.into_iter().find(|known| Some(known.name()) == given.range.as_deref());
    Span::Last(window.unwrap_or_default())
}

fn range_of(span: Span, now: UnixNanos) -> Range {
    let (from, to) = match span {
        Span::Last(window) => (now.minus(Duration::from_secs(window.minutes() * 60)), now),
        Span::Fixed { from, to } => (from, to),
    };
    Range::new(from, to, None).expect("a window has minutes, and a fixed range was tried")
}

/// The stylesheet of the page.
pub async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

/// The icon of the page.
pub async fn icon() -> Response {
    ([(header::CONTENT_TYPE, "image/svg+xml")], ICON).into_response()
}

async fn page(
    state: &FaceState,
    tenant: String,
    span: Span,
    refresh_seconds: Option<u64>,
) -> (Page, StatusCode) {
    let now = state.engine.clock().now();
    let range = range_of(span, now);
    let found = gather(state, &tenant, range, now).await;
    let (gathered, status) = match found {
        Ok(gathered) => (gathered, StatusCode::OK),
        Err(error) => {
            if error.fault() != Fault::Asker {
                tracing::warn!(%error, "answer the page");
            }
            let diagnosis = Diagnosis::Failed(error.told());
            let nothing = Gathered { graph: Graph::default(), range, ledger: Vec::new(), diagnosis };
            (nothing, status_of(error.fault()))
        }
    };
    let observed_from = gathered.range.observed_from();
    let page = Page {
        span,
        refresh_seconds,
        range_text: (range.from().to_rfc3339(), range.to().to_rfc3339()),
        data_since: (observed_from > range.from()).then(|| observed_from.to_rfc3339()),
        tenant,
        graph: gathered.graph,
        ledger: gathered.ledger,
        diagnosis: gathered.diagnosis,
        endpoints: state.endpoints.clone(),
    };
    (page, status)
}

/// What the page shows of the mesh.
struct Gathered {
    graph: Graph,
    /// With its observed part.
    range: Range,
    ledger: Vec<Account>,
    diagnosis: Diagnosis,
}

async fn gather(
    state: &FaceState,
    tenant: &str,
    range: Range,
    now: UnixNanos,
) -> Result<Gathered, LoadError> {
    let question = Question { range, by: By::Service, grain: Grain::Node, source: Source::Auto };
    let picture = load(&state.engine, tenant, question, Frame::whole()).await?;
    let (graph, range) = (graph(&picture, &Wanted::default()), picture.range);
    let ledger = accounts(&state.engine, tenant).await?;
    if !graph.nodes.is_empty() {
        return Ok(Gathered { graph, range, ledger, diagnosis: Diagnosis::Fine });
    }
    let newest = newest(&state.engine, tenant).await?;
    let diagnosis = Diagnosis::of_empty(&ledger, Heard { now, newest });
    Ok(Gathered { graph, range, ledger, diagnosis })
}

fn status_of(fault: Fault) -> StatusCode {
    match fault {
        Fault::Asker => StatusCode::BAD_REQUEST,
        Fault::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Fault::Ours => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
