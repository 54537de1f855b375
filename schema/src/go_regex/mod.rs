//! Go's regular expressions by way of Rust's, for the query languages that are defined by Go programs.
//!
//! PromQL's, TraceQL's and LogQL's expressions are RE2's. The `regex` crate knows the same language but for spellings:
//! RE2 takes a brace that is no repetition for a character, has `\Q..\E`, and its classes `\d \w \s \b` know ASCII
//! only. A pattern is rewritten to say the same to the crate; both run in time linear in the text. The size of a
//! compiled expression is bounded, as nested repetitions grow exponentially, and whoever takes expressions from outside
//! compiles them within a budget: a query of ten kilobytes can hold a hundred of the largest.

mod mistake;

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind};
use thiserror::Error;

use crate::budget::{Allowance, Holding, Spent};

/// Bytes that one compiled expression may take. Prometheus's own limit is RE2's: 1000 repetitions, and a program
/// of some megabytes. Guess, not measured.
pub const REGEX_BYTES_MAX: usize = 4 << 20;

/// Bytes that all expressions of a query may take together, held as said at [`whole_value_regex_within`]: eight of the largest, or
/// five hundred of those that fit into the first of [`SIZES`], which is more than queries of the longest texts have.
pub const QUERY_REGEX_BYTES_MAX: usize = 64 << 20;

/// What an expression is tried to be compiled in, ascending: what was granted for the smallest that suffices is what it
/// takes, and all that fail before it cost a seventh of it. Nearly every expression of a dashboard fits into the first.
const SIZES: [usize; 3] = [REGEX_BYTES_MAX >> 6, REGEX_BYTES_MAX >> 3, REGEX_BYTES_MAX];

/// Texts of one expression's matches; more are no sooner looked for than the expression. Guess, not measured.
const TEXTS_MAX: usize = 16;

/// Why there is no expression.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unfit {
    /// What is wrong with the pattern, or that it is too large, as Go begins it: the asker's fault.
    #[error("{0}")]
    Wrong(String),
    /// Its place or its time was not granted.
    #[error(transparent)]
    Spent(#[from] Spent),
}

/// An expression that has to match a whole value, whatever it takes.
///
/// # Errors
/// Text that says what is wrong with the pattern, or that it is too large, as Go begins it.
pub fn whole_value_regex(pattern: &str) -> Result<Regex, String> {
    let plenty = Allowance::new(usize::MAX, None);
    whole_value_regex_within(pattern, &mut Holding::new(&plenty)).map_err(|unfit| unfit.to_string())
}

/// The same within a budget: what the expression may take of memory, for its program and as much for what it remembers
/// while it matches, is added to `held`.
///
/// # Errors
/// See [`Unfit`]; nothing is added then.
pub fn whole_value_regex_within(pattern: &str, held: &mut Holding<'_>) -> Result<Regex, Unfit> {
    // Read by itself first: `a)|(b` is no expression, but between parentheses it would be.
    compiled(&format!("^(?s:{})$", read(pattern)?), held)
}

/// An expression that may match any part of a text, within a budget as [`whole_value_regex_within`].
///
/// # Errors
/// See [`Unfit`]; nothing is added then.
pub fn part_regex_within(pattern: &str, held: &mut Holding<'_>) -> Result<Regex, Unfit> {
    compiled(&read(pattern)?, held)
}

/// Whatever it takes.
///
/// # Errors
/// As [`whole_value_regex`].
pub fn part_regex(pattern: &str) -> Result<Regex, String> {
    let plenty = Allowance::new(usize::MAX, None);
    part_regex_within(pattern, &mut Holding::new(&plenty)).map_err(|unfit| unfit.to_string())
}

/// The pattern in the spelling of the `regex` crate, if it is one.
fn read(pattern: &str) -> Result<String, Unfit> {
    let rewritten = rewritten(pattern);
    regex_syntax::parse(&rewritten).map_err(|error| wrong(&mistake::told(pattern, &error)))?;
    Ok(rewritten)
}

/// In the first size that it fits into.
fn compiled(pattern: &str, held: &mut Holding<'_>) -> Result<Regex, Unfit> {
    let before = held.bytes();
    for size in SIZES {
        held.check_time()?;
        held.resize(before + 2 * size)?;
        match RegexBuilder::new(pattern).size_limit(size).dfa_size_limit(size).build() {
            Ok(regex) => return Ok(regex),
            Err(regex::Error::CompiledTooBig(_)) => held.resize(before)?,
            Err(error) => {
                held.resize(before)?;
                return Err(wrong(error.to_string().lines().last().unwrap_or_default()));
            }
        }
    }
    Err(wrong(&format!("compiled regex exceeds size limit of {REGEX_BYTES_MAX} bytes")))
}

/// Texts of which every match of an expression has at least one, as the longest that can be told; none if there are none: what is
/// searched for texts first need not try the expression everywhere.
pub fn texts_of_matches(regex: &Regex) -> Option<Vec<String>> {
    texts_of(&regex_syntax::parse(regex.as_str()).ok()?)
}

