//! What clients ask of the server itself, and what it has none of.

use axum::Json;
use meshlake_query::logs::LINES_MAX;
use serde_json::{Value, json};

/// The release of Loki whose API this is: clients look at it to know what they may ask.
const LOKI_VERSION: &str = "3.7.8";

pub async fn ready() -> &'static str {
    "ready\n"
}

pub async fn build() -> Json<Value> {
    let revision = concat!("meshlake-", env!("CARGO_PKG_VERSION"));
    let empty = "";
    Json(json!({
        "version": LOKI_VERSION, "revision": revision, "branch": empty, "buildUser": empty, "buildDate": empty,
        "goVersion": empty,
    }))
}

/// What Grafana's pages of logs ask before they ask for more: what is there, and how much an answer has.
pub async fn limits() -> Json<Value> {
    Json(json!({
        "limits": {
            "discover_log_levels": true, "discover_service_name": [], "max_entries_limit_per_query": LINES_MAX,
            "volume_enabled": true,
        },
        "pattern_ingester_enabled": false,
        "version": LOKI_VERSION,
    }))
}

/// No patterns are kept; Loki answers the same where it does not keep any.
pub async fn patterns() -> Json<Value> {
    Json(json!({"status": "success", "data": []}))
}
