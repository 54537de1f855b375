//! `log_pattern(body)`: what a line of a log says without what differs each time, for counting lines of a kind.
//!
//! One pass over the text, without memory of other lines: the same text has the same pattern in every query and on
//! every machine, which a tree that learns (Drain, say) does not promise. What is left out becomes `<_>`, as in Loki's
//! pattern filters, so that a pattern can be searched for there. The rule:
//!
//! - A text in double or single quotes becomes `"<_>"`, but not a key: one that a colon follows. A single quote opens
//!   only where no letter or digit is before it, so `don't` opens none.
//! - A word is a run of letters, digits and `_`. It becomes `<_>` when it starts with a digit, has four digits in a row,
//!   or goes from a letter to a digit twice: numbers, times, addresses, hashes, parts of names that a machine made up.
//!   `v1`, `http2`, `sha256`, `x86_64` stay.
//! - A UUID becomes `<_>` whatever its words are.
//! - Two `<_>` with one `.`, `:`, `-` or `+` between them become one: a date, a version, an address with its port.
//!
//! Limits: a hash of letters alone stays, a name like `a1b2` goes. The pattern is at most three times as long.

use std::sync::Arc;

use arrow::array::Array as _;
use arrow::array::StringViewBuilder;
use arrow::datatypes::DataType;
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::{is_text, texts};

/// What stands for what was left out.
const MASK: &str = "<_>";

/// Digits in a row that make a word a number or an id; names have up to three (`sha256`).
const DIGITS_MIN: usize = 4;

/// Times that a word goes from a letter to a digit that make it an id.
const TURNS_MIN: usize = 2;

/// Lengths of the groups of a UUID. Source: RFC 9562, 4.
const UUID_GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct LogPattern {
    signature: Signature,
}

impl Default for LogPattern {
    fn default() -> Self {
        LogPattern { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for LogPattern {
    fn name(&self) -> &str {
        "log_pattern"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [text] if is_text(text) => Ok(vec![DataType::Utf8View]),
            _ => plan_err!("log_pattern takes one text"),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = texts(&args.args[0], args.number_rows)?;
        let mut patterns = StringViewBuilder::with_capacity(texts.len());
        texts.iter().for_each(|text| patterns.append_option(text.map(pattern)));
        Ok(ColumnarValue::Array(Arc::new(patterns.finish())))
    }
}

/// The pattern of `text`, by the rule of this file.
fn pattern(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let before = text[..text.len() - rest.len()].chars().next_back();
        let taken = match first {
            '"' | '\'' => quoted(rest, first, before)
                .inspect(|&length| push_quoted(&mut out, &rest[..length], &rest[length..])),
            first if is_of_word(first) => Some(match uuid(rest) {
                Some(length) => {
                    push_mask(&mut out);
                    length
                }
                None => push_word(&mut out, rest),
            }),
            _ => None,
        };
        let length = taken.unwrap_or_else(|| {
            out.push(first);
            first.len_utf8()
        });
        rest = &rest[length..];
    }
    out
}

/// The length of the quoted text at the start of `rest`, with its quotes; none when nothing opens or closes.
fn quoted(rest: &str, quote: char, before: Option<char>) -> Option<usize> {
    if quote == '\'' && before.is_some_and(char::is_alphanumeric) {
        return None;
    }
    let mut is_escaped = false;
    for (at, next) in rest.char_indices().skip(1) {
        match next {
            '\n' => return None,
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            next if next == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// A key stays as it is; what is quoted otherwise is left out.
fn push_quoted(out: &mut String, quoted: &str, after: &str) {
    if after.trim_start_matches(' ').starts_with(':') {
        out.push_str(quoted);
        return;
    }
    let quote = &quoted[..1];
    out.push_str(quote);
    out.push_str(MASK);
    out.push_str(quote);
}

fn is_of_word(next: char) -> bool {
    next.is_alphanumeric() || next == '_'
}

/// The length of the UUID at the start of `rest`.
fn uuid(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut at = 0;
    for (group, length) in UUID_GROUPS.into_iter().enumerate() {
        if group > 0 {
            if bytes.get(at) != Some(&b'-') {
                return None;
            }
            at += 1;
        }
        if !bytes.get(at..at + length)?.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        at += length;
    }
    let ends = !rest[at..].chars().next().is_some_and(is_of_word);
    ends.then_some(at)
}

/// Takes the word at the start of `rest`; its length.
fn push_word(out: &mut String, rest: &str) -> usize {
    let length = rest.find(|next| !is_of_word(next)).unwrap_or(rest.len());
    let word = &rest[..length];
    if is_made_up(word) {
        push_mask(out);
    } else {
        out.push_str(word);
    }
    length
}

/// Whether `word` is a number or an id.
fn is_made_up(word: &str) -> bool {
    let bytes = word.as_bytes();
    let digits = bytes.split(|byte| !byte.is_ascii_digit()).map(<[u8]>::len).max().unwrap_or_default();
    let turns =
        bytes.windows(2).filter(|two| two[0].is_ascii_alphabetic() && two[1].is_ascii_digit()).count();
    bytes.first().is_some_and(u8::is_ascii_digit) || digits >= DIGITS_MIN || turns >= TURNS_MIN
}

/// Appends a mask, unless it only continues the one that is there.
fn push_mask(out: &mut String) {
    let continued = out.strip_suffix(['.', ':', '-', '+']).is_some_and(|before| before.ends_with(MASK));
    if continued {
        out.pop();
    } else {
        out.push_str(MASK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: &str) {
        assert_eq!(pattern(text), want, "{text}");
    }

    #[test]
    fn numbers_and_ids_are_left_out() {
        check("took 12ms for 3 of 400 rows", "took <_> for <_> of <_> rows");
        check("GET /api/v1/users/42?page=7", "GET /api/v1/users/<_>?page=<_>");
        check("trace 0af7651916cd43dd8448eb211c80319c", "trace <_>");
        check("pod checkout-7d9f8b6c5-x2x4z is gone", "pod checkout-<_> is gone");
        check("id=deadbeef-cafe-abba-feed-deadbeefcafe.", "id=<_>.");
        check("key a1b2 of user_0042", "key <_> of <_>");
    }

    #[test]
    fn what_belongs_together_is_left_out_as_one() {
        check("2026-11-29T07:40:04.123+01:00 up", "<_> up");
        check("from 10.0.0.1:8080 to [fe80::1]:443", "from <_> to [fe80::<_>]:<_>");
        check("1, 2 and 3", "<_>, <_> and <_>");
        check("v1.2.3-rc1", "v1.<_>-rc1");
    }

    #[test]
    fn names_with_digits_stay() {
        for name in ["http2", "sha256", "x86_64", "utf8", "k8s", "ipv4", "größe", ""] {
            check(name, name);
        }
    }

    #[test]
    fn quoted_texts_are_left_out_but_keys_stay() {
        check(r#"user "ann \"x\" b" said 'no'"#, r#"user "<_>" said '<_>'"#);
        check(r#"{"level":"warn","n": 3}"#, r#"{"level":"<_>","n": <_>}"#);
        check("don't say can't 5", "don't say can't <_>");
        check("open \"quote 5", "open \"quote <_>");
        check("line 'a\nb' ends", "line 'a\nb' ends");
    }
}
