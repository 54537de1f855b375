//! Why a query has no answer: it is no query, its lines make no numbers, or its answer takes more than it may.
//!
//! The kind decides the status of an API's answer and whether asking again can help; a mistake says where it is, as
//! line and column counted from 1 in characters, so that an editor can point there.

use meshlake_schema::Spent;
use thiserror::Error;

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// The asker's fault; the same query fails again.
    #[error("parse error at line {line}, col {column}: {message}")]
    Invalid { line: usize, column: usize, message: String },
    /// A line of a metric query that a stage could not work on, and that no filter leaves out. The asker's to mend, in
    /// Loki's words.
    #[error(
        "pipeline error: '{kind}' for series: '{series}'.\nUse a label filter to intentionally skip this error. (e.g | \
         __error__!=\"{kind}\").\nTo skip all potential errors you can match empty errors.(e.g __error__=\"\")\nThe label \
         filter can also be specified after unwrap. (e.g | unwrap latency | __error__=\"\" )\n"
    )]
    Pipeline { kind: String, series: String },
    /// Vectors that do not go together.
    #[error("{0}")]
    Vectors(String),
    /// Asking for less can help.
    #[error("the query takes too much: {0}")]
    Spent(#[from] Spent),
    /// Grouping by less can help.
    #[error(
        "maximum number of series ({0}) reached for a single query; consider reducing query cardinality by adding more \
             specific stream selectors, reducing the time range, or aggregating results with functions like sum(), count() \
             or topk()"
    )]
    TooManySeries(usize),
    /// The range or step that was asked for makes no sense, whatever the query.
    #[error("{0}")]
    Range(String),
}

impl Error {
    pub(crate) fn at(text: &str, offset: usize, message: impl Into<String>) -> Error {
        let before = &text[..text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Error::Invalid {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_line_and_a_column_of_characters() {
        let check = |offset, line, column| {
            let message = "x".to_owned();
            assert_eq!(Error::at("ä{\nbc", offset, "x"), Error::Invalid { line, column, message });
        };
        check(0, 1, 1);
        check(2, 1, 2);
        check(4, 2, 1);
        check(99, 2, 3);
    }
}
