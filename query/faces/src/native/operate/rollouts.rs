//! `GET /api/v1/rollouts?service=&from=&to=&source=`: instances that came and went, and what that cost, see
//! `meshlake_query::operate::rollouts`.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;

use super::{HeadJson, OF_SERVICE, OfService, warned};
use crate::FaceState;
use crate::native::calls::{FiguresJson, Number, parameters};
use crate::native::{ApiError, Tenant, TimeRange};
use meshlake_query::Figures;
use meshlake_query::answers::rollouts::{Cost, Life, Loss, Rollout, range_of};
use meshlake_query::operate::rollouts::{Asked, load};

/// The answer. Instances last seen come first, and so do the newest rollouts.
#[derive(Serialize)]
pub struct RolloutsJson {
    #[serde(flatten)]
    head: HeadJson,
    /// Seconds: how exactly times are known.
    step: Option<u64>,
    rollouts: Vec<RolloutJson>,
    instances: Vec<LifeJson>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct LifeJson {
    instance: String,
    version: Option<String>,
    /// Release of the proxy beside it; null where none is told.
    proxy_version: Option<String>,
    first_seen: String,
    last_seen: String,
    requests: Number,
    /// Null where there is not enough to tell.
    came: Option<bool>,
    went: Option<bool>,
}

#[derive(Serialize)]
struct RolloutJson {
    kind: &'static str,
    from: String,
    to: String,
    came_count: usize,
    went_count: usize,
    came: Vec<LifeJson>,
    went: Vec<LifeJson>,
    /// Of received calls; null where there were none.
    before: Option<FiguresJson>,
    during: Option<FiguresJson>,
    after: Option<FiguresJson>,
    cost: CostJson,
}

/// Of calls to the service, as its callers saw them.
#[derive(Serialize)]
struct CostJson {
    verdict: &'static str,
    requests: Number,
    lost: Number,
    /// Null where it is not known what is usual.
    usual: Option<Number>,
    beyond: Option<Number>,
    p_value: Option<f64>,
    by: Vec<LossJson>,
}

#[derive(Serialize)]
struct LossJson {
    response_flags: Option<String>,
    response_code: Option<i64>,
    grpc_status: Option<i64>,
    before: Number,
    during: Number,
    after: Number,
    beyond: Option<Number>,
}

/// Answers the request.
pub async fn answer(
    State(state): State<FaceState>,
    Tenant(tenant): Tenant,
    asked: TimeRange,
    uri: Uri,
) -> Result<Json<RolloutsJson>, ApiError> {
    let given: OfService = parameters(&uri)?;
    let (service, source) = given.read()?;
    let range =
        range_of(asked.from, asked.to, 0).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let query = state.engine.begin(&tenant).await?;
    let found = load(&query, &Asked { service, range, source }).await?;
    Ok(Json(RolloutsJson {
        step: found.range.step().map(|step| step.as_secs()),
        head: HeadJson::new(found.range, source, found.service),
        rollouts: found.rollouts.into_iter().map(rollout_json).collect(),
        instances: found.instances.into_iter().map(life_json).collect(),
        warnings: warned(found.warnings, &uri, &OF_SERVICE),
    }))
}

fn life_json(life: Life) -> LifeJson {
    LifeJson {
        instance: life.instance,
        version: life.version,
        proxy_version: life.proxy_version,
        first_seen: life.first_seen.to_rfc3339(),
        last_seen: life.last_seen.to_rfc3339(),
        requests: Number(life.requests),
        came: life.came,
        went: life.went,
    }
}

fn rollout_json(rollout: Rollout) -> RolloutJson {
    let figures = |figures: Option<Figures>| figures.as_ref().map(FiguresJson::from);
    RolloutJson {
        kind: rollout.kind.name(),
        from: rollout.from.to_rfc3339(),
        to: rollout.to.to_rfc3339(),
        came_count: rollout.came_count,
        went_count: rollout.went_count,
        came: rollout.came.into_iter().map(life_json).collect(),
        went: rollout.went.into_iter().map(life_json).collect(),
        before: figures(rollout.before),
        during: figures(rollout.during),
        after: figures(rollout.after),
        cost: cost_json(rollout.cost),
    }
}

fn cost_json(cost: Cost) -> CostJson {
    CostJson {
        verdict: cost.verdict.name(),
        requests: Number(cost.calls),
        lost: Number(cost.lost),
        usual: cost.usual.map(Number),
        beyond: cost.beyond.map(Number),
        p_value: cost.p_value,
        by: cost.by.into_iter().map(loss_json).collect(),
    }
}

fn loss_json(loss: Loss) -> LossJson {
    LossJson {
        response_flags: loss.reason.response_flags,
        response_code: loss.reason.response_code,
        grpc_status: loss.reason.grpc_status,
        before: Number(loss.before),
        during: Number(loss.during),
        after: Number(loss.after),
        beyond: loss.beyond.map(Number),
    }
}
