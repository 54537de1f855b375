//! A regular expression that has to match a whole value, kept with its text.
//!
//! It is compiled once, when a query is read: a mistake in it is told with its place, and an answer does not wait for it.

use meshlake_schema::budget::Holding;
use meshlake_schema::go_regex::{Unfit, whole_value_regex_within};
use regex::Regex;

/// Equal to another of the same text.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Pattern {
    /// Within a budget; what it takes is added to `held`.
    ///
    /// # Errors
    /// What is wrong with it, or that there is no memory for it.
    pub fn within(text: String, held: &mut Holding<'_>) -> Result<Pattern, Unfit> {
        let regex = whole_value_regex_within(&text, held)?;
        Ok(Pattern { text, regex })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn is_match(&self, value: &str) -> bool {
        self.regex.is_match(value)
    }
}
