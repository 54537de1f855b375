//! Why a question about lines has no answer.

use meshlake_engine::QueryError;
use meshlake_logql::Error;
use meshlake_schema::Spent;
use thiserror::Error as ThisError;

/// Of the query, or of reading rows for it.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum LogsError {
    #[error(transparent)]
    Query(#[from] Error),
    #[error(transparent)]
    Read(#[from] QueryError),
}

impl From<Spent> for LogsError {
    fn from(spent: Spent) -> Self {
        LogsError::Query(Error::Spent(spent))
    }
}
