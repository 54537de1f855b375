//! `policies(service, from, to, client, server)`: what ended calls; see `meshlake_calls::operate::policies`.

use meshlake_calls::operate::policies::{Asked, PolicyRow};
use meshlake_engine::{Arguments, Parameter, ParameterKind, Query, QueryError};

use super::{Column, Function, Value, failed, parameter, range};
use crate::operate::policies::load;

const COLUMNS: &[Column<PolicyRow>] = &[
    Column { name: "client", value: Value::Text(|row| row.client.as_deref()) },
    Column { name: "server", value: Value::Text(|row| Some(&row.server)) },
    Column { name: "at", value: Value::Text(|row| Some(row.at.name())) },
    Column { name: "policy", value: Value::Text(|row| Some(row.policy.name())) },
    Column { name: "reason", value: Value::Text(|row| Some(&row.reason)) },
    Column { name: "meaning", value: Value::Text(|row| Some(row.meaning)) },
    Column { name: "requests", value: Value::Number(|row| Some(row.requests)) },
    Column { name: "share", value: Value::Number(|row| Some(row.share)) },
    Column { name: "rate", value: Value::Number(|row| Some(row.rate)) },
    Column { name: "counted_from", value: Value::Text(|row| Some(row.evidence.name())) },
];

const PARAMETERS: [Parameter; 5] = [
    parameter("service", ParameterKind::Text),
    parameter("from", ParameterKind::Time),
    parameter("to", ParameterKind::Time),
    parameter("client", ParameterKind::Text),
    parameter("server", ParameterKind::Text),
];

pub(super) const POLICIES: Function<PolicyRow> = Function {
    name: "policies",
    parameters: &PARAMETERS,
    columns: COLUMNS,
    answer: |query, arguments| Box::pin(async move { answer(&query, &arguments).await }),
};

async fn answer(query: &Query, given: &Arguments) -> Result<Vec<PolicyRow>, QueryError> {
    let [service, client, server] = ["service", "client", "server"].map(|name| given.text(name));
    let asked = Asked { service, client, server };
    Ok(load(query, range(query, given, None)?, asked).await.map_err(failed)?.rows)
}
