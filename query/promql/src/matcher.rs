//! Matchers of label values, and Go's regular expressions by way of Rust's.
//!
//! Prometheus's expressions are RE2's. The `regex` crate knows the same language but for spellings: RE2 takes a
//! brace that is no repetition for a character, has `\Q..\E`, and its classes `\d \w \s \b` know ASCII only. A
//! pattern is rewritten to say the same to the crate; both run in time linear in the text. The size of a compiled
//! expression is bounded, as nested repetitions grow exponentially.

use std::fmt;

use regex::{Regex, RegexBuilder};

use crate::labels::is_plain_name;
use crate::text;

/// Bytes that one compiled expression may take. Prometheus's own limit is RE2's: 1000 repetitions, and a program
/// of some megabytes. Guess, not measured.
pub const REGEX_BYTES_MAX: usize = 4 << 20;

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
    /// # Errors
    /// Text that says what is wrong with the regular expression, or that it is too large.
    pub fn new(
        name: impl Into<String>,
        comparison: Comparison,
        value: impl Into<String>,
    ) -> Result<Matcher, String> {
        let value = value.into();
        let regex = match comparison {
            Comparison::Equal | Comparison::NotEqual => None,
            Comparison::Regex | Comparison::NotRegex => Some(whole_value_regex(&value)?),
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

/// A regular expression of Prometheus's that has to match a whole value.
pub(crate) fn whole_value_regex(pattern: &str) -> Result<Regex, String> {
    // Compiled by itself first: `a)|(b` is no expression, but between parentheses it would be.
    let inner = rewritten(pattern);
    let error = |error: regex::Error| format!("error parsing regexp: {}", reason(&error));
    build(&inner).map_err(error)?;
    build(&format!("^(?s:{inner})$")).map_err(error)
}

fn build(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX).build()
}

/// What is wrong, on one line; the crate draws a picture over several.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// The pattern in the spelling of the `regex` crate.
fn rewritten(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match c {
            '\\' => {
                taken = escape(rest, in_class, &mut out);
            }
            '[' if !in_class => {
                in_class = true;
                // A bracket right after the opening one, or after its `^`, is a member of the class.
                let open = ["[^]", "[]", "[^", "["].into_iter().find(|open| rest.starts_with(open));
                let open = open.unwrap_or("[");
                taken = open.len();
                out += &open.replace(']', "\\]");
            }
            '[' if rest.starts_with("[:") && rest.contains(":]") => {
                taken = rest.find(":]").map_or(1, |end| end + 2);
                out += &rest[..taken];
            }
            '[' | '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            ']' if in_class => {
                in_class = false;
                out.push(c);
            }
            '{' if !in_class && !is_repetition(rest) => out += "\\{",
            c => out.push(c),
        }
        rest = &rest[taken..];
    }
    out
}

/// Writes the escape that `rest` starts with; gives its length.
fn escape(rest: &str, in_class: bool, out: &mut String) -> usize {
    if let Some(literal) = rest.strip_prefix("\\Q") {
        let end = literal.find("\\E").unwrap_or(literal.len());
        *out += &regex::escape(&literal[..end]);
        return (2 + end + 2).min(rest.len());
    }
    let Some(c) = rest[1..].chars().next() else {
        out.push('\\');
        return 1;
    };
    let bracketed = |set: &str, is_bare: bool| if is_bare { set.to_owned() } else { format!("[{set}]") };
    match c {
        'd' => *out += &bracketed("0-9", in_class),
        'w' => *out += &bracketed("0-9A-Za-z_", in_class),
        's' => *out += &bracketed("\\t\\n\\x0C\\r ", in_class),
        'D' => *out += "[^0-9]",
        'W' => *out += "[^0-9A-Za-z_]",
        'S' => *out += "[^\\t\\n\\x0C\\r ]",
        'b' | 'B' => *out += &format!("(?-u:\\{c})"),
        c => {
            out.push('\\');
            out.push(c);
        }
    }
    1 + c.len_utf8()
}

/// Whether a brace opens a repetition: `{2}`, `{2,}`, `{2,3}`.
fn is_repetition(rest: &str) -> bool {
    let Some(inside) = rest[1..].split_once('}').map(|(inside, _)| inside) else { return false };
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !least.is_empty() && is_number(least) && is_number(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_what_it_means_to_prometheus() {
        let check = |pattern: &str, yes: &[&str], no: &[&str]| {
            let matcher = Matcher::new("a", Comparison::Regex, pattern).unwrap();
            yes.iter().for_each(|value| assert!(matcher.matches(value), "{pattern} matches {value}"));
            no.iter().for_each(|value| assert!(!matcher.matches(value), "{pattern} does not match {value}"));
        };
        check("a|bc", &["a", "bc"], &["ab", "abc", "xa"]);
        check("5..", &["503", "5\nx"], &["50", "5034"]);
        check("", &[""], &["a"]);
        check("a{b}{2}", &["a{b}}"], &["a{b}"]);
        check("x{,3}", &["x{,3}"], &["xx"]);
        check(r"\d+", &["12"], &["\u{663}"]);
        check(r"[\w]+", &["a_1"], &["ä", "-"]);
        check(r"\Qa.b\E+", &["a.bb"], &["axb"]);
        check("[[:alpha:]&[]+", &["a&[b"], &["1"]);
        check("[]a]+[^]]", &["]ab"], &["a]"]);
        check(r"^.+\.ns\..+$", &["a.ns.svc"], &["ans.svc"]);
        check("ä{2}", &["ää"], &["ä"]);
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        let refused = |pattern: &str| Matcher::new("a", Comparison::Regex, pattern).unwrap_err();
        assert_eq!(refused("("), "error parsing regexp: unclosed group");
        assert!(refused("a)|(b").contains("unopened group"));
        assert!(refused(&"(".repeat(5_000)).starts_with("error parsing regexp: "));
        assert!(refused("((((a{50}){50}){50}){50}){50}").contains("size"));
        assert!(refused("\\").starts_with("error parsing regexp: "));
    }

    #[test]
    fn expressions_that_explode_elsewhere_are_linear() {
        let matcher = Matcher::new("a", Comparison::Regex, "(a*)*b").unwrap();
        assert!(!matcher.matches(&"a".repeat(100_000)));
    }
}
