//! Matchers of label values. Expressions are read by `schema`, as all of Go's languages have them.

use std::fmt;

use meshlake_schema::budget::{Allowance, Holding};
use meshlake_schema::go_regex::{Unfit, whole_value_regex_within};
use regex::Regex;

use crate::labels::is_plain_name;
use crate::text;

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    Equal,
    NotEqual,
    /// The whole value matches a regular expression.
    Regex,
    NotRegex,
}

impl Comparison {
    pub fn symbol(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::NotEqual => "!=",
            Comparison::Regex => "=~",
            Comparison::NotRegex => "!~",
        }
    }
}

/// One condition on one label. A label that a series does not have counts as an empty value.
#[derive(Debug, Clone)]
pub struct Matcher {
    pub name: String,
    pub comparison: Comparison,
    /// The value, or the regular expression as it was written.
    pub value: String,
    regex: Option<Regex>,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.comparison, &self.value) == (&other.name, other.comparison, &other.value)
    }
}

impl Matcher {
    /// Whatever its expression takes.
    ///
    /// # Errors
    /// Text that says what is wrong with the regular expression, or that it is too large.
    pub fn new(
        name: impl Into<String>,
        comparison: Comparison,
        value: impl Into<String>,
    ) -> Result<Matcher, String> {
        let plenty = Allowance::new(usize::MAX, None);
        let matcher = Matcher::within(name, comparison, value, &mut Holding::new(&plenty));
        matcher.map_err(|unfit| unfit.to_string())
    }

    /// Within a budget; what its expression takes is added to `held`.
    ///
    /// # Errors
    /// [`Unfit::Wrong`] as [`Matcher::new`], [`Unfit::Spent`] when there is no memory or no time for it.
    pub fn within(
        name: impl Into<String>,
        comparison: Comparison,
        value: impl Into<String>,
        held: &mut Holding<'_>,
    ) -> Result<Matcher, Unfit> {
        let value = value.into();
        let regex = match comparison {
            Comparison::Equal | Comparison::NotEqual => None,
            Comparison::Regex | Comparison::NotRegex => Some(whole_value_regex_within(&value, held)?),
        };
        Ok(Matcher { name: name.into(), comparison, value, regex })
    }

    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Matcher {
        Matcher { name: name.into(), comparison: Comparison::Equal, value: value.into(), regex: None }
    }

    pub fn matches(&self, value: &str) -> bool {
        let is_match = || self.regex.as_ref().is_some_and(|regex| regex.is_match(value));
        match self.comparison {
            Comparison::Equal => self.value == value,
            Comparison::NotEqual => self.value != value,
            Comparison::Regex => is_match(),
            Comparison::NotRegex => !is_match(),
        }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if is_plain_name(&self.name) { self.name.clone() } else { text::quoted(&self.name) };
        write!(f, "{name}{}{}", self.comparison.symbol(), text::quoted(&self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_matches_the_whole_value_or_none() {
        let matcher = |comparison| Matcher::new("a", comparison, "5..").unwrap();
        for (value, is_match) in [("503", true), ("50", false), ("5034", false), ("", false)] {
            assert_eq!(matcher(Comparison::Regex).matches(value), is_match, "{value}");
            assert_eq!(matcher(Comparison::NotRegex).matches(value), !is_match, "{value}");
        }
        let refused = Matcher::new("a", Comparison::NotRegex, "(").unwrap_err();
        assert_eq!(refused, "error parsing regexp: missing closing ): `(`");
    }
}
