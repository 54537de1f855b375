//! How numbers, durations, strings and places are written: as Go's formatting writes them, since Prometheus's texts are.
//!
//! Sources: the documentation of Go's `strconv` and `fmt` (verbs `g`, `f` and `q`), and of Prometheus's durations
//! (<https://prometheus.io/docs/prometheus/latest/querying/basics/#float-literals-and-time-durations>).

use std::fmt::Write;

/// A value in the shortest decimal form that reads back the same, never with an exponent; `NaN`, `+Inf`, `-Inf`.
pub fn plain(value: f64) -> String {
    special(value).map_or_else(|| format!("{value}"), str::to_owned)
}

/// A value in the shortest form, as the verb `g` has it: with an exponent of at least two digits below 1e-4 and
/// from 1e6 on (Go takes a precision of 6 for this choice where none is given).
pub fn short(value: f64) -> String {
    const EXPONENTS_WRITTEN_OUT: std::ops::Range<i32> = -4..6;
    if let Some(text) = special(value) {
        return text.to_owned();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if EXPONENTS_WRITTEN_OUT.contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// A value with two significant digits, as the verb `.2g` has it.
pub fn two_digits(value: f64) -> String {
    let rounded = format!("{value:.1e}").parse().unwrap_or(value);
    let text = short(rounded);
    let is_written_out = !text.contains('e') && rounded.abs() >= 100.0;
    if is_written_out { format!("{rounded:e}").replace('e', "e+0") } else { text }
}

/// A value as OpenMetrics writes it in a label: with a point or an exponent always.
/// Source: <https://github.com/prometheus/OpenMetrics> (canonical numbers).
pub fn open_metrics(value: f64) -> String {
    let text = short(value);
    let is_marked = text.contains(['.', 'e', 'n', 'N']);
    if is_marked { text } else { text + ".0" }
}

fn special(value: f64) -> Option<&'static str> {
    match value {
        value if value.is_nan() => Some("NaN"),
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ => None,
    }
}

/// Milliseconds as Prometheus writes a duration, `1h30m`; a year, a week or a day only if nothing is left over.
pub fn duration(milliseconds: i64) -> String {
    const UNITS: [(&str, i64, bool); 7] = [
        ("y", 365 * 86_400_000, true),
        ("w", 7 * 86_400_000, true),
        ("d", 86_400_000, true),
        ("h", 3_600_000, false),
        ("m", 60_000, false),
        ("s", 1_000, false),
        ("ms", 1, false),
    ];
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    let mut rest = milliseconds;
    for (unit, length, only_whole) in UNITS {
        if only_whole && rest % length != 0 {
            continue;
        }
        if rest / length > 0 {
            text += &format!("{}{unit}", rest / length);
            rest %= length;
        }
    }
    text
}

/// A string in double quotes, as the verb `q` has it.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    text.chars().for_each(|c| push_escaped(&mut quoted, c, '"'));
    quoted.push('"');
    quoted
}

/// A character in single quotes; the end of the text is Go's -1, which it writes as a replacement character.
pub fn quoted_char(c: Option<char>) -> String {
    let mut quoted = String::from("'");
    push_escaped(&mut quoted, c.unwrap_or(char::REPLACEMENT_CHARACTER), '\'');
    quoted.push('\'');
    quoted
}

fn push_escaped(out: &mut String, c: char, quote: char) {
    let escape = match c {
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\u{c}' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\u{b}' => 'v',
        '\\' => '\\',
        c if c == quote => c,
        c if c < ' ' || c == '\u{7f}' => {
            let _ = write!(out, "\\x{:02x}", u32::from(c));
            return;
        }
        c if c.is_control() => {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
            return;
        }
        c => return out.push(c),
    };
    out.push('\\');
    out.push(escape);
}

/// Line and column of a byte of the text, both from 1, columns in bytes.
pub(crate) fn position(query: &str, at: usize) -> String {
    let before = &query.as_bytes()[..at.min(query.len())];
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |newline| newline + 1);
    format!("{line}:{}", before.len() - line_start + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_does() {
        let check = |value: f64, want: [&str; 3]| {
            assert_eq!([plain(value), short(value), open_metrics(value)], want, "{value:?}");
        };
        check(1.0, ["1", "1", "1.0"]);
        check(0.1, ["0.1", "0.1", "0.1"]);
        check(1e6, ["1000000", "1e+06", "1e+06"]);
        check(123_456.0, ["123456", "123456", "123456.0"]);
        check(1.5e-7, ["0.00000015", "1.5e-07", "1.5e-07"]);
        check(f64::INFINITY, ["+Inf", "+Inf", "+Inf"]);
        check(f64::NAN, ["NaN", "NaN", "NaN"]);
        check(-0.0, ["-0", "-0", "-0.0"]);
        assert_eq!([two_digits(0.123), two_digits(12.0), two_digits(123.0)], ["0.12", "12", "1.2e+02"]);
    }

    #[test]
    fn durations_are_written_in_the_largest_units() {
        let check = |milliseconds: i64, want: &str| assert_eq!(duration(milliseconds), want);
        check(0, "0s");
        check(5_400_000, "1h30m");
        check(86_400_000, "1d");
        check(90_000_000, "25h");
        check(604_800_000, "1w");
        check(1_001, "1s1ms");
    }

    #[test]
    fn strings_are_quoted_as_go_does() {
        assert_eq!(quoted("a\"b\\c\n\u{1}ä"), "\"a\\\"b\\\\c\\n\\x01ä\"");
        assert_eq!([quoted_char(Some('\'')), quoted_char(None)], ["'\\''", "'\u{fffd}'"]);
    }
}
