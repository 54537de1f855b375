//! `jaeger.api_v3.QueryService`: spans as OTLP has them, a message a trace.

use axum::Router;
use futures::stream::{self, StreamExt as _};
use opentelemetry_proto::tonic::trace::v1::TracesData;
use tonic::Status;

use super::messages::{
    Dependency, FindTraceSummariesResponse, FindTracesRequest, GetDependenciesRequest,
    GetDependenciesResponse, GetOperationsRequest, GetServicesRequest, GetServicesResponse, GetTraceRequest,
    Operation, Operations, ServiceSummary, TraceSummary,
};
use super::{dependencies, question};
use crate::FaceState;
use crate::grpc::{Call, Messages, streaming, unary};
use crate::jaeger::asking::{self, kind_of};
use crate::jaeger::failure::Failure;
use crate::jaeger::ids;
use crate::jaeger::summary::Summary;
use crate::jaeger::v3::NO_KIND;

pub const SERVICE: &str = "jaeger.api_v3.QueryService";

pub fn router() -> Router<FaceState> {
    let method = |name: &str| format!("/{SERVICE}/{name}");
    Router::new()
        .route(&method("GetTrace"), streaming(trace))
        .route(&method("FindTraces"), streaming(traces))
        .route(&method("FindTraceSummaries"), streaming(summaries))
        .route(&method("GetServices"), unary(services))
        .route(&method("GetOperations"), unary(operations))
        .route(&method("GetDependencies"), unary(calls))
}

async fn trace(call: Call<GetTraceRequest>) -> Result<Messages<TracesData>, Status> {
    let asked = String::from_utf8_lossy(&call.message.trace_id);
    let trace_id = ids::of_hex_or_base64(&asked)?;
    let trace = asking::trace_of(&call.state, &call.tenant, &trace_id, call.message.raw_traces).await?;
    Ok(stream::iter([Ok(TracesData { resource_spans: trace.spans })]).boxed())
}

async fn traces(call: Call<FindTracesRequest>) -> Result<Messages<TracesData>, Status> {
    let question = question(call.message.query, call.state.engine.clock().now())?;
    let traces = asking::traces_of(&call.state, &call.tenant, &question).await?;
    let message = |trace: asking::WholeTrace| TracesData { resource_spans: trace.spans };
    Ok(traces.map(move |trace| trace.map(message).map_err(Status::from)).boxed())
}

async fn summaries(call: Call<FindTracesRequest>) -> Result<Messages<FindTraceSummariesResponse>, Status> {
    let question = question(call.message.query, call.state.engine.clock().now())?;
    let traces = asking::traces_of(&call.state, &call.tenant, &question).await?;
    let message = |trace: asking::WholeTrace| FindTraceSummariesResponse {
        summaries: vec![summary(Summary::of(&trace.spans))],
    };
    Ok(traces.map(move |trace| trace.map(message).map_err(Status::from)).boxed())
}

fn summary(summary: Summary) -> TraceSummary {
    let service =
        |(name, (span_count, error_span_count))| ServiceSummary { name, span_count, error_span_count };
    TraceSummary {
        trace_id: summary.trace_id,
        root_service_name: summary.root_service,
        root_operation_name: summary.root_operation,
        min_start_time_unix_nano: summary.start,
        max_end_time_unix_nano: summary.end,
        span_count: summary.spans,
        error_span_count: summary.errors,
        orphan_span_count: summary.orphans,
        services: summary.services.into_iter().map(service).collect(),
    }
}

async fn services(call: Call<GetServicesRequest>) -> Result<GetServicesResponse, Status> {
    let services = asking::services(&call.state, &call.tenant).await?;
    Ok(GetServicesResponse { services })
}

async fn operations(call: Call<GetOperationsRequest>) -> Result<Operations, Status> {
    let GetOperationsRequest { service, span_kind } = call.message;
    let kind = Some(span_kind.as_str()).filter(|kind| !kind.is_empty());
    let found = asking::operations_of(&call.state, &call.tenant, &service, kind).await?;
    let operations = found.into_iter().map(|operation| {
        let kind = Some(kind_of(&operation)).filter(|kind| !kind.is_empty()).unwrap_or(NO_KIND);
        Operation { span_kind: kind.to_owned(), name: operation.name }
    });
    Ok(Operations { operations: operations.collect() })
}

async fn calls(call: Call<GetDependenciesRequest>) -> Result<GetDependenciesResponse, Status> {
    let GetDependenciesRequest { start_time, end_time } = call.message;
    let found = dependencies(&call.state, &call.tenant, start_time, end_time).await;
    let dependencies = found
        .map_err(|failure: Failure| Status::from(failure))?
        .into_iter()
        .map(|found| Dependency { parent: found.parent, child: found.child, call_count: found.calls });
    Ok(GetDependenciesResponse { dependencies: dependencies.collect() })
}
