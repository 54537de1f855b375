//! How long those are answered who watch: an hour, or until the server stops.
//!
//! An answer without an end of its own would keep a stop waiting, and a client that is forgotten would be sent to for ever.

use std::time::Duration;

use axum::http::Extensions;
use meshlake_listen::Stopping;

/// Loki's default for its tails; clients come back by themselves.
const TIME_MAX: Duration = Duration::from_secs(3_600);

/// Returns when it is time to end.
pub fn end(beside: &Extensions) -> impl Future<Output = ()> + Send + use<> {
    let stopping = beside.get::<Stopping>().cloned();
    async move {
        let stopped = async {
            match stopping {
                Some(mut stopping) => stopping.wait().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stopped => {}
            () = tokio::time::sleep(TIME_MAX) => {}
        }
    }
}
