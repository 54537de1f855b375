//! Work that takes long, on threads that nobody else waits for.

use meshlake_engine::QueryError;

/// Cancel: work that has begun goes on to its end, and nobody sees what it comes to.
///
/// # Errors
/// [`QueryError::Internal`] if the work panics, which is a bug.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, QueryError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| QueryError::Internal(format!("look at spans: {error}")))
}
