//! What is wrong with an expression, in the words of Go's `regexp/syntax`, which people know and tests of clients compare.
//!
//! The crate finds the mistake and its place; Go quotes the part that it could not read: of an unclosed class all from its
//! bracket on, of parentheses the whole expression, of a repetition, an escape or a flag that alone.
//!
//! Source: <https://pkg.go.dev/regexp/syntax#ErrorCode>, and the answers of a Prometheus 0.316.0 to such expressions.

use regex_syntax::Error;
use regex_syntax::ast::ErrorKind;

/// The mistake of `pattern`, without the words that all begin with.
pub(super) fn told(pattern: &str, error: &Error) -> String {
    match error {
        Error::Parse(error) => of_syntax(pattern, error),
        Error::Translate(error) => {
            let rest = &error.pattern()[error.span().start.offset..];
            quoting("invalid character class range", property(rest))
        }
        other => other.to_string().lines().last().unwrap_or_default().to_owned(),
    }
}

fn quoting(what: &str, part: &str) -> String {
    format!("{what}: `{part}`")
}

fn of_syntax(pattern: &str, error: &regex_syntax::ast::Error) -> String {
    let written = error.pattern();
    let (start, end) = (error.span().start.offset, error.span().end.offset);
    let part = &written[start..end];
    match error.kind() {
        ErrorKind::ClassUnclosed => quoting("missing closing ]", &written[start..]),
        ErrorKind::GroupUnclosed if written.ends_with("(?") => perl("(?"),
        ErrorKind::GroupUnclosed => quoting("missing closing )", pattern),
        ErrorKind::GroupUnopened => quoting("unexpected )", pattern),
        ErrorKind::RepetitionMissing => {
            quoting("missing argument to repetition operator", repetition(&written[start..]))
        }
        ErrorKind::RepetitionCountInvalid => quoting("invalid repeat count", part),
        ErrorKind::ClassRangeInvalid | ErrorKind::ClassRangeLiteral => {
            quoting("invalid character class range", part)
        }
        ErrorKind::UnicodeClassInvalid => {
            quoting("invalid character class range", property(&written[start..]))
        }
        ErrorKind::EscapeUnexpectedEof if &written[start..] == "\\" => {
            quoting("trailing backslash at end of expression", "")
        }
        ErrorKind::EscapeUnexpectedEof
        | ErrorKind::EscapeUnrecognized
        | ErrorKind::EscapeHexEmpty
        | ErrorKind::EscapeHexInvalid
        | ErrorKind::EscapeHexInvalidDigit
        | ErrorKind::UnsupportedBackreference => {
            let from = written[..end].rfind('\\').unwrap_or(start);
            quoting("invalid escape sequence", written[from..end].trim_end_matches('}'))
        }
        ErrorKind::GroupNameEmpty | ErrorKind::GroupNameInvalid | ErrorKind::GroupNameUnexpectedEof => {
            named_capture(&written[opening(written, end)..])
        }
        // Go takes `(?<=` for the begin of a name.
        ErrorKind::UnsupportedLookAround if part.starts_with("(?<") => named_capture(&written[start..]),
        ErrorKind::UnsupportedLookAround => perl(part),
        ErrorKind::FlagUnrecognized
        | ErrorKind::FlagUnexpectedEof
        | ErrorKind::FlagDanglingNegation
        | ErrorKind::FlagRepeatedNegation { .. } => perl(&written[opening(written, end)..end]),
        kind => kind.to_string(),
    }
}

fn perl(part: &str) -> String {
    quoting("invalid or unsupported Perl syntax", part)
}

/// The name that begins a group, up to its bracket, or all that follows if there is none.
fn named_capture(group: &str) -> String {
    quoting("invalid named capture", group.find('>').map_or(group, |end| &group[..=end]))
}

/// Where the group begins that `end` lies in.
fn opening(written: &str, end: usize) -> usize {
    written[..end].rfind("(?").unwrap_or(0)
}

/// The operator that `rest` begins with, with what makes it lazy.
fn repetition(rest: &str) -> &str {
    let length = if rest.starts_with('{') { rest.find('}').map_or(1, |end| end + 1) } else { 1 };
    &rest[..length + usize::from(rest[length..].starts_with('?'))]
}

/// The class of characters that `rest` begins with: `\pL`, `\p{Greek}`.
fn property(rest: &str) -> &str {
    let name = rest.get(2..).unwrap_or_default();
    let length = if name.starts_with('{') { name.find('}') } else { None };
    let length = length.map_or_else(|| name.chars().next().map_or(0, char::len_utf8), |end| end + 1);
    rest.get(..2 + length).unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::super::whole_value_regex;

    /// Answered so by a Prometheus 0.316.0.
    #[test]
    fn mistakes_are_told_in_the_words_of_go() {
        let check = |pattern: &str, want: &str| {
            let refused = whole_value_regex(pattern).expect_err("no pattern");
            assert_eq!(refused, format!("error parsing regexp: {want}"), "{pattern}");
        };
        check("(", "missing closing ): `(`");
        check("a(b", "missing closing ): `a(b`");
        check("(?:", "missing closing ): `(?:`");
        check("a)|(b", "unexpected ): `a)|(b`");
        check("x[a-", "missing closing ]: `[a-`");
        check("*", "missing argument to repetition operator: `*`");
        check("(+)", "missing argument to repetition operator: `+`");
        check("a{2,1}", "invalid repeat count: `{2,1}`");
        check("[z-a]", "invalid character class range: `z-a`");
        check(r"\p{Foo}", r"invalid character class range: `\p{Foo}`");
        check(r"\pX", r"invalid character class range: `\pX`");
        check("a\\", "trailing backslash at end of expression: ``");
        check(r"\y", r"invalid escape sequence: `\y`");
        check(r"[\y]", r"invalid escape sequence: `\y`");
        check(r"\8", r"invalid escape sequence: `\8`");
        check(r"\x", r"invalid escape sequence: `\x`");
        check(r"\xg", r"invalid escape sequence: `\xg`");
        check(r"\x{110000}", r"invalid escape sequence: `\x{110000`");
        check("(?=a)", "invalid or unsupported Perl syntax: `(?=`");
        check("(?P=n)", "invalid or unsupported Perl syntax: `(?P`");
        check("(?", "invalid or unsupported Perl syntax: `(?`");
        check("(?i", "invalid or unsupported Perl syntax: `(?i`");
        check("(?i)(?-z)", "invalid or unsupported Perl syntax: `(?-z`");
        check("(?P<n", "invalid named capture: `(?P<n`");
    }
}
