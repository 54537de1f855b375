//! What clients ask to know whether a Tempo is there, and which.

use axum::Json;
use serde_json::{Value, json};

/// The release whose API this is; Grafana switches features on by it.
const VERSION: &str = "2.10.0";

pub async fn echo() -> &'static str {
    "echo"
}

pub async fn ready() -> &'static str {
    "ready\n"
}

/// Go's names for things that are not here are empty.
pub async fn build() -> Json<Value> {
    Json(json!({
        "version": VERSION,
        "revision": env!("CARGO_PKG_VERSION"),
        "branch": "meshlake",
        "buildDate": "",
        "buildUser": "",
        "goVersion": "",
    }))
}

/// One line a module, as Kiali looks for.
pub async fn services() -> &'static str {
    "query-frontend: Running\n"
}
