//! Rows in, answers out, over hand-made snapshots.

mod answers;
mod changes;
mod versions;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use meshlake_fixture::{Row, SnapshotBuilder, row};
use meshlake_query::{Engine, EngineConfig};
use meshlake_schema::{Clock, UnixNanos};
use serde_json::Value;
use tower::ServiceExt;

use crate::native::tests::asked_by;
use crate::{FaceState, router};

const SECOND: i64 = 1_000_000_000;
const MILLISECOND: i64 = 1_000_000;
const BODY_BYTES_MAX: usize = 1 << 20;

/// The time of most tests' calls, and what a question asks for to see them.
const AT: i64 = 1_000;
const RANGE: &str = "from=960&to=1020";

/// Every test's present: 17 minutes after the epoch.
struct Now;

impl Clock for Now {
    fn now(&self) -> UnixNanos {
        UnixNanos(1_020 * SECOND)
    }
}

async fn get_json(snapshot: SnapshotBuilder, path: &str) -> (u16, Value) {
    let config = EngineConfig { parallelism: 1, ..EngineConfig::default() };
    let engine = Engine::new(snapshot.reader(), config, Arc::new(Now)).expect("no directory is named");
    let request = Request::get(path).body(Body::empty()).expect("the path is a URI");
    let response = router(FaceState::new(engine)).oneshot(asked_by(request)).await.expect("never fails");
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, BODY_BYTES_MAX).await.expect("the answer is whole");
    (parts.status.as_u16(), serde_json::from_slice(&body).expect("the answer is JSON"))
}

/// A call of web to a version of cart that took so many milliseconds, as cart's proxy saw it.
fn served(version: &str, millis: i64, outcome: &str) -> Row {
    row(
        AT * SECOND,
        [
            ("duration_nano", (millis * MILLISECOND).into()),
            ("observer", "server".into()),
            ("layer", "l7".into()),
            ("counted", true.into()),
            ("outcome", outcome.into()),
            ("attempts", 1.into()),
            ("source_service", "web".into()),
            ("source_namespace", "shop".into()),
            ("destination_service", "cart".into()),
            ("destination_namespace", "shop".into()),
            ("destination_version", version.into()),
        ],
    )
}
