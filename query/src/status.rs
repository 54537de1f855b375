//! How the collector is doing, and who sends to it: what somebody looks at whose service is not there.
//!
//! A tenant is told of its own senders and records; what the store holds, what was answered and the configuration are
//! of the whole collector, and name nobody.

use meshlake_engine::{Engine, QueryError, Status};

/// The status as `tenant` may see it.
///
/// # Errors
/// Those of [`Engine::status`].
pub async fn status(engine: &Engine, tenant: &str) -> Result<Status, QueryError> {
    let mut status = engine.status().await?;
    if let Some(intake) = &mut status.intake {
        intake.senders.retain(|sender| sender.tenant == tenant);
        intake.in_flight.retain(|waiting| waiting.tenant == tenant);
    }
    Ok(status)
}
