//! A regular expression that may match any part of a line, kept with its text.

use meshlake_schema::budget::Holding;
use meshlake_schema::go_regex::{Unfit, part_regex_within};
use regex::Regex;

/// Equal to another of the same text.
#[derive(Debug, Clone)]
pub struct Expression {
    text: String,
    regex: Regex,
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Expression {
    /// Within a budget; what it takes is added to `held`.
    ///
    /// # Errors
    /// What is wrong with it, or that there is no memory for it.
    pub fn within(text: String, held: &mut Holding<'_>) -> Result<Expression, Unfit> {
        let regex = part_regex_within(&text, held)?;
        Ok(Expression { text, regex })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn regex(&self) -> &Regex {
        &self.regex
    }

    /// The names of its groups that have one, in their order.
    pub fn group_names(&self) -> impl Iterator<Item = &str> {
        self.regex.capture_names().flatten()
    }
}
