//! `GET /api/v1/gateways?gateway=&host=&from=&to=`: hosts and routes, see `meshlake_query::operate::gateways`.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::{Deserialize, Serialize};

use super::{RangeJson, given_text, warned};
use crate::FaceState;
use crate::native::calls::{FiguresJson, Number, parameters, range};
use crate::native::{ApiError, Tenant, TimeRange};
use meshlake_query::answers::gateways::{GatewayRow, Upstream};
use meshlake_query::operate::gateways::load;

const PARAMETERS: [&str; 4] = ["gateway", "host", "from", "to"];

#[derive(Deserialize)]
struct Given {
    gateway: Option<String>,
    host: Option<String>,
}

/// The answer. Rows are sorted by gateway, then busiest first.
#[derive(Serialize)]
pub struct GatewaysJson {
    #[serde(flatten)]
    range: RangeJson,
    rows: Vec<GatewayJson>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct GatewayJson {
    gateway: String,
    host: Option<String>,
    route: Option<String>,
    /// What came in.
    #[serde(flatten)]
    figures: FiguresJson,
    /// Not passed on: refused, or answered by the gateway itself.
    kept: Number,
    upstreams: Vec<UpstreamJson>,
    counted_from: &'static str,
}

#[derive(Serialize)]
struct UpstreamJson {
    service: String,
    #[serde(flatten)]
    figures: FiguresJson,
    retries: Number,
}

/// Answers the request.
pub async fn answer(
    State(state): State<FaceState>,
    Tenant(tenant): Tenant,
    asked: TimeRange,
    uri: Uri,
) -> Result<Json<GatewaysJson>, ApiError> {
    let given: Given = parameters(&uri)?;
    let [gateway, host] = [&given.gateway, &given.host].map(given_text);
    let query = state.engine.begin(&tenant).await?;
    let answer = load(&query, range(asked, None)?, gateway, host).await?;
    Ok(Json(GatewaysJson {
        range: answer.range.into(),
        rows: answer.rows.into_iter().map(gateway_json).collect(),
        warnings: warned(answer.warnings, &uri, &PARAMETERS),
    }))
}

fn gateway_json(row: GatewayRow) -> GatewayJson {
    GatewayJson {
        gateway: row.gateway,
        host: row.host,
        route: row.route,
        figures: FiguresJson::from(&row.figures),
        kept: Number(row.kept),
        upstreams: row.upstreams.into_iter().map(upstream_json).collect(),
        counted_from: row.evidence.name(),
    }
}

fn upstream_json(upstream: Upstream) -> UpstreamJson {
    let Upstream { service, figures, retries } = upstream;
    UpstreamJson { service, figures: FiguresJson::from(&figures), retries: Number(retries) }
}
