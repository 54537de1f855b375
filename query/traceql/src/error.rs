//! Why a query has no answer: it is no query, or its answer takes more than it may.
//!
//! The kind decides the status of an API's answer and whether asking again can help; a mistake says where it is, as
//! line and column counted from 1 in characters, so that an editor can point there.

use meshlake_schema::Spent;
use thiserror::Error;

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// The asker's fault; the same query fails again.
    #[error("{line}:{column}: {message}")]
    Invalid { line: usize, column: usize, message: String },
    /// Asking for less can help.
    #[error("the query takes too much: {0}")]
    Spent(#[from] Spent),
    /// Grouping by less can help.
    #[error("the query makes more than {0} series")]
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
        let check = |offset, want: &str| assert_eq!(Error::at("ä{\nbc", offset, "x").to_string(), want);
        check(0, "1:1: x");
        check(2, "1:2: x");
        check(4, "2:1: x");
        check(99, "2:3: x");
    }
}
