//! Why a query has no answer, by whose fault.

use std::time::Duration;

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use meshlake_store::snapshot::ReadError;
use thiserror::Error;

/// Why a query has no answer, or its stream ended early.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QueryError {
    /// The sender's fault: the statement does not parse, does not fit the tables, or fails on its data.
    #[error("{0}")]
    Invalid(String),
    /// The sender's fault: the statement is not one that may be asked here.
    #[error("{0}")]
    Refused(String),
    /// The answer outgrew the row cap; the rows up to the cap came before this error.
    #[error("the answer has more than {0} rows: add a LIMIT or aggregate")]
    TooManyRows(usize),
    /// The answer outgrew the byte cap.
    #[error("the answer is larger than {0} bytes: select fewer columns or add a LIMIT")]
    TooManyBytes(usize),
    /// The query took too long; a narrower time range may help.
    #[error("the query took longer than {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The query needs more memory or spill space than there is; a narrower one may help.
    #[error("the query needs more memory than it may use: {0}")]
    Memory(String),
    /// Too many queries are waiting; trying again later helps.
    #[error("too many queries are waiting")]
    Busy,
    /// The store has no snapshot to give; trying again may help.
    #[error(transparent)]
    Snapshot(#[from] ReadError),
    /// The disk or object store failed under a scan; trying again may help.
    #[error("read stored data: {0}")]
    Storage(String),
    /// Ours: a bug.
    #[error("internal error: {0}")]
    Internal(String),
}

/// Whose fault it is that there is no answer, which decides what a face says and whether asking again can
/// help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Of whoever asked: the same question fails again.
    Asker,
    /// Nobody's: there is too much to do now, or the question is too large for what is free. Later it may
    /// pass.
    Busy,
    /// Ours: a bug.
    Ours,
}

impl QueryError {
    pub fn fault(&self) -> Fault {
        match self {
            QueryError::Invalid(_)
            | QueryError::Refused(_)
            | QueryError::TooManyRows(_)
            | QueryError::TooManyBytes(_) => Fault::Asker,
            QueryError::TimedOut(_)
            | QueryError::Memory(_)
            | QueryError::Busy
            | QueryError::Snapshot(_)
            | QueryError::Storage(_) => Fault::Busy,
            QueryError::Internal(_) => Fault::Ours,
        }
    }

    /// What may be told to whoever asked: of the disk and of bugs nothing that names a path or an address.
    /// The whole of it belongs into the log.
    pub fn told(&self) -> String {
        match self {
            QueryError::Snapshot(_) => "the store has no snapshot to give".to_owned(),
            QueryError::Storage(_) => "stored data could not be read".to_owned(),
            QueryError::Internal(_) => "the server failed; its log says more".to_owned(),
            told => told.to_string(),
        }
    }
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        classify(&error)
    }
}

impl From<QueryError> for DataFusionError {
    fn from(error: QueryError) -> Self {
        DataFusionError::External(Box::new(error))
    }
}

/// How DataFusion's disk manager words its limit; it has no kind of its own and comes as an I/O error.
const SPILL_LIMIT_WORDS: &str = "used disk space during the spilling process";

/// How it words that a function does not take what it was given, and that a join had no room to begin with.
const SIGNATURE_WORDS: &str = "failed to match any signature";
const NOTHING_TO_SPILL_WORDS: &str = "Left side produced no data to spill";

/// What it adds to each error that it calls its own, when that is quoted in another.
const BUG_WORDS: &str = "\nThis issue was likely caused by a bug in DataFusion's code. Please help us to resolve this by \
                         filing a bug report in our issue tracker: https://github.com/apache/datafusion/issues";

/// How the errors of a pattern begin, of the crate regex and of its parser alike; they come as errors of no
/// kind.
const PATTERN_WORDS: &str = "regex parse error";

/// How arrow words the same where the pattern is a column; DataFusion calls that its own.
const COLUMN_PATTERN_WORDS: &str = "Regular expression did not compile";

/// Strips what DataFusion wraps around an error and says whose fault the rest is.
fn classify(error: &DataFusionError) -> QueryError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => classify(inner),
        DataFusionError::Shared(inner) => classify(inner),
        DataFusionError::Collection(errors) => {
            errors.first().map_or_else(|| QueryError::Internal("no error given".to_owned()), classify)
        }
        DataFusionError::External(inner) => match inner.downcast_ref::<QueryError>() {
            Some(error) => error.clone(),
            None => inner
                .downcast_ref::<DataFusionError>()
                .map_or_else(|| classify_unknown(inner.to_string()), classify),
        },
        DataFusionError::ResourcesExhausted(message) => QueryError::Memory(message.clone()),
        DataFusionError::ArrowError(inner, _) => classify_arrow(inner),
        DataFusionError::IoError(inner) => failed_io(inner.to_string()),
        DataFusionError::ObjectStore(inner) => failed_io(inner.to_string()),
        DataFusionError::ParquetError(inner) => failed_io(inner.to_string()),
        DataFusionError::SQL(parser, _) => QueryError::Invalid(format!("SQL does not parse: {parser}")),
        DataFusionError::Plan(message)
        | DataFusionError::NotImplemented(message)
        | DataFusionError::Execution(message)
        | DataFusionError::Configuration(message) => QueryError::Invalid(message.replace(BUG_WORDS, "")),
        DataFusionError::SchemaError(schema, _) => QueryError::Invalid(schema.to_string()),
        DataFusionError::Internal(message) => classify_internal(message),
        other => QueryError::Internal(other.to_string()),
    }
}

