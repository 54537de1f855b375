//! `GET /api/v1/saturation?service=&from=&to=`: how full a service is, see `meshlake_query::operate::saturation`.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::{Deserialize, Serialize};

use super::policies::PolicyJson;
use super::{RangeJson, named_service, warned};
use crate::FaceState;
use crate::native::calls::{FiguresJson, parameters, range};
use crate::native::{ApiError, Tenant, TimeRange};
use meshlake_query::answers::gauges::Gauge;
use meshlake_query::answers::saturation::{InstanceRow, Waiting};
use meshlake_query::operate::saturation::load;

const PARAMETERS: [&str; 3] = ["service", "from", "to"];

#[derive(Deserialize)]
struct Given {
    service: Option<String>,
}

/// The answer. Instances are sorted by how many calls are in progress there (`concurrency`), fullest first.
#[derive(Serialize)]
pub struct SaturationJson {
    #[serde(flatten)]
    range: RangeJson,
    /// Id of the service; null where nothing goes by the name.
    service: Option<String>,
    /// What the service received; null for one that received nothing.
    received: Option<ReceivedJson>,
    instances: Vec<InstanceJson>,
    waiting: Vec<WaitingJson>,
    /// What was turned away for lack of room.
    refused: Vec<PolicyJson>,
    metrics: Vec<GaugeJson>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct ReceivedJson {
    #[serde(flatten)]
    figures: FiguresJson,
    counted_from: &'static str,
}

#[derive(Serialize)]
struct InstanceJson {
    /// Null for calls that name none.
    instance: Option<String>,
    #[serde(flatten)]
    figures: FiguresJson,
}

/// Mean latencies of one edge as both of its ends' proxies saw them, milliseconds.
#[derive(Serialize)]
struct WaitingJson {
    client: String,
    client_mean_ms: f64,
    server_mean_ms: f64,
    /// The difference: connecting, queueing, the network, tries that failed.
    waited_ms: f64,
}

#[derive(Serialize)]
struct GaugeJson {
    metric: String,
    unit: Option<String>,
    instance: Option<String>,
    attributes: String,
    points: u64,
    last: Option<f64>,
    mean: Option<f64>,
    max: Option<f64>,
    /// Growth a second, of what only grows.
    rate: Option<f64>,
}

/// Answers the request.
pub async fn answer(
    State(state): State<FaceState>,
    Tenant(tenant): Tenant,
    asked: TimeRange,
    uri: Uri,
) -> Result<Json<SaturationJson>, ApiError> {
    let given: Given = parameters(&uri)?;
    let service = named_service(given.service.as_deref())?;
    let query = state.engine.begin(&tenant).await?;
    let answer = load(&query, service, range(asked, None)?).await?;
    Ok(Json(SaturationJson {
        range: answer.range.into(),
        service: answer.service,
        received: answer.figures.as_ref().map(|(figures, evidence)| ReceivedJson {
            figures: FiguresJson::from(figures),
            counted_from: evidence.name(),
        }),
        instances: answer.instances.into_iter().map(instance_json).collect(),
        waiting: answer.waiting.into_iter().map(waiting_json).collect(),
        refused: answer.refused.into_iter().map(PolicyJson::from).collect(),
        metrics: answer.gauges.into_iter().map(gauge_json).collect(),
        warnings: warned(answer.warnings, &uri, &PARAMETERS),
    }))
}

fn instance_json(row: InstanceRow) -> InstanceJson {
    InstanceJson { figures: FiguresJson::from(&row.figures), instance: row.name }
}

fn waiting_json(waiting: Waiting) -> WaitingJson {
    let Waiting { client, client_mean_ms, server_mean_ms } = waiting;
    WaitingJson { client, client_mean_ms, server_mean_ms, waited_ms: client_mean_ms - server_mean_ms }
}

fn gauge_json(gauge: Gauge) -> GaugeJson {
    let Gauge { metric, unit, instance, attributes, points, last, mean, max, rate } = gauge;
    GaugeJson { metric, unit, instance, attributes, points, last, mean, max, rate }
}
