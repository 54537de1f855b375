//! `GET /api/v1/golden?by=&service=&from=&to=&step=&source=`: golden metrics, see `meshlake_query::golden`.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::{Deserialize, Serialize};

use super::{FiguresJson, Number, parameters, range, source, unknown_parameters};
use crate::FaceState;
use crate::native::{ApiError, Tenant, TimeRange};
use meshlake_query::GoldenBy;
use meshlake_query::calls::load;
use meshlake_query::golden::{GoldenRow, Subject, golden, unknown_service, untold};
use meshlake_schema::UnixNanos;

const PARAMETERS: [&str; 6] = ["by", "service", "from", "to", "step", "source"];

#[derive(Deserialize)]
struct Given {
    by: Option<String>,
    service: Option<String>,
    step: Option<String>,
    source: Option<String>,
}

/// The answer. Rows are sorted by name, then operation or instance, then time.
#[derive(Serialize)]
pub struct GoldenJson {
    from: String,
    to: String,
    /// The part of the range that rates are over; see `meshlake_calls::range`.
    observed_from: String,
    observed_to: String,
    /// Seconds; null when the range is one bucket.
    step: Option<u64>,
    by: String,
    source: &'static str,
    rows: Vec<RowJson>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct RowJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(flatten)]
    subject: SubjectJson,
    #[serde(flatten)]
    figures: FiguresJson,
    /// What the row was counted from.
    source: &'static str,
    #[serde(flatten)]
    edge: Option<EdgeJson>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum SubjectJson {
    Node {
        /// The node's id in the graph.
        id: String,
        service: String,
        namespace: Option<String>,
        kind: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<Option<String>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        operation: Option<Option<String>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        instance: Option<Option<String>>,
    },
    /// Ids of nodes.
    Edge {
        client: String,
        server: String,
    },
    Namespace {
        namespace: Option<String>,
    },
    Cluster {
        cluster: Option<String>,
    },
    Attribute {
        attribute: String,
        value: Option<String>,
    },
}

#[derive(Serialize)]
struct EdgeJson {
    client_requests: Number,
    server_requests: Number,
    retries: Number,
    refused: Number,
}

/// Answers the request.
pub async fn answer(
    State(state): State<FaceState>,
    Tenant(tenant): Tenant,
    asked: TimeRange,
    uri: Uri,
) -> Result<Json<GoldenJson>, ApiError> {
    let given: Given = parameters(&uri)?;
    let by = GoldenBy::named(given.by.as_deref());
    let by = by.map_err(|error| ApiError::bad_request(error.to_string()))?;
    let source = source(given.source.as_deref())?;
    let range = range(asked, given.step.as_deref())?;
    let service = given.service.as_deref().filter(|service| !service.is_empty());
    let picture = load(&state.engine, &tenant, by.question(range, source), by.frame(service)).await?;
    let rows = golden(&picture, by, service).into_iter().map(|row| row_json(row, by)).collect();
    let unknown = [
        unknown_service(&picture, service),
        untold(&picture, by, service),
        unknown_parameters(&uri, &PARAMETERS),
    ];
    Ok(Json(GoldenJson {
        from: picture.range.from().to_rfc3339(),
        to: picture.range.to().to_rfc3339(),
        observed_from: picture.range.observed_from().to_rfc3339(),
        observed_to: picture.range.observed_to().to_rfc3339(),
        step: picture.range.step().map(|step| step.as_secs()),
        by: by.to_string(),
        source: source.name(),
        rows,
        warnings: picture.warnings.into_iter().chain(unknown.into_iter().flatten()).collect(),
    }))
}

fn row_json(row: GoldenRow, by: GoldenBy) -> RowJson {
    let subject = match row.subject {
        Subject::Edge { client, server } => SubjectJson::Edge { client: client.id, server: server.id },
        Subject::Group(group) => match by {
            GoldenBy::Attribute(key) => {
                SubjectJson::Attribute { attribute: key.text().to_owned(), value: group }
            }
            GoldenBy::Cluster => SubjectJson::Cluster { cluster: group },
            _ => SubjectJson::Namespace { namespace: group },
        },
        Subject::Node { node, detail } => SubjectJson::Node {
            id: node.id,
            service: node.name,
            namespace: node.namespace,
            kind: node.kind.name(),
            version: (by == GoldenBy::Version).then_some(node.version),
            operation: (by == GoldenBy::Operation).then(|| detail.clone()),
            instance: (by == GoldenBy::Instance).then_some(detail),
        },
    };
    RowJson {
        time: row.time.map(UnixNanos::to_rfc3339),
        subject,
        figures: FiguresJson::from(&row.figures),
        source: row.evidence.name(),
        edge: row.edge.map(|edge| EdgeJson {
            client_requests: Number(edge.client_requests),
            server_requests: Number(edge.server_requests),
            retries: Number(edge.retries),
            refused: Number(edge.refused),
        }),
    }
}
