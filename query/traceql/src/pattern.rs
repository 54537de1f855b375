//! A regular expression that has to match a whole value, kept with its text.
//!
//! It is compiled once, when a query is read: a mistake in it is told with its place, and an answer does not wait for it.

use meshlake_schema::go_regex::whole_value_regex;
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
    /// # Errors
    /// Text that says what is wrong with it, or that it is too large.
    pub fn new(text: String) -> Result<Pattern, String> {
        let regex = whole_value_regex(&text)?;
        Ok(Pattern { text, regex })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn is_match(&self, value: &str) -> bool {
        self.regex.is_match(value)
    }
}
