//! `calls(from, to, service, source, limit)`: calls one by one, newest first; see `crate::calls::list`.

use meshlake_calls::list::{CALLS_DEFAULT, CALLS_MAX, ListedCall};
use meshlake_engine::{Arguments, Parameter, ParameterKind, Query, QueryError};

use super::{Column, Function, Value, failed, parameter, range, source};
use crate::calls::list::{Asked, list};

fn millis(nanos: Option<i64>) -> Option<f64> {
    nanos.map(|nanos| nanos as f64 / 1e6)
}

const COLUMNS: &[Column<ListedCall>] = &[
    Column { name: "time", value: Value::Time(|row| Some(row.time)) },
    Column { name: "source", value: Value::Text(|row| row.source.as_deref()) },
    Column { name: "target", value: Value::Text(|row| Some(&row.target)) },
    Column { name: "identity_source", value: Value::Text(|row| Some(row.named_by.name())) },
    Column { name: "protocol", value: Value::Text(|row| Some(row.protocol.name())) },
    Column { name: "operation", value: Value::Text(|row| row.operation.as_deref()) },
    Column { name: "response_code", value: Value::Integer(|row| row.response_code) },
    Column { name: "grpc_status", value: Value::Integer(|row| row.grpc_status) },
    Column { name: "outcome", value: Value::Text(|row| Some(row.outcome.name())) },
    Column { name: "fault_class", value: Value::Text(|row| row.fault_class.as_deref()) },
    Column { name: "refused", value: Value::Boolean(|row| Some(row.is_refused)) },
    Column { name: "attempts", value: Value::Integer(|row| i64::try_from(row.attempts).ok()) },
    Column { name: "requests", value: Value::Number(|row| Some(row.requests)) },
    Column { name: "client_ms", value: Value::Number(|row| millis(row.client_nano)) },
    Column { name: "server_ms", value: Value::Number(|row| millis(row.server_nano)) },
    Column { name: "overhead_ms", value: Value::Number(|row| millis(row.overhead_nano())) },
    Column { name: "seen_by", value: Value::Text(|row| Some(row.seen_by())) },
    Column { name: "evidence", value: Value::Text(|row| Some(row.evidence.name())) },
    Column { name: "trace_id", value: Value::Text(|row| row.trace_id.as_deref()) },
    Column { name: "request_id", value: Value::Text(|row| row.request_id.as_deref()) },
];

const PARAMETERS: [Parameter; 5] = [
    parameter("from", ParameterKind::Time),
    parameter("to", ParameterKind::Time),
    parameter("service", ParameterKind::Text),
    parameter("source", ParameterKind::Text),
    parameter("limit", ParameterKind::Count),
];

pub(super) const CALLS: Function<ListedCall> = Function {
    name: "calls",
    parameters: &PARAMETERS,
    columns: COLUMNS,
    answer: |query, arguments| Box::pin(async move { answer(&query, &arguments).await }),
};

async fn answer(query: &Query, given: &Arguments) -> Result<Vec<ListedCall>, QueryError> {
    let source = source(given)?;
    let range = range(query, given, None)?;
    let most = given.count("limit").map_or(Some(CALLS_DEFAULT), |limit| usize::try_from(limit).ok());
    let most = most.filter(|most| (1..=CALLS_MAX).contains(most));
    let most = most.ok_or_else(|| QueryError::Invalid(format!("limit is not between 1 and {CALLS_MAX}")))?;
    let asked = Asked { range, source, service: given.text("service"), most };
    Ok(list(query, &asked).await.map_err(failed)?.calls)
}
