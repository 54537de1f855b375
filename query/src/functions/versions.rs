//! `versions(service, from, to, baseline, source)`: subsets of a service side by side; see
//! `meshlake_calls::operate::versions`.

use meshlake_calls::operate::versions::{Comparison, Judged, Subset, Versions};
use meshlake_engine::{Arguments, Parameter, ParameterKind, Query, QueryError};

use super::{Column, Function, Value, failed, of_service, parameter};
use crate::operate::versions::{Asked, load};

/// A subset and the answer that it is part of.
pub(super) struct Row {
    service: Option<String>,
    by: &'static str,
    baseline: Option<String>,
    subset: Subset,
}

impl Row {
    fn compared(&self) -> Option<&Comparison> {
        self.subset.comparison.as_ref()
    }

    fn errors(&self) -> Option<&Judged> {
        self.compared()?.errors.as_ref()
    }

    fn latency(&self) -> Option<&Judged> {
        self.compared()?.latency.as_ref()
    }
}

const COLUMNS: &[Column<Row>] = &[
    Column { name: "service", value: Value::Text(|row| row.service.as_deref()) },
    Column { name: "by", value: Value::Text(|row| Some(row.by)) },
    Column { name: "subset", value: Value::Text(|row| row.subset.name.as_deref()) },
    Column { name: "baseline", value: Value::Text(|row| row.baseline.as_deref()) },
    Column { name: "verdict", value: Value::Text(|row| Some(row.compared()?.verdict.name())) },
    Column { name: "requests", value: Value::Number(|row| Some(row.subset.figures.requests)) },
    Column { name: "share", value: Value::Number(|row| Some(row.subset.share)) },
    Column { name: "rate", value: Value::Number(|row| Some(row.subset.figures.rate)) },
    Column { name: "errors", value: Value::Number(|row| Some(row.subset.figures.errors)) },
    Column { name: "error_ratio", value: Value::Number(|row| Some(row.subset.figures.error_ratio)) },
    Column { name: "p50_ms", value: Value::Number(|row| row.subset.figures.p50_ms) },
    Column { name: "p90_ms", value: Value::Number(|row| row.subset.figures.p90_ms) },
    Column { name: "p95_ms", value: Value::Number(|row| row.subset.figures.p95_ms) },
    Column { name: "p99_ms", value: Value::Number(|row| row.subset.figures.p99_ms) },
    Column { name: "max_ms", value: Value::Number(|row| row.subset.figures.max_ms) },
    Column { name: "errors_verdict", value: Value::Text(|row| Some(row.errors()?.verdict.name())) },
    Column { name: "errors_p", value: Value::Number(|row| Some(row.errors()?.p_adjusted)) },
    Column { name: "errors_effect", value: Value::Number(|row| Some(row.errors()?.test.effect)) },
    Column { name: "errors_low", value: Value::Number(|row| Some(row.errors()?.test.low)) },
    Column { name: "errors_high", value: Value::Number(|row| Some(row.errors()?.test.high)) },
    Column { name: "latency_verdict", value: Value::Text(|row| Some(row.latency()?.verdict.name())) },
    Column { name: "latency_p", value: Value::Number(|row| Some(row.latency()?.p_adjusted)) },
    Column { name: "latency_effect", value: Value::Number(|row| Some(row.latency()?.test.effect)) },
    Column { name: "latency_low", value: Value::Number(|row| Some(row.latency()?.test.low)) },
    Column { name: "latency_high", value: Value::Number(|row| Some(row.latency()?.test.high)) },
    Column { name: "counted_from", value: Value::Text(|row| Some(row.subset.evidence.name())) },
];

const PARAMETERS: [Parameter; 5] = [
    parameter("service", ParameterKind::Text),
    parameter("from", ParameterKind::Time),
    parameter("to", ParameterKind::Time),
    parameter("baseline", ParameterKind::Text),
    parameter("source", ParameterKind::Text),
];

pub(super) const VERSIONS: Function<Row> = Function {
    name: "versions",
    parameters: &PARAMETERS,
    columns: COLUMNS,
    answer: |query, arguments| Box::pin(async move { answer(&query, &arguments).await }),
};

async fn answer(query: &Query, given: &Arguments) -> Result<Vec<Row>, QueryError> {
    let (service, range, source) = of_service(query, given)?;
    let asked = Asked { service, baseline: given.text("baseline"), range, source };
    let Versions { service, by, baseline, subsets, .. } = load(query, &asked).await.map_err(failed)?;
    let row = |subset| Row { service: service.clone(), by: by.name(), baseline: baseline.clone(), subset };
    Ok(subsets.into_iter().map(row).collect())
}
