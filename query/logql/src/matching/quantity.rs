//! Numbers with units, in queries and in values of labels.
//!
//! Durations have Go's units and Prometheus's days, weeks and years; sizes have the units of powers of 1000 (`kB`, `MB`) and
//! of 1024 (`KiB`, `MiB`), in any case, with or without a space before them.
//!
//! Source: "Log queries", Label filter expression.

use meshlake_traceql::lex;

/// Units of sizes without their B, in lower case; one that begins with another stands before it.
const SIZES: [(&str, f64); 13] = [
    ("ki", 1024.0),
    ("mi", 1_048_576.0),
    ("gi", 1_073_741_824.0),
    ("ti", 1_099_511_627_776.0),
    ("pi", 1_125_899_906_842_624.0),
    ("ei", 1_152_921_504_606_846_976.0),
    ("k", 1e3),
    ("m", 1e6),
    ("g", 1e9),
    ("t", 1e12),
    ("p", 1e15),
    ("e", 1e18),
    ("", 1.0),
];

/// Bytes that `text` says; none of what is no size.
pub fn bytes(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    let unit = text[digits..].trim().to_ascii_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let (_, factor) = SIZES.into_iter().find(|(known, _)| *known == unit)?;
    Some((number * factor).trunc())
}

/// Nanoseconds that `text` says, with a sign or without; none of what is no duration, and of a number without a unit but 0.
pub fn nanos(text: &str) -> Option<i64> {
    let (sign, length) = match text.strip_prefix('-') {
        Some(length) => (-1, length),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    match length {
        "" => None,
        "0" => Some(0),
        length => lex::duration(length).map(|nanos| sign * nanos),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1000_and_of_1024() {
        let check = |text: &str, want: Option<f64>| assert_eq!(bytes(text), want, "{text:?}");
        check("20MB", Some(20e6));
        check("1.5KiB", Some(1536.0));
        check("1 kb", Some(1000.0));
        check("42", Some(42.0));
        check("5B", Some(5.0));
        check("2GIB", Some(2_147_483_648.0));
        for none in ["", "MB", "-1kB", "1x", "1.2.3"] {
            check(none, None);
        }
    }

    #[test]
    fn durations_have_signs_and_units() {
        let check = |text: &str, want: Option<i64>| assert_eq!(nanos(text), want, "{text:?}");
        check("1.5s", Some(1_500_000_000));
        check("-1h2m", Some(-3_720_000_000_000));
        check("0", Some(0));
        for none in ["", "5", "s", "-", "1q"] {
            check(none, None);
        }
    }
}
