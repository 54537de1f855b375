//! Why a statement has no answer, as clients of PostgreSQL are told: a code of five characters that programs go by, and
//! words for people.
//!
//! This is the one place where errors become codes. Source: PostgreSQL 16, "PostgreSQL Error Codes".

use meshlake_query::QueryError;
use meshlake_query::postgres::Misread;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::ErrorResponse;

/// A failed statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub code: &'static str,
    pub message: String,
    /// Where in the text of the statement, in characters from 1.
    pub position: Option<usize>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The statement has failed.
    Error,
    /// The connection is over.
    Fatal,
}

pub const PROTOCOL_VIOLATION: &str = "08P01";
pub const FEATURE_NOT_SUPPORTED: &str = "0A000";
pub const INVALID_PARAMETER_VALUE: &str = "22023";
pub const ACTIVE_TRANSACTION: &str = "25001";
pub const NO_ACTIVE_TRANSACTION: &str = "25P01";
pub const FAILED_TRANSACTION: &str = "25P02";
pub const READ_ONLY: &str = "25006";
pub const NO_SUCH_STATEMENT: &str = "26000";
pub const NO_SUCH_CURSOR: &str = "34000";
pub const NO_SUCH_DATABASE: &str = "3D000";
pub const DUPLICATE_CURSOR: &str = "42P03";
pub const DUPLICATE_STATEMENT: &str = "42P05";
pub const NO_SUCH_SETTING: &str = "42704";
pub const READ_ONLY_SETTING: &str = "55P02";
pub const TOO_MANY: &str = "54000";
pub const QUERY_CANCELED: &str = "57014";
pub const SHUTTING_DOWN: &str = "57P01";

impl Failure {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Failure { code, message: message.into(), position: None }
    }

    pub fn canceled() -> Self {
        Failure::new(QUERY_CANCELED, "canceling statement due to user request")
    }

    /// The message that tells it.
    pub fn response(&self, severity: Severity) -> PgWireBackendMessage {
        let severity = match severity {
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
        };
        let mut fields = vec![
            (b'S', severity.to_owned()),
            (b'V', severity.to_owned()),
            (b'C', self.code.to_owned()),
            (b'M', self.message.clone()),
        ];
        fields.extend(self.position.map(|position| (b'P', position.to_string())));
        PgWireBackendMessage::ErrorResponse(ErrorResponse::new(fields))
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let code = match &error {
            QueryError::Invalid(message) => code_of_invalid(message),
            QueryError::Refused(message) if message.starts_with("read-only") => READ_ONLY,
            QueryError::Refused(_) => FEATURE_NOT_SUPPORTED,
            QueryError::TooManyRows(_) | QueryError::TooManyBytes(_) => TOO_MANY,
            QueryError::TimedOut(_) => QUERY_CANCELED,
            QueryError::Memory(_) => "53200",
            QueryError::Busy => "53300",
            QueryError::Snapshot(_) => "57P03",
            QueryError::Storage(_) => "58030",
            QueryError::Internal(_) => "XX000",
        };
        if matches!(error, QueryError::Snapshot(_) | QueryError::Storage(_) | QueryError::Internal(_)) {
            tracing::warn!(code, %error, "answer query");
        }
        Failure::new(code, error.told())
    }
}

impl From<Misread> for Failure {
    fn from(misread: Misread) -> Self {
        Failure { position: misread.position, ..Failure::from(misread.error) }
    }
}

/// The engine has one kind of error for whatever is wrong with a statement; programs ask for the kinds of PostgreSQL,
/// above all to learn that a table or a column is not there.
fn code_of_invalid(message: &str) -> &'static str {
    const WORDS: [(&str, &str); 10] = [
        ("SQL does not parse", "42601"),
        ("No field named", "42703"),
        ("Schema error: No field named", "42703"),
        ("Invalid function", "42883"),
        ("Ambiguous reference", "42702"),
        ("Divide by zero", "22012"),
        ("Cast error", "22P02"),
        ("Parser error", "22P02"),
        ("parameter $", "22P02"),
        ("unrecognized configuration parameter", "42704"),
    ];
    if message.starts_with("table '") || message.starts_with("relation \"") {
        return "42P01";
    }
    let found = WORDS.iter().find(|(words, _)| message.starts_with(words));
    found.map_or("42000", |(_, code)| code)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use meshlake_query::Fault;

    use super::*;

    /// Whoever retries goes by the class: 53, 57 and 58 are the server's state, XX our bugs, the rest the asker's.
    #[test]
    fn codes_say_whose_fault_it_is() {
        let text = |text: &str| text.to_owned();
        let cases = [
            (QueryError::Invalid(text("SQL does not parse: x")), "42601"),
            (QueryError::Invalid(text("table 'meshlake.public.x' not found")), "42P01"),
            (QueryError::Invalid(text("No field named x.")), "42703"),
            (QueryError::Invalid(text("anything")), "42000"),
            (QueryError::Refused(text("read-only: only SELECT")), "25006"),
            (QueryError::Refused(text("too deep")), "0A000"),
            (QueryError::TooManyRows(1), "54000"),
            (QueryError::TimedOut(Duration::from_secs(1)), "57014"),
            (QueryError::Memory(text("sort")), "53200"),
            (QueryError::Busy, "53300"),
            (QueryError::Storage(text("/var/lib")), "58030"),
            (QueryError::Internal(text("/var/lib")), "XX000"),
        ];
        for (error, code) in cases {
            let failure = Failure::from(error.clone());
            assert_eq!(failure.code, code, "{error:?}");
            assert!(!failure.message.contains("/var"), "{}", failure.message);
            let told = match &code[..2] {
                "53" | "57" | "58" => Fault::Busy,
                "XX" => Fault::Ours,
                _ => Fault::Asker,
            };
            assert_eq!(error.fault(), told, "{error:?}");
        }
    }
}
