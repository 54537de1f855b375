//! `tempopb.StreamingQuerier`: what Grafana asks when its streaming is on, at the address that it asks over HTTP.
//!
//! An answer is a stream of one message, the whole: Tempo's last message is that too, and what came before it is progress.

use axum::Router;
use futures::{StreamExt as _, stream};
use meshlake_query::traceql_language::tree;
use tonic::Status;

use super::error::status_of;
use super::messages::{
    QueryInstantRequest, QueryInstantResponse, QueryRangeRequest, QueryRangeResponse, SearchRequest,
    SearchResponse, SearchTagValuesRequest, SearchTagValuesResponse, SearchTagValuesV2Response,
    SearchTagsRequest, SearchTagsResponse, SearchTagsV2Response,
};
use super::metrics::{Failure, of_instant, of_range, with_exemplars};
use super::parameters::query;
use super::search::{found, of_message, response};
use super::tags::{Asked, all_names, kept_values, plain_values, scoped_names};
use crate::FaceState;
use crate::grpc::{Call, Messages, streaming};

pub const SERVICE: &str = "tempopb.StreamingQuerier";

/// The methods of the service.
pub fn router() -> Router<FaceState> {
    let path = |method: &str| format!("/{SERVICE}/{method}");
    Router::new()
        .route(&path("Search"), streaming(search))
        .route(&path("SearchTags"), streaming(tags))
        .route(&path("SearchTagsV2"), streaming(tags_by_scope))
        .route(&path("SearchTagValues"), streaming(tag_values))
        .route(&path("SearchTagValuesV2"), streaming(typed_tag_values))
        .route(&path("MetricsQueryRange"), streaming(query_range))
        .route(&path("MetricsQueryInstant"), streaming(query_instant))
}

/// A whole answer as a stream.
fn one<A: Send + 'static>(message: A) -> Messages<A> {
    stream::iter([Ok(message)]).boxed()
}

async fn search(call: Call<SearchRequest>) -> Result<Messages<SearchResponse>, Status> {
    let asked = of_message(&call.message).await?;
    let found = found(&call.state, &call.tenant, &asked).await.map_err(|error| status_of(&error))?;
    Ok(one(response(found)))
}

fn of_names(call: &Call<SearchTagsRequest>) -> Result<Asked, Status> {
    let message = &call.message;
    Ok(Asked {
        tenant: call.tenant.clone(),
        scope: message.scope.clone(),
        query: message.query.clone(),
        range: Asked::between(message.start, message.end)?,
        limit: message.max_tags_per_scope,
    })
}

async fn tags(call: Call<SearchTagsRequest>) -> Result<Messages<SearchTagsResponse>, Status> {
    let names = all_names(&call.state, &of_names(&call)?).await?;
    Ok(one(SearchTagsResponse { tag_names: names.items.into_iter().collect() }))
}

async fn tags_by_scope(call: Call<SearchTagsRequest>) -> Result<Messages<SearchTagsV2Response>, Status> {
    let scopes = scoped_names(&call.state, &of_names(&call)?).await?;
    Ok(one(SearchTagsV2Response { scopes: scopes.items }))
}

fn of_values(call: &Call<SearchTagValuesRequest>) -> Result<Asked, Status> {
    let message = &call.message;
    Ok(Asked {
        tenant: call.tenant.clone(),
        scope: String::new(),
        query: message.query.clone(),
        range: Asked::between(message.start, message.end)?,
        limit: message.max_tag_values,
    })
}

async fn tag_values(call: Call<SearchTagValuesRequest>) -> Result<Messages<SearchTagValuesResponse>, Status> {
    let asked = of_values(&call)?;
    let values = plain_values(&call.state, &asked, &call.message.tag_name).await?;
    Ok(one(SearchTagValuesResponse { tag_values: values.items }))
}

async fn typed_tag_values(
    call: Call<SearchTagValuesRequest>,
) -> Result<Messages<SearchTagValuesV2Response>, Status> {
    let asked = of_values(&call)?;
    let values = kept_values(&call.state, &asked, &call.message.tag_name).await?;
    Ok(one(SearchTagValuesV2Response { tag_values: values.items }))
}

async fn query_range(call: Call<QueryRangeRequest>) -> Result<Messages<QueryRangeResponse>, Status> {
    let Call { state, tenant, message, .. } = call;
    let tree: tree::Query = with_exemplars(query(message.query).await?, message.exemplars);
    let times = [signed(message.start)?, signed(message.end)?, signed(message.step)?];
    Ok(one(of_range(&state, &tenant, &tree, times).await.map_err(failed)?))
}

async fn query_instant(call: Call<QueryInstantRequest>) -> Result<Messages<QueryInstantResponse>, Status> {
    let Call { state, tenant, message, .. } = call;
    let tree = query(message.query).await?;
    let times = [signed(message.start)?, signed(message.end)?];
    Ok(one(of_instant(&state, &tenant, &tree, times).await.map_err(failed)?))
}

fn failed(failure: Failure) -> Status {
    match failure {
        Failure::Asked(error) => Status::invalid_argument(error.to_string()),
        Failure::Answered(error) => status_of(&error),
    }
}

fn signed(nanos: u64) -> Result<i64, Status> {
    i64::try_from(nanos).map_err(|_| Status::invalid_argument("the range reaches beyond all times"))
}
