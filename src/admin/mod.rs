//! `/healthz`, `/readyz`, `/metrics` and `/maintain` of this process, and how its query process is.
//!
//! They have a listener of their own, so that they answer while the others are overloaded, and so that
//! metrics are not shown to whoever may send data.

pub mod query_side;
mod maintain;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use meshlake_collector::StatsHandle;
use meshlake_listen::ListenerStats;
use meshlake_schema::metrics::{MEDIA_TYPE, Page};
use meshlake_store::{Maintenance, SpaceStats, StoreStatus};

use crate::query_process::QueryProcess;

pub use maintain::MaintainStatus;

/// Says whether the process takes exports, to probes of every kind alike.
#[derive(Clone)]
pub struct Readiness {
    /// False from the moment the process is told to stop.
    accepting: Arc<AtomicBool>,
    store: StoreStatus,
}

/// What the handlers read.
#[derive(Clone)]
pub struct AdminState {
    pub readiness: Readiness,
    pub store: StoreStatus,
    pub maintenance: Maintenance,
    pub collector: StatsHandle,
    pub listeners: Vec<ListenerStats>,
    /// None where the query side is not this process's business.
    pub query: Option<QueryProcess>,
}

pub fn router(state: AdminState) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/readyz/query", get(query_ready))
        .route("/metrics", get(metrics))
        .route("/maintain", get(maintain::status).post(maintain::run))
        .with_state(state)
}

impl Readiness {
    pub fn new(accepting: Arc<AtomicBool>, store: StoreStatus) -> Readiness {
        Readiness { accepting, store }
    }

    /// # Errors
    /// Why no exports are taken.
    pub fn check(&self) -> Result<(), String> {
        if !self.accepting.load(Ordering::Acquire) {
            return Err("stopping".to_owned());
        }
        if !self.store.is_ready() {
            return Err("the write-ahead log has given up after disk errors".to_owned());
        }
        match self.store.space() {
            space if space.has_room => Ok(()),
            SpaceStats { free_bytes, free_bytes_resume, .. } => Err(format!(
                "the disk is full: {free_bytes} bytes are free, rows are taken again at {free_bytes_resume}"
            )),
        }
    }
}

async fn ready(State(state): State<AdminState>) -> (StatusCode, String) {
    match state.readiness.check() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

/// Apart from the other, so that nobody stops sending to a collector whose query process starts again.
async fn query_ready(State(state): State<AdminState>) -> (StatusCode, String) {
    match state.query.map(|query| query.check()) {
        Some(Ok(())) => (StatusCode::OK, "ready\n".to_owned()),
        Some(Err(why)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        None => (StatusCode::NOT_FOUND, "there is no query process here\n".to_owned()),
    }
}

async fn metrics(State(state): State<AdminState>) -> Response {
    let mut page = Page::default();
    if let Some(query) = &state.query {
        query.count().await;
        query.metrics(&mut page);
    }
    state.collector.metrics(&mut page);
    state.store.metrics(&mut page);
    state.maintenance.metrics(&mut page);
    meshlake_listen::metrics(&state.listeners, &mut page);
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], page.into_text()).into_response()
}
