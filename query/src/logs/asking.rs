//! A question on its way: one snapshot, a thread that may wait for rows, time and memory.
//!
//! Who goes away while a question is worked on stops it at the next batch of rows.

use std::sync::Arc;

use meshlake_engine::{Engine, Query, QueryError};
use meshlake_schema::{Budget, UnixNanos};
use tokio::runtime::Handle;

use super::error::LogsError;
use crate::asker::Asker;

/// What work on a question has to do it with.
pub struct At {
    pub query: Query,
    pub runtime: Handle,
    pub budget: Arc<dyn Budget>,
    /// When the question was asked.
    pub now: UnixNanos,
}

/// Runs `work` over one snapshot of a tenant.
///
/// Cancel: the work is told at its next look at the clock.
///
/// # Errors
/// Those of `work` and of [`Engine::begin`].
pub async fn asked<T: Send + 'static>(
    engine: &Engine,
    tenant: &str,
    work: impl FnOnce(&At) -> Result<T, LogsError> + Send + 'static,
) -> Result<T, LogsError> {
    let query = engine.begin(tenant).await?;
    let asker = Asker::default();
    let budget = asker.budget(query.budget());
    let at = At { now: query.began(), query, runtime: Handle::current(), budget };
    let working = tokio::task::spawn_blocking(move || work(&at));
    working.await.map_err(|error| QueryError::Internal(error.to_string()))?
}
