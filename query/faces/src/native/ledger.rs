//! `GET /api/v1/ledger`: what became of every record that came in; see `meshlake_query::ledger`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use meshlake_query::ledger::{Account, accounts};
use serde_json::{Value, json};

use super::{ApiError, Tenant};
use crate::FaceState;

/// Answers `{"rows":[...]}`, one row per signal and source, sorted by them.
pub async fn answer(State(state): State<FaceState>, Tenant(tenant): Tenant) -> Result<Response, ApiError> {
    let accounts = accounts(&state.engine, &tenant).await?;
    let rows: Vec<Value> = accounts.iter().map(row).collect();
    Ok(Json(json!({"rows": rows})).into_response())
}

fn row(account: &Account) -> Value {
    json!({
        "tenant": account.tenant,
        "signal": account.signal,
        "source": account.source,
        "received": account.received,
        "accepted": account.accepted,
        "rejected": account.rejected,
        "durable": account.durable,
        "in_flight": account.in_flight,
        "deduplicated": account.deduplicated,
        "flushed": account.flushed,
    })
}
