//! `/healthz`, `/readyz` and `/metrics` of a query side that runs by itself.
//!
//! It has no store and takes no exports: it is ready when its collector answers, because without one each question is
//! answered with an error, and whoever shares them out should ask another.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use meshlake_listen::ListenerStats;
use meshlake_schema::metrics::{MEDIA_TYPE, Page};
use meshlake_store::Reader;
use tokio::time::timeout;

/// How long the collector may take to answer. Kubernetes gives a probe a second by default.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(750);

/// What the handlers read.
#[derive(Clone)]
pub struct QuerySideState {
    pub collector: Arc<dyn Reader>,
    pub listeners: Vec<ListenerStats>,
}

pub fn router(state: QuerySideState) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(state)
}

/// # Errors
/// Why questions cannot be answered now.
async fn check(collector: &dyn Reader) -> Result<(), String> {
    match timeout(ANSWER_TIME_MAX, collector.status()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("no collector answers: {error}")),
        Err(_) => Err(format!("the collector has not answered in {} ms", ANSWER_TIME_MAX.as_millis())),
    }
}

async fn ready(State(state): State<QuerySideState>) -> (StatusCode, String) {
    match check(&*state.collector).await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn metrics(State(state): State<QuerySideState>) -> Response {
    let mut page = Page::default();
    let answers = u8::from(check(&*state.collector).await.is_ok());
    page.single("meshlake_collector_up", "gauge", "1 while the collector answers, else 0.", answers);
    meshlake_listen::metrics(&state.listeners, &mut page);
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], page.into_text()).into_response()
}
