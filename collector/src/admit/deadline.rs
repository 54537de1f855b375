//! Reads how long a gRPC client waits for its answer.
//!
//! A client that has given up sends its rows again, so an answer that comes too late is worth less than one
//! that says so: DEADLINE_EXCEEDED in time keeps the stream and tells the cause. OTLP over HTTP has no such
//! header. Limits: a value that breaks the grammar counts as none, as in tonic.
//!
//! Source: gRPC over HTTP/2, "Timeout": up to 8 digits and one letter for the unit.

use std::time::Duration;

use http::HeaderMap;

const TIMEOUT_HEADER: &str = "grpc-timeout";

/// The grammar's most digits.
const DIGITS_MAX: usize = 8;

/// How long the sender of a request waits; `None` when it does not say.
pub fn wait_max_of(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT_HEADER)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > DIGITS_MAX || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3_600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn every_unit_of_the_grammar_is_read_and_anything_else_is_none() {
        let cases = [
            ("2H", Some(Duration::from_secs(7_200))),
            ("3M", Some(Duration::from_secs(180))),
            ("10S", Some(Duration::from_secs(10))),
            ("99999999m", Some(Duration::from_millis(99_999_999))),
            ("0u", Some(Duration::ZERO)),
            ("7n", Some(Duration::from_nanos(7))),
            ("100000000m", None),
            ("S", None),
            ("", None),
            ("-1S", None),
            ("1.5S", None),
            ("10s", None),
            ("10", None),
        ];
        for (text, want) in cases {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static(TIMEOUT_HEADER),
                HeaderValue::from_static(text),
            )]);
            assert_eq!(wait_max_of(&headers), want, "{text:?}");
        }
        assert_eq!(wait_max_of(&HeaderMap::new()), None);
    }
}
