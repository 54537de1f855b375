//! `jaeger.api_v2.QueryService`: spans of Jaeger's own model, in chunks.

use axum::Router;
use futures::stream::{self, StreamExt as _};
use tonic::Status;

use super::messages::{
    Dependency, FindTracesRequest, GetDependenciesRequest, GetDependenciesResponse, GetOperationsRequest,
    GetServicesRequest, GetServicesResponse, GetTraceRequest, NamedOperations, Operation, SpansResponseChunk,
};
use super::{dependencies, question};
use crate::FaceState;
use crate::grpc::{Call, Messages, streaming, unary};
use crate::jaeger::asking::{self, WholeTrace, kind_of};
use crate::jaeger::failure::Failure;
use crate::jaeger::ids;
use crate::jaeger::model::Span;
use crate::jaeger::translate::translated;

pub const SERVICE: &str = "jaeger.api_v2.QueryService";

/// Spans of a message, as Jaeger sends them; a span may have megabytes, and clients take 4 MiB by default.
const CHUNK_SPANS: usize = 10;

pub fn router() -> Router<FaceState> {
    let method = |name: &str| format!("/{SERVICE}/{name}");
    Router::new()
        .route(&method("GetTrace"), streaming(trace))
        .route(&method("FindTraces"), streaming(traces))
        .route(&method("GetServices"), unary(services))
        .route(&method("GetOperations"), unary(operations))
        .route(&method("GetDependencies"), unary(calls))
}

async fn trace(call: Call<GetTraceRequest>) -> Result<Messages<SpansResponseChunk>, Status> {
    let trace_id = ids::of_bytes(&call.message.trace_id)?;
    let trace = asking::trace_of(&call.state, &call.tenant, &trace_id, call.message.raw_traces).await?;
    Ok(stream::iter(chunks(trace)).boxed())
}

async fn traces(call: Call<FindTracesRequest>) -> Result<Messages<SpansResponseChunk>, Status> {
    let question = question(call.message.query, call.state.engine.clock().now())?;
    let traces = asking::traces_of(&call.state, &call.tenant, &question).await?;
    let chunks = traces.flat_map(|trace| {
        let chunks = match trace {
            Ok(trace) => chunks(trace),
            Err(failure) => vec![Err(failure.into())],
        };
        stream::iter(chunks)
    });
    Ok(chunks.boxed())
}

/// What is told of the trace as a whole is told of its first span: a chunk has no other place for it.
fn chunks(trace: WholeTrace) -> Vec<Result<SpansResponseChunk, Status>> {
    let WholeTrace { spans, warnings } = trace;
    let mut spans: Vec<Span> = translated(spans);
    if let Some(first) = spans.first_mut() {
        first.warnings.extend(warnings);
    }
    spans.chunks(CHUNK_SPANS).map(|spans| Ok(SpansResponseChunk { spans: spans.to_vec() })).collect()
}

async fn services(call: Call<GetServicesRequest>) -> Result<GetServicesResponse, Status> {
    let services = asking::services(&call.state, &call.tenant).await?;
    Ok(GetServicesResponse { services })
}

async fn operations(call: Call<GetOperationsRequest>) -> Result<NamedOperations, Status> {
    let GetOperationsRequest { service, span_kind } = call.message;
    let kind = Some(span_kind.as_str()).filter(|kind| !kind.is_empty());
    let found = asking::operations_of(&call.state, &call.tenant, &service, kind).await?;
    let mut operation_names: Vec<String> = found.iter().map(|operation| operation.name.clone()).collect();
    operation_names.dedup();
    let operations = found.into_iter().map(|operation| {
        let span_kind = kind_of(&operation).to_owned();
        Operation { name: operation.name, span_kind }
    });
    Ok(NamedOperations { operation_names, operations: operations.collect() })
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
