//! A regular expression that may match any part of a line, kept with its text.

use meshlake_schema::go_regex::part_regex;
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
    /// # Errors
    /// Text that says what is wrong with it, or that it is too large.
    pub fn new(text: String) -> Result<Expression, String> {
        let regex = part_regex(&text)?;
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
