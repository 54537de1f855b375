//! `balance(service, from, to, source)`: calls by instance; see `meshlake_calls::operate::balance`.

use meshlake_calls::operate::balance::{InstanceRow, Odd};
use meshlake_engine::{Arguments, Query, QueryError};

use super::{Column, Function, OF_SERVICE, Value, failed, of_service};
use crate::operate::balance::load;

/// An instance and the answer that it is part of.
pub(super) struct Row {
    service: Option<String>,
    verdict: &'static str,
    /// Why it is odd, with commas between; nothing where it is not.
    odd: Option<String>,
    instance: InstanceRow,
}

const COLUMNS: &[Column<Row>] = &[
    Column { name: "service", value: Value::Text(|row| row.service.as_deref()) },
    Column { name: "verdict", value: Value::Text(|row| Some(row.verdict)) },
    Column { name: "instance", value: Value::Text(|row| Some(&row.instance.name)) },
    Column { name: "version", value: Value::Text(|row| row.instance.version.as_deref()) },
    Column { name: "workload", value: Value::Text(|row| row.instance.workload.as_deref()) },
    Column { name: "odd", value: Value::Text(|row| row.odd.as_deref()) },
    Column { name: "requests", value: Value::Number(|row| Some(row.instance.figures.requests)) },
    Column { name: "share", value: Value::Number(|row| Some(row.instance.share)) },
    Column { name: "relative", value: Value::Number(|row| row.instance.relative) },
    Column { name: "errors", value: Value::Number(|row| Some(row.instance.figures.errors)) },
    Column { name: "error_ratio", value: Value::Number(|row| Some(row.instance.figures.error_ratio)) },
    Column { name: "p50_ms", value: Value::Number(|row| row.instance.figures.p50_ms) },
    Column { name: "p99_ms", value: Value::Number(|row| row.instance.figures.p99_ms) },
    Column { name: "concurrency", value: Value::Number(|row| Some(row.instance.figures.concurrency)) },
    Column { name: "counted_from", value: Value::Text(|row| Some(row.instance.evidence.name())) },
];

pub(super) const BALANCE: Function<Row> = Function {
    name: "balance",
    parameters: &OF_SERVICE,
    columns: COLUMNS,
    answer: |query, arguments| Box::pin(async move { answer(&query, &arguments).await }),
};

async fn answer(query: &Query, given: &Arguments) -> Result<Vec<Row>, QueryError> {
    let (service, range, source) = of_service(query, given)?;
    let answer = load(query, service, range, source).await.map_err(failed)?;
    let row = |instance: InstanceRow| {
        let words: Vec<&str> = instance.odd.iter().copied().map(Odd::name).collect();
        let odd = (!words.is_empty()).then(|| words.join(","));
        Row { service: answer.service.clone(), verdict: answer.verdict.name(), odd, instance }
    };
    Ok(answer.instances.into_iter().map(row).collect())
}
