//! Why a question of Jaeger's cannot be answered, and the codes of HTTP and gRPC for it: the one place that chooses them.
//!
//! Jaeger answers 500 whatever its storage says. Here a client is told whether it may try again, as on every other face.

use axum::http::StatusCode;
use meshlake_query::QueryError;
use meshlake_query::calls::LoadError;
use meshlake_query::{promql, traceql};
use thiserror::Error;
use tonic::Status;

use crate::codes::status_of;
use crate::grpc::status::failed;

/// What Jaeger says where there is no such trace.
pub const NO_TRACE: &str = "trace not found";

/// A question without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// The question is wrong in itself.
    #[error("{0}")]
    Asker(String),
    #[error("{NO_TRACE}")]
    NoTrace,
    /// Only v3 says so; the others answer with none.
    #[error("No traces found")]
    NoTraces,
    #[error("{}", .0.told())]
    Query(QueryError),
    /// Of what Jaeger asks Prometheus for.
    #[error("{0}")]
    Metrics(promql::Error),
}

impl Failure {
    /// Of one parameter, in the form that v1 gives it.
    pub fn unparsed(parameter: &str, why: impl std::fmt::Display) -> Failure {
        Failure::Asker(format!("unable to parse param '{parameter}': {why}"))
    }

    pub fn http(&self) -> StatusCode {
        match self {
            Failure::Asker(_) => StatusCode::BAD_REQUEST,
            Failure::NoTrace | Failure::NoTraces => StatusCode::NOT_FOUND,
            Failure::Query(error) => status_of(error),
            Failure::Metrics(promql::Error::BadData(_) | promql::Error::Execution(_)) => {
                StatusCode::BAD_REQUEST
            }
            Failure::Metrics(promql::Error::Internal(_)) => StatusCode::INTERNAL_SERVER_ERROR,
            Failure::Metrics(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        Failure::Query(error)
    }
}

impl From<traceql::Error> for Failure {
    fn from(error: traceql::Error) -> Self {
        match error {
            traceql::Error::Query(error) => Failure::Query(error),
            error => Failure::Asker(error.told()),
        }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Query(error) => Failure::Query(error),
            LoadError::TooManyCells(error) => Failure::Asker(error.to_string()),
        }
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        match &failure {
            Failure::Asker(text) => Status::invalid_argument(text),
            Failure::NoTrace | Failure::NoTraces => Status::not_found(failure.to_string()),
            Failure::Query(error) => failed(error),
            // No method asks for them.
            Failure::Metrics(error) => Status::internal(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn codes_say_whose_fault_it_is() {
        let cases = [
            (Failure::Asker("x".to_owned()), 400, Code::InvalidArgument),
            (Failure::NoTrace, 404, Code::NotFound),
            (Failure::NoTraces, 404, Code::NotFound),
            (Failure::Query(QueryError::Busy), 503, Code::Unavailable),
            (Failure::Query(QueryError::TooManyBytes(1)), 400, Code::OutOfRange),
            (Failure::Query(QueryError::Internal("/var/lib".to_owned())), 500, Code::Internal),
        ];
        for (failure, http, grpc) in cases {
            let status = Status::from(failure.clone());
            assert_eq!((failure.http().as_u16(), status.code()), (http, grpc), "{failure:?}");
            assert!(!failure.to_string().contains("/var") && !status.message().contains("/var"));
        }
    }
}
