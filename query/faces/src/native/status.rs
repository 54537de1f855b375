//! `GET /api/v1/status`: how the collector is doing, who sends to it, and the configuration in use; see
//! `meshlake_query::status`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use meshlake_query::status::status;
use meshlake_query::{Exports, InFlight, QueryStatus, Sender, Status, TableStats};
use serde_json::{Value, json};

use super::{ApiError, Tenant};
use crate::FaceState;

/// Answers `{"buffer","wal","disk","tables","exports","in_flight","senders","configuration",
/// "query"}`. Sizes are bytes; `query` is null where the collector has started no query process.
pub async fn answer(State(state): State<FaceState>, Tenant(tenant): Tenant) -> Result<Response, ApiError> {
    let Status { store, intake } = status(&state.engine, &tenant).await?;
    let intake = intake.unwrap_or_default();
    let answer = json!({
        "buffer": {"bytes": store.buffer_bytes, "bytes_max": store.buffer_bytes_max},
        "wal": {
            "is_failed": store.wal.is_failed,
            "last_durable_lsn": store.wal.wal.last_durable_lsn,
            "segments": store.wal.wal.segments,
            "bytes": store.wal.wal.bytes,
        },
        "disk": {
            "has_room": store.space.has_room,
            "free_bytes": store.space.free_bytes,
            "free_bytes_min": store.space.free_bytes_min,
        },
        "tables": store.tables.iter().map(table).collect::<Vec<_>>(),
        "exports": intake.exports.iter().map(exports).collect::<Vec<_>>(),
        "in_flight": intake.in_flight.iter().map(in_flight).collect::<Vec<_>>(),
        "senders": intake.senders.iter().map(sender).collect::<Vec<_>>(),
        "configuration": intake.configuration,
        "query": intake.query.as_ref().map(query_process),
    });
    Ok(Json(answer).into_response())
}

fn table(stats: &TableStats) -> Value {
    json!({
        "table": stats.table.name(),
        "buffered_rows": stats.buffered_rows,
        "watermark": stats.watermark,
        "files": stats.files,
        "file_bytes": stats.file_bytes,
        "file_rows": stats.file_rows,
        "oldest": stats.oldest.map(meshlake_schema::UnixNanos::to_rfc3339),
        "kept_seconds": stats.kept_for.map(|kept| kept.as_secs()),
    })
}

/// Of a refusal `status` is its name.
fn exports(answered: &Exports) -> Value {
    json!({
        "receiver": answered.receiver,
        "signal": answered.signal,
        "status": answered.status,
        "count": answered.count,
    })
}

fn in_flight(waiting: &InFlight) -> Value {
    json!({"signal": waiting.signal, "source": waiting.source, "records": waiting.records})
}

fn query_process(query: &QueryStatus) -> Value {
    json!({
        "pid": query.pid,
        "is_serving": query.is_serving,
        "restarts": query.restarts,
        "last_end": Some(&query.last_end).filter(|end| !end.is_empty()),
        "confinement": query.confinement,
    })
}

fn sender(sender: &Sender) -> Value {
    json!({
        "peer": sender.peer,
        "signal": sender.signal,
        "source": sender.source,
        "agent": Some(&sender.agent).filter(|agent| !agent.is_empty()),
        "exports": sender.exports,
        "refused": sender.refused,
        "last": sender.last.to_rfc3339(),
    })
}
