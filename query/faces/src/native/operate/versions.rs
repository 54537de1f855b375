//! `GET /api/v1/versions?service=&baseline=&from=&to=&source=`: subsets of a service side by side, see
//! `meshlake_query::operate::versions`.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::{Deserialize, Serialize};

use super::{HeadJson, OfService, warned};
use crate::FaceState;
use crate::native::calls::{FiguresJson, Number, parameters, range};
use crate::native::{ApiError, Tenant, TimeRange};
use meshlake_query::answers::versions::{Comparison, Judged, Subset};
use meshlake_query::operate::versions::{Asked, load};

const PARAMETERS: [&str; 5] = ["service", "baseline", "from", "to", "source"];

#[derive(Deserialize)]
struct Given {
    #[serde(flatten)]
    of: OfService,
    baseline: Option<String>,
}

/// The answer. Subsets are sorted by how many calls they received, busiest first.
#[derive(Serialize)]
pub struct VersionsJson {
    #[serde(flatten)]
    head: HeadJson,
    /// What tells subsets apart: `version` or `workload`.
    by: &'static str,
    baseline: Option<String>,
    versions: Vec<SubsetJson>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct SubsetJson {
    /// The version or workload; null for calls that name none.
    version: Option<String>,
    share: Number,
    #[serde(flatten)]
    figures: FiguresJson,
    counted_from: &'static str,
    /// Against the baseline; null for the baseline itself.
    comparison: Option<ComparisonJson>,
}

#[derive(Serialize)]
struct ComparisonJson {
    verdict: &'static str,
    errors: Option<JudgedJson>,
    latency: Option<JudgedJson>,
}

#[derive(Serialize)]
struct JudgedJson {
    verdict: &'static str,
    method: &'static str,
    p_value: f64,
    /// Corrected for all tests of the answer.
    p_adjusted: f64,
    /// Errors: difference of the shares of errors. Latency: Cliff's delta. Both -1..=1, bad above 0.
    effect: f64,
    /// Of the effect, 95 %.
    confidence_interval: [f64; 2],
}

/// Answers the request.
pub async fn answer(
    State(state): State<FaceState>,
    Tenant(tenant): Tenant,
    asked: TimeRange,
    uri: Uri,
) -> Result<Json<VersionsJson>, ApiError> {
    let given: Given = parameters(&uri)?;
    let (service, source) = given.of.read()?;
    let baseline = given.baseline.as_deref().filter(|name| !name.is_empty());
    let asked = Asked { service, baseline, range: range(asked, None)?, source };
    let query = state.engine.begin(&tenant).await?;
    let versions = load(&query, &asked).await?;
    Ok(Json(VersionsJson {
        head: HeadJson::new(versions.range, source, versions.service),
        by: versions.by.name(),
        baseline: versions.baseline,
        versions: versions.subsets.into_iter().map(subset_json).collect(),
        warnings: warned(versions.warnings, &uri, &PARAMETERS),
    }))
}

fn subset_json(subset: Subset) -> SubsetJson {
    SubsetJson {
        version: subset.name,
        share: Number(subset.share),
        figures: FiguresJson::from(&subset.figures),
        counted_from: subset.evidence.name(),
        comparison: subset.comparison.map(comparison_json),
    }
}

fn comparison_json(found: Comparison) -> ComparisonJson {
    let Comparison { verdict, errors, latency } = found;
    ComparisonJson {
        verdict: verdict.name(),
        errors: errors.as_ref().map(judged),
        latency: latency.as_ref().map(judged),
    }
}

fn judged(judged: &Judged) -> JudgedJson {
    let Judged { verdict, method, ref test, p_adjusted } = *judged;
    JudgedJson {
        verdict: verdict.name(),
        method,
        p_value: test.p_value,
        p_adjusted,
        effect: test.effect,
        confidence_interval: [test.low, test.high],
    }
}
