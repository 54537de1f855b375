//! What a failed call of gRPC is answered with. The one place where errors of the query side become its codes.
//!
//! Clients go by the code: UNAVAILABLE may be tried again, the others not before something has changed.
//! Source: `grpc/grpc` doc/statuscodes.md.

use meshlake_query::QueryError;
use tonic::{Code, Status};

/// The status of `error`; what is ours or the disk's is logged whole and told without details.
pub fn failed(error: &QueryError) -> Status {
    let code = match error {
        QueryError::Invalid(_) | QueryError::Refused(_) => Code::InvalidArgument,
        QueryError::TooManyRows(_) | QueryError::TooManyBytes(_) => Code::OutOfRange,
        QueryError::TimedOut(_) => Code::DeadlineExceeded,
        QueryError::Memory(_) => Code::ResourceExhausted,
        QueryError::Busy | QueryError::Snapshot(_) | QueryError::Storage(_) => Code::Unavailable,
        QueryError::Internal(_) => Code::Internal,
    };
    if matches!(error, QueryError::Snapshot(_) | QueryError::Storage(_) | QueryError::Internal(_)) {
        tracing::warn!(%error, "answer a call");
    }
    Status::new(code, error.told())
}

/// The status of what cannot be encoded: a bug of ours.
pub fn unencodable(error: &dyn std::fmt::Display) -> Status {
    tracing::warn!(%error, "encode an answer");
    Status::internal("the server failed; its log says more")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn codes_say_whether_to_try_again_and_tell_no_path() {
        let secret = || "/var/lib/meshlake".to_owned();
        let cases = [
            (QueryError::Invalid("no column x".to_owned()), Code::InvalidArgument),
            (QueryError::Refused("not here".to_owned()), Code::InvalidArgument),
            (QueryError::TooManyRows(1), Code::OutOfRange),
            (QueryError::TooManyBytes(1), Code::OutOfRange),
            (QueryError::TimedOut(Duration::from_secs(1)), Code::DeadlineExceeded),
            (QueryError::Memory("sort".to_owned()), Code::ResourceExhausted),
            (QueryError::Busy, Code::Unavailable),
            (QueryError::Storage(secret()), Code::Unavailable),
            (QueryError::Internal(secret()), Code::Internal),
        ];
        for (error, code) in cases {
            let status = failed(&error);
            assert_eq!(status.code(), code, "{error:?}");
            assert!(!status.message().contains("/var"), "{status:?}");
        }
    }
}
