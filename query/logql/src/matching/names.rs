//! Names of labels as they are made of keys.
//!
//! A key of JSON, logfmt or OTLP becomes a label by Prometheus's rule: what is no letter, digit or `_` is an underscore,
//! and a name does not begin with a digit.
//!
//! Source: "Log queries", JSON, <https://grafana.com/docs/loki/latest/query/log_queries/#json>.

use std::borrow::Cow;

/// Appends `key` as part of a label's name; `out` may hold a part before.
pub fn push_name(out: &mut String, key: &str) {
    if out.is_empty() && key.starts_with(|c: char| c.is_ascii_digit()) {
        out.push('_');
    }
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    out.extend(key.chars().map(plain));
}

/// The label that `key` becomes.
pub fn label_name(key: &str) -> Cow<'_, str> {
    if is_name(key) {
        return Cow::Borrowed(key);
    }
    let mut name = String::with_capacity(key.len() + 1);
    push_name(&mut name, key);
    Cow::Owned(name)
}

/// Whether a label may be called that without a change.
pub fn is_name(text: &str) -> bool {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(is_start) && text.chars().all(|c| is_start(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_letters_digits_and_underscores() {
        assert_eq!(["a.b-c", "1st", "é", "ok_1"].map(label_name), ["a_b_c", "_1st", "_", "ok_1"]);
        assert_eq!(["a", "1", "a.b", "", "_x9"].map(is_name), [true, false, false, false, true]);
    }
}
