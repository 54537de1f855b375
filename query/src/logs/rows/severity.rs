//! The label `level`: what a line's severity is called.
//!
//! Senders write severities in many ways; filters and colours go by a few words. OTLP's number decides where it is set, since it is
//! what the sender's own words were mapped to.
//!
//! Source: <https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber>.

use std::borrow::Cow;
use std::ops::RangeInclusive;

/// Words that are written for a level.
const WORDS: [(&str, &[&str]); 6] = [
    ("trace", &["trace", "trc"]),
    ("debug", &["debug", "dbg"]),
    ("info", &["info", "inf", "information", "informational", "notice"]),
    ("warn", &["warn", "wrn", "warning"]),
    ("error", &["error", "err", "eror"]),
    ("fatal", &["fatal", "critical", "crit", "alert", "emerg", "emergency", "panic"]),
];

/// The level of a number of OTLP's and a text; none if the sender said neither.
pub fn level(number: i64, text: Option<&str>) -> Option<Cow<'static, str>> {
    let by_number = usize::try_from(number - 1).ok().and_then(|number| WORDS.get(number / 4));
    if let Some((word, _)) = by_number {
        return Some(Cow::Borrowed(word));
    }
    let text = text.filter(|text| !text.is_empty())?.to_ascii_lowercase();
    let known = WORDS.into_iter().find(|(_, words)| words.contains(&text.as_str()));
    Some(known.map_or(Cow::Owned(text), |(word, _)| Cow::Borrowed(word)))
}

/// The numbers of OTLP that say that level, and those that say any; none for a word that no number says.
pub fn numbers_of_level(level: &str) -> Option<(RangeInclusive<i64>, RangeInclusive<i64>)> {
    const EACH: i64 = 4;
    let place = WORDS.iter().position(|(word, _)| *word == level)? as i64;
    Some((place * EACH + 1..=(place + 1) * EACH, 1..=WORDS.len() as i64 * EACH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_the_numbers_else_the_texts() {
        let check = |number, text, want: Option<&str>| assert_eq!(level(number, text).as_deref(), want);
        check(1, None, Some("trace"));
        check(8, None, Some("debug"));
        check(9, Some("WARN"), Some("info"));
        check(24, None, Some("fatal"));
        check(0, Some("Warning"), Some("warn"));
        check(0, Some("AUDIT"), Some("audit"));
        check(25, Some("err"), Some("error"));
        check(0, None, None);
        check(-1, Some(""), None);
    }

    #[test]
    fn a_level_has_the_numbers_that_say_it() {
        for word in WORDS.map(|(word, _)| word) {
            let (own, any) = numbers_of_level(word).expect("a word");
            let saying: Vec<i64> =
                (-1..30).filter(|number| level(*number, None).as_deref() == Some(word)).collect();
            assert_eq!(saying, own.collect::<Vec<_>>());
            assert!((-1..30).all(|number| level(number, None).is_some() == any.contains(&number)));
        }
        assert_eq!(numbers_of_level("err"), None);
    }
}
