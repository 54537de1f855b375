//! A question on its way: one snapshot, a thread that may wait for its sources, time and memory.
//!
//! Who goes away while a question is worked on stops it at the next look at the clock; reading of rows that is under way
//! ends by itself, at the latest at the engine's deadline. Threads are as many as places among the engine's queries.

use std::sync::Arc;
use std::time::Duration;

use meshlake_engine::Engine;
use meshlake_promql::Error;
use meshlake_schema::Budget;
use tokio::runtime::Handle;

use super::merged::Merged;
use super::sources::{Kept, sources};
use crate::asker::Asker;
use crate::series::unread;

/// What questions are asked of; clones are one.
#[derive(Clone)]
pub struct Prometheus {
    engine: Engine,
    kept: Kept,
}

impl Prometheus {
    pub fn new(engine: Engine) -> Self {
        Prometheus { engine, kept: Kept::default() }
    }

    /// The same, where these attributes of resources become labels of all their series, instead of
    /// [`PROMOTED`](crate::samples::PROMOTED).
    pub fn promoting(engine: Engine, attributes: Vec<String>) -> Self {
        Prometheus { engine, kept: Kept::promoting(attributes) }
    }
}

/// What work on a question has to do it with.
pub struct At {
    pub merged: Merged,
    pub budget: Arc<dyn Budget>,
    /// Bytes that the answer may take in memory.
    pub answer_bytes_max: usize,
}

/// Runs `work` over the sources of one snapshot of a tenant, within `timeout` or what the engine gives a query.
///
/// Cancel: the work is told at its next look at the clock.
///
/// # Errors
/// Those of `work`; [`Error::Timeout`] when no place comes free in time, [`Error::Internal`] without a snapshot.
pub async fn asked<T: Send + 'static>(
    prometheus: &Prometheus,
    tenant: &str,
    timeout: Option<Duration>,
    work: impl FnOnce(&At) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let Prometheus { engine, kept } = prometheus.clone();
    let timeout = timeout.unwrap_or(Duration::MAX);
    let query = engine.begin_within(tenant, timeout).await.map_err(|error| unread(&error))?;
    let asker = Asker::default();
    let budget = asker.budget(query.budget());
    let answer_bytes_max = engine.config().answer_bytes_max;
    let runtime = Handle::current();
    let working = tokio::task::spawn_blocking(move || {
        let merged = Merged::new(sources(&query, &kept, &runtime));
        work(&At { merged, budget, answer_bytes_max })
    });
    let failed = |error: tokio::task::JoinError| {
        tracing::error!(%error, "answer a question of Prometheus's API");
        Error::Internal("the server failed; its log says more".to_owned())
    };
    working.await.map_err(failed)?
}
