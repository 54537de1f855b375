//! Why a question of TraceQL has no answer.

use meshlake_engine::{Fault, Query, QueryError};
use meshlake_schema::rows::RowsError;
use thiserror::Error;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Of the language: the asker's fault.
    #[error("{0}")]
    Language(meshlake_traceql::Error),
    /// Series are asked for where spans are, or the other way around.
    #[error("{0}")]
    OtherKind(&'static str),
}

impl Error {
    /// What was spent is the query's time and memory.
    pub(super) fn of(error: meshlake_traceql::Error, query: &Query) -> Error {
        match error {
            meshlake_traceql::Error::Spent(spent) => query.stopped(spent).into(),
            error => Error::Language(error),
        }
    }

    pub fn fault(&self) -> Fault {
        match self {
            Error::Query(error) => error.fault(),
            Error::Language(_) | Error::OtherKind(_) => Fault::Asker,
        }
    }

    /// See [`QueryError::told`].
    pub fn told(&self) -> String {
        match self {
            Error::Query(error) => error.told(),
            error => error.to_string(),
        }
    }
}

/// A column that is not what it should be: a bug of ours.
pub(super) fn of_rows(error: &RowsError) -> QueryError {
    QueryError::Internal(format!("read spans: {error}"))
}