fn texts_of(expression: &Hir) -> Option<Vec<String>> {
    let shortest = |texts: &Vec<String>| texts.iter().map(String::len).min();
    match expression.kind() {
        HirKind::Literal(literal) => Some(vec![std::str::from_utf8(&literal.0).ok()?.to_owned()]),
        HirKind::Capture(group) => texts_of(&group.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => texts_of(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().filter_map(texts_of).max_by_key(shortest),
        HirKind::Alternation(choices) => {
            let texts = choices.iter().map(texts_of).collect::<Option<Vec<_>>>()?.concat();
            (texts.len() <= TEXTS_MAX).then_some(texts)
        }
        _ => None,
    }
}

fn wrong(reason: &str) -> Unfit {
    Unfit::Wrong(format!("error parsing regexp: {reason}"))
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
                // So is a dash, which else could begin an operator between classes.
                if rest[taken..].starts_with('-') {
                    out += "\\-";
                    taken += 1;
                }
            }
            '[' if rest.starts_with("[:") && rest.contains(":]") => {
                taken = rest.find(":]").map_or(1, |end| end + 2);
                out += &rest[..taken];
            }
            '-' if in_class && rest.starts_with("--") => {
                out += "-\\-";
                taken = 2;
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
    // The name of a class or the digits of a character in braces, which are no repetition.
    if matches!(c, 'p' | 'P' | 'x') && rest[2..].starts_with('{') {
        let length = rest.find('}').map_or(rest.len(), |end| end + 1);
        *out += &rest[..length];
        return length;
    }
    let bracketed = |set: &str, is_bare: bool| if is_bare { set.to_owned() } else { format!("[{set}]") };
    match c {
        'd' => *out += &bracketed("0-9", in_class),
        'w' => *out += &bracketed("0-9A-Za-z_", in_class),
        's' => *out += &bracketed("\\t\\n\\x0C\\r ", in_class),
        'D' => *out += "[^0-9]",
        'W' => *out += "[^0-9A-Za-z_]",
        'S' => *out += "[^\\t\\n\\x0C\\r ]",
        // To the crate these are ends of words.
        '<' | '>' => out.push(c),
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
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_expression_of_parts_is_not_anchored() {
        let regex = part_regex(r"b\d{").expect("a pattern");
        assert!(regex.is_match("ab1{") && !regex.is_match("ab{"));
        assert_eq!(part_regex("(").err().as_deref(), Some("error parsing regexp: missing closing ): `(`"));
    }

    #[test]
    fn a_pattern_means_what_it_means_to_go() {
        let check = |pattern: &str, yes: &[&str], no: &[&str]| {
            let regex = whole_value_regex(pattern).expect("a pattern");
            yes.iter().for_each(|value| assert!(regex.is_match(value), "{pattern} matches {value}"));
            no.iter().for_each(|value| assert!(!regex.is_match(value), "{pattern} does not match {value}"));
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
        check(r"\p{Greek}+\x{1F600}", &["αβ\u{1f600}"], &["a\u{1f600}"]);
        check(r"[\P{L}\pN]{2}", &["1-"], &["ab"]);
        check(r"\<b\>", &["<b>"], &["b"]);
        check("[+--]+", &["+,-"], &["."]);
        check("[--/]+", &["-./"], &["a"]);
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        let refused = |pattern: &str| whole_value_regex(pattern).expect_err("no pattern");
        assert!(refused(&"(".repeat(5_000)).starts_with("error parsing regexp: "));
        assert!(refused("((((a{50}){50}){50}){50}){50}").contains("size"));
        assert!(refused("\\").starts_with("error parsing regexp: "));
    }

    /// Each of a thousand copies of any letter is a class of some hundred states: too large for the first size, not for
    /// the last.
    #[test]
    fn an_expression_is_charged_for_the_size_that_it_needs() {
        let compiled = |pattern: &str, bytes: usize, time: Option<Duration>| {
            let budget = Allowance::new(bytes, time);
            let mut held = Holding::new(&budget);
            let unfit = whole_value_regex_within(pattern, &mut held).err();
            let bytes = held.bytes();
            drop(held);
            assert_eq!(budget.bytes(), 0, "what was granted comes back");
            (unfit, bytes)
        };
        let [small, _, large] = SIZES.map(|size| 2 * size);
        assert_eq!(compiled("5..", small, None), (None, small));
        let spent = |unfit| matches!(unfit, (Some(Unfit::Spent(Spent::Bytes { .. })), 0));
        assert!(spent(compiled("5..", small - 1, None)));
        assert_eq!(compiled("\\pL{30}", large, None), (None, large));
        assert!(spent(compiled("\\pL{30}", large - 1, None)));
        assert!(matches!(compiled("\\pL{1000}", large, None), (Some(Unfit::Wrong(_)), 0)));
        assert_eq!(compiled("a", small, Some(Duration::ZERO)), (Some(Unfit::Spent(Spent::Time)), 0));
    }

    #[test]
    fn expressions_that_explode_elsewhere_are_linear() {
        let regex = whole_value_regex("(a*)*b").expect("a pattern");
        assert!(!regex.is_match(&"a".repeat(100_000)));
    }

    #[test]
    fn texts_that_every_match_has_are_told() {
        let check = |pattern: &str, want: Option<&[&str]>| {
            let found = texts_of_matches(&part_regex(pattern).expect(pattern));
            let want = want.map(|texts| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
            assert_eq!(found, want, "{pattern}");
        };
        check("timeout", Some(&["timeout"]));
        check("retry [0-9]+ of order$", Some(&[" of order"]));
        check("^GET|POST /x", Some(&["GET", "POST /x"]));
        check("(lost|gone)? by (peers)+", Some(&["peers"]));
        check("(?i)timeout", None);
        check("a|b*", None);
        check(".*", None);
        check("[0-9]+", None);
        check("\\.svc", Some(&[".svc"]));
        let many = |count: usize| {
            let choices: Vec<String> = ('a'..).take(count).map(|c| format!("{c}{c}")).collect();
            texts_of_matches(&part_regex(&choices.join("|")).expect("it fits")).map(|texts| texts.len())
        };
        assert_eq!((many(TEXTS_MAX), many(TEXTS_MAX + 1)), (Some(TEXTS_MAX), None));
    }
}
