//! `GET /api/v1/balance?service=&from=&to=&source=`: calls by instance, see `meshlake_query::operate::balance`.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;

use super::{HeadJson, OF_SERVICE, OfService, warned};
use crate::FaceState;
use crate::native::calls::{FiguresJson, Number, parameters, range};
use crate::native::{ApiError, Tenant, TimeRange};
use meshlake_query::answers::balance::{InstanceRow, Odd};
use meshlake_query::operate::balance::load;

/// The answer. Instances are sorted by how many calls they received, busiest first.
#[derive(Serialize)]
pub struct BalanceJson {
    #[serde(flatten)]
    head: HeadJson,
    /// `even`, `uneven` or `not_enough`.
    verdict: &'static str,
    /// 1 where each call chooses an instance by chance, near 0 where they take turns.
    dispersion: Option<f64>,
    p_value: Option<f64>,
    coefficient_of_variation: Option<f64>,
    instances: Vec<InstanceJson>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct InstanceJson {
    instance: String,
    version: Option<String>,
    workload: Option<String>,
    share: Number,
    /// Against an equal share of its subset while it was there: 1 is equal.
    relative: Option<Number>,
    /// `busy`, `idle`, `failing`, `slow`.
    odd: Vec<&'static str>,
    #[serde(flatten)]
    figures: FiguresJson,
    counted_from: &'static str,
}

/// Answers the request.
pub async fn answer(
    State(state): State<FaceState>,
    Tenant(tenant): Tenant,
    asked: TimeRange,
    uri: Uri,
) -> Result<Json<BalanceJson>, ApiError> {
    let given: OfService = parameters(&uri)?;
    let (service, source) = given.read()?;
    let query = state.engine.begin(&tenant).await?;
    let answer = load(&query, service, range(asked, None)?, source).await?;
    Ok(Json(BalanceJson {
        head: HeadJson::new(answer.range, source, answer.service),
        verdict: answer.verdict.name(),
        dispersion: answer.spread.map(|spread| spread.dispersion),
        p_value: answer.spread.map(|spread| spread.p_value),
        coefficient_of_variation: answer.variation,
        instances: answer.instances.into_iter().map(instance_json).collect(),
        warnings: warned(answer.warnings, &uri, &OF_SERVICE),
    }))
}

fn instance_json(row: InstanceRow) -> InstanceJson {
    InstanceJson {
        instance: row.name,
        version: row.version,
        workload: row.workload,
        share: Number(row.share),
        relative: row.relative.map(Number),
        odd: row.odd.into_iter().map(Odd::name).collect(),
        figures: FiguresJson::from(&row.figures),
        counted_from: row.evidence.name(),
    }
}
