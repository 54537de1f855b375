//! Why a text could not be read, and where.

use std::fmt;

use datafusion::sql::sqlparser::parser::ParserError;

use crate::error::QueryError;

/// Why a text could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misread {
    pub error: QueryError,
    /// Where in the text, in characters from 1.
    pub position: Option<usize>,
}

impl fmt::Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl From<QueryError> for Misread {
    fn from(error: QueryError) -> Self {
        Misread { error, position: None }
    }
}

/// What the parser says, and where: it tells places only in its text.
pub fn misread(text: &str, error: &ParserError) -> Misread {
    let told = error.to_string();
    let place = told.rsplit_once(" at Line: ").and_then(|(_, place)| place.split_once(", Column: "));
    let position = place
        .and_then(|(line, column)| position_of(text, line.trim().parse().ok()?, column.trim().parse().ok()?));
    Misread { error: QueryError::Invalid(format!("SQL does not parse: {told}")), position }
}

/// Characters from 1 up to a place that the tokenizer names by line and column, both from 1.
pub fn position_of(sql: &str, line: u64, column: u64) -> Option<usize> {
    let before = usize::try_from(line).ok()?.checked_sub(1)?;
    let lines_before: usize = sql.split_inclusive('\n').take(before).map(|line| line.chars().count()).sum();
    Some(lines_before + usize::try_from(column).ok()?)
}