/// DataFusion calls some errors its own that are none: a function called with types that it does not take,
/// and the left side of a join that found no memory before its first rows.
fn classify_internal(message: &str) -> QueryError {
    if message.contains(SIGNATURE_WORDS) || message.contains(COLUMN_PATTERN_WORDS) {
        QueryError::Invalid(message.replace(BUG_WORDS, ""))
    } else if message.starts_with(NOTHING_TO_SPILL_WORDS) {
        QueryError::Memory(message.to_owned())
    } else {
        QueryError::Internal(message.to_owned())
    }
}

/// An error of a kind that DataFusion has not.
fn classify_unknown(message: String) -> QueryError {
    if message.starts_with(PATTERN_WORDS) {
        QueryError::Invalid(message)
    } else {
        QueryError::Internal(message)
    }
}

/// Arrow's errors while a query runs come from its expressions on its data (a cast, a division by zero),
/// except those of reading.
fn classify_arrow(error: &ArrowError) -> QueryError {
    match error {
        ArrowError::ExternalError(inner) => match inner.downcast_ref::<DataFusionError>() {
            Some(inner) => classify(inner),
            None => QueryError::Internal(inner.to_string()),
        },
        ArrowError::IoError(message, _)
        | ArrowError::ParquetError(message)
        | ArrowError::IpcError(message) => failed_io(message.clone()),
        other => QueryError::Invalid(other.to_string()),
    }
}

fn failed_io(message: String) -> QueryError {
    if message.contains(SPILL_LIMIT_WORDS) {
        QueryError::Memory("the space for spilled data is used up".to_owned())
    } else {
        QueryError::Storage(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fault_is_found_under_wrappers() {
        let timed_out = QueryError::TimedOut(Duration::from_secs(1));
        let wrapped = DataFusionError::Context(
            "while".to_owned(),
            Box::new(DataFusionError::ArrowError(
                Box::new(ArrowError::ExternalError(Box::new(DataFusionError::from(timed_out.clone())))),
                None,
            )),
        );
        assert_eq!(QueryError::from(wrapped), timed_out);
    }

    /// What is told of each variant, and by whose fault it is.
    #[test]
    fn every_error_has_a_fault_and_words_for_whoever_asked() {
        let text = || "/x".to_owned();
        let cases = [
            (QueryError::Invalid(text()), Fault::Asker, "/x"),
            (QueryError::Refused(text()), Fault::Asker, "/x"),
            (
                QueryError::TooManyRows(3),
                Fault::Asker,
                "the answer has more than 3 rows: add a LIMIT or aggregate",
            ),
            (
                QueryError::TooManyBytes(3),
                Fault::Asker,
                "the answer is larger than 3 bytes: select fewer columns or add a LIMIT",
            ),
            (QueryError::TimedOut(Duration::from_secs(3)), Fault::Busy, "the query took longer than 3 s"),
            (QueryError::Memory(text()), Fault::Busy, "the query needs more memory than it may use: /x"),
            (QueryError::Busy, Fault::Busy, "too many queries are waiting"),
            (QueryError::Snapshot(ReadError(text())), Fault::Busy, "the store has no snapshot to give"),
            (QueryError::Storage(text()), Fault::Busy, "stored data could not be read"),
            (QueryError::Internal(text()), Fault::Ours, "the server failed; its log says more"),
        ];
        for (error, fault, told) in cases {
            assert_eq!((error.fault(), error.told().as_str()), (fault, told), "{error:?}");
        }
    }

    #[test]
    fn what_the_engine_calls_its_own_and_is_not() {
        let internal = |message: &str| QueryError::from(DataFusionError::Internal(message.to_owned()));
        let told =
            internal(&format!("Function 'f' failed to match any signature{BUG_WORDS}. Candidates: f(Int64)"));
        let want = "Function 'f' failed to match any signature. Candidates: f(Int64)";
        assert_eq!(told, QueryError::Invalid(want.to_owned()));
        let pattern =
            "failed to call 'regex_match_dyn_scalar' Compute error: Regular expression did not compile: x";
        assert_eq!(internal(pattern), QueryError::Invalid(pattern.to_owned()));
        let message = "Left side produced no data to spill";
        assert_eq!(internal(message), QueryError::Memory(message.to_owned()));
        assert_eq!(internal("a bug"), QueryError::Internal("a bug".to_owned()));
    }

    #[test]
    fn a_division_by_zero_is_the_senders_fault() {
        let error = DataFusionError::ArrowError(Box::new(ArrowError::DivideByZero), None);
        assert!(matches!(QueryError::from(error), QueryError::Invalid(_)));
    }

    #[test]
    fn a_disk_error_is_not_the_senders_fault() {
        let error = DataFusionError::IoError(std::io::Error::other("broken"));
        assert_eq!(QueryError::from(error), QueryError::Storage("broken".to_owned()));
    }
}
