//! Why a query has no answer, in the four kinds that Prometheus's API tells apart.
//!
//! The kind decides the status of the answer and whether asking again can help; the text is what people read, and
//! is Prometheus's own wherever that is known, since dashboards and users search for it.

use meshlake_schema::Spent;
use thiserror::Error;

/// Where the evaluation was when it had to stop, as Prometheus names it.
const WHERE: &str = "expression evaluation";

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// The query or its range is wrong: the asker's fault, the same query fails again (`bad_data`, 400).
    #[error("{0}")]
    BadData(String),
    /// The query cannot be evaluated over these samples, or takes more than it may (`execution`, 422).
    #[error("{0}")]
    Execution(String),
    /// The time was up (`timeout`, 503); asking for less can help.
    #[error("query timed out in {0}")]
    Timeout(String),
    /// Who asked went away (`canceled`, 503).
    #[error("query was canceled in {0}")]
    Canceled(String),
    /// The samples could not be read (`internal`, 500): the world's fault.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    pub(crate) fn execution(text: impl Into<String>) -> Error {
        Error::Execution(text.into())
    }

    pub(crate) fn too_many_samples() -> Error {
        Error::Execution(format!("query processing would load too many samples into memory in {WHERE}"))
    }

    pub(crate) fn too_many_series() -> Error {
        Error::Execution(format!("query would load too many series into memory in {WHERE}"))
    }
}

impl From<Spent> for Error {
    fn from(spent: Spent) -> Error {
        match spent {
            Spent::Time => Error::Timeout(WHERE.to_owned()),
            Spent::Bytes { .. } => {
                Error::Execution(format!("query would need too much memory in {WHERE}: {spent}"))
            }
        }
    }
}
