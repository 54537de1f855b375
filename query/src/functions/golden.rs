//! `golden(by, from, to, step, service, source)`: golden metrics, a row per group and bucket; see
//! `meshlake_calls::golden`.

use meshlake_calls::golden::{GoldenRow, Subject, golden};
use meshlake_calls::{Figures, GoldenBy, NodeIdentity};
use meshlake_engine::{Arguments, Parameter, ParameterKind, Query, QueryError};
use meshlake_schema::UnixNanos;

use super::{Column, Function, Value, failed, parameter, range, source};
use crate::calls::load_from;

/// A row and the start of its bucket.
pub(super) struct Row {
    time: UnixNanos,
    by: GoldenBy,
    golden: GoldenRow,
}

impl Row {
    fn node(&self) -> Option<&NodeIdentity> {
        match &self.golden.subject {
            Subject::Node { node, .. } => Some(node),
            Subject::Edge { .. } | Subject::Group(_) => None,
        }
    }

    fn namespace(&self) -> Option<&str> {
        match self.by {
            GoldenBy::Namespace => self.group(),
            _ => self.node()?.namespace.as_deref(),
        }
    }

    /// The namespace, cluster or value of an attribute, of rows by that.
    fn group(&self) -> Option<&str> {
        match &self.golden.subject {
            Subject::Group(group) => group.as_deref(),
            _ => None,
        }
    }

    /// The operation or instance, of rows by that.
    fn detail(&self, by: GoldenBy) -> Option<&str> {
        match &self.golden.subject {
            Subject::Node { detail, .. } if self.by == by => detail.as_deref(),
            _ => None,
        }
    }

    /// The ids of both ends.
    fn edge(&self) -> Option<(&str, &str)> {
        match &self.golden.subject {
            Subject::Edge { client, server } => Some((&client.id, &server.id)),
            Subject::Node { .. } | Subject::Group(_) => None,
        }
    }

    fn figures(&self) -> &Figures {
        &self.golden.figures
    }
}

const COLUMNS: &[Column<Row>] = &[
    Column { name: "time", value: Value::Time(|row| Some(row.time)) },
    Column { name: "id", value: Value::Text(|row| Some(&row.node()?.id)) },
    Column { name: "service", value: Value::Text(|row| Some(&row.node()?.name)) },
    Column { name: "namespace", value: Value::Text(Row::namespace) },
    Column { name: "kind", value: Value::Text(|row| Some(row.node()?.kind.name())) },
    Column { name: "version", value: Value::Text(|row| row.node()?.version.as_deref()) },
    Column { name: "operation", value: Value::Text(|row| row.detail(GoldenBy::Operation)) },
    Column { name: "instance", value: Value::Text(|row| row.detail(GoldenBy::Instance)) },
    Column { name: "cluster", value: Value::Text(|row| row.group().filter(|_| row.by == GoldenBy::Cluster)) },
    Column {
        name: "value",
        value: Value::Text(|row| row.group().filter(|_| matches!(row.by, GoldenBy::Attribute(_)))),
    },
    Column { name: "client", value: Value::Text(|row| Some(row.edge()?.0)) },
    Column { name: "server", value: Value::Text(|row| Some(row.edge()?.1)) },
    Column { name: "requests", value: Value::Number(|row| Some(row.figures().requests)) },
    Column { name: "rate", value: Value::Number(|row| Some(row.figures().rate)) },
    Column { name: "errors", value: Value::Number(|row| Some(row.figures().errors)) },
    Column { name: "error_ratio", value: Value::Number(|row| Some(row.figures().error_ratio)) },
    Column { name: "client_errors", value: Value::Number(|row| Some(row.figures().client_errors)) },
    Column { name: "aborted", value: Value::Number(|row| Some(row.figures().aborted)) },
    Column { name: "p50_ms", value: Value::Number(|row| row.figures().p50_ms) },
    Column { name: "p90_ms", value: Value::Number(|row| row.figures().p90_ms) },
    Column { name: "p95_ms", value: Value::Number(|row| row.figures().p95_ms) },
    Column { name: "p99_ms", value: Value::Number(|row| row.figures().p99_ms) },
    Column { name: "max_ms", value: Value::Number(|row| row.figures().max_ms) },
    Column { name: "bytes_in", value: Value::Number(|row| row.figures().bytes_in) },
    Column { name: "bytes_out", value: Value::Number(|row| row.figures().bytes_out) },
    Column { name: "concurrency", value: Value::Number(|row| Some(row.figures().concurrency)) },
    Column { name: "client_requests", value: Value::Number(|row| Some(row.golden.edge?.client_requests)) },
    Column { name: "server_requests", value: Value::Number(|row| Some(row.golden.edge?.server_requests)) },
    Column { name: "retries", value: Value::Number(|row| Some(row.golden.edge?.retries)) },
    Column { name: "refused", value: Value::Number(|row| Some(row.golden.edge?.refused)) },
    Column { name: "counted_from", value: Value::Text(|row| Some(row.golden.evidence.name())) },
];

const PARAMETERS: [Parameter; 6] = [
    parameter("by", ParameterKind::Text),
    parameter("from", ParameterKind::Time),
    parameter("to", ParameterKind::Time),
    parameter("step", ParameterKind::Duration),
    parameter("service", ParameterKind::Text),
    parameter("source", ParameterKind::Text),
];

pub(super) const GOLDEN: Function<Row> = Function {
    name: "golden",
    parameters: &PARAMETERS,
    columns: COLUMNS,
    answer: |query, arguments| Box::pin(async move { answer(&query, &arguments).await }),
};

async fn answer(query: &Query, given: &Arguments) -> Result<Vec<Row>, QueryError> {
    let by = GoldenBy::named(given.text("by")).map_err(|error| QueryError::Invalid(error.to_string()))?;
    let source = source(given)?;
    let range = range(query, given, given.duration("step"))?;
    let service = given.text("service");
    let picture = load_from(query, by.question(range, source), by.frame(service)).await.map_err(failed)?;
    let rows = golden(&picture, by, service).into_iter();
    Ok(rows.map(|golden| Row { time: golden.time.unwrap_or(picture.range.from()), by, golden }).collect())
}
