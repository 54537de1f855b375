//! `GET /api/v1/policies?service=&client=&server=&from=&to=`: what ended calls, see `meshlake_query::operate::policies`.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::{Deserialize, Serialize};

use super::{RangeJson, given_text, warned};
use crate::FaceState;
use crate::native::calls::{Number, parameters, range};
use crate::native::{ApiError, Tenant, TimeRange};
use meshlake_query::answers::policies::{Asked, PolicyRow};
use meshlake_query::operate::policies::load;

const PARAMETERS: [&str; 5] = ["service", "client", "server", "from", "to"];

#[derive(Deserialize)]
struct Given {
    service: Option<String>,
    client: Option<String>,
    server: Option<String>,
}

/// The answer. Rows are sorted by callee, caller, policy and reason.
#[derive(Serialize)]
pub struct PoliciesJson {
    #[serde(flatten)]
    range: RangeJson,
    rows: Vec<PolicyJson>,
    warnings: Vec<String>,
}

/// Calls of one edge that were ended, held back or tried again for one reason.
#[derive(Serialize)]
pub(super) struct PolicyJson {
    /// Ids of nodes; null where nothing tells who called.
    client: Option<String>,
    server: String,
    /// Who did it: `client`, `server` or `gateway`.
    at: &'static str,
    policy: &'static str,
    reason: String,
    meaning: &'static str,
    requests: Number,
    /// Of the calls of the edge that the same observer tells of.
    share: Number,
    rate: Number,
    counted_from: &'static str,
}

impl From<PolicyRow> for PolicyJson {
    fn from(row: PolicyRow) -> Self {
        PolicyJson {
            client: row.client,
            server: row.server,
            at: row.at.name(),
            policy: row.policy.name(),
            reason: row.reason,
            meaning: row.meaning,
            requests: Number(row.requests),
            share: Number(row.share),
            rate: Number(row.rate),
            counted_from: row.evidence.name(),
        }
    }
}

/// Answers the request.
pub async fn answer(
    State(state): State<FaceState>,
    Tenant(tenant): Tenant,
    asked: TimeRange,
    uri: Uri,
) -> Result<Json<PoliciesJson>, ApiError> {
    let given: Given = parameters(&uri)?;
    let [service, client, server] = [&given.service, &given.client, &given.server].map(given_text);
    let query = state.engine.begin(&tenant).await?;
    let answer = load(&query, range(asked, None)?, Asked { service, client, server }).await?;
    Ok(Json(PoliciesJson {
        range: answer.range.into(),
        rows: answer.rows.into_iter().map(PolicyJson::from).collect(),
        warnings: warned(answer.warnings, &uri, &PARAMETERS),
    }))
}
