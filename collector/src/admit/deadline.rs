//! Reads until when a gRPC client waits for its answer.
//!
//! A client that has given up sends its rows again, so an answer that comes too late is worth less than one
//! that says so: DEADLINE_EXCEEDED in time keeps the stream and tells the cause. OTLP over HTTP has no such
//! header. Limits: a value that breaks the grammar counts as none, as in tonic.
//!
//! Source: gRPC over HTTP/2, "Timeout": up to 8 digits and one letter for the unit.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

const TIMEOUT_HEADER: &str = "grpc-timeout";

/// The grammar's most digits.
const DIGITS_MAX: usize = 8;

/// When the sender of an export, whose headers came at `came`, stops to wait; `None` when it does not say. All that
/// is done for the export shares this time: reading its body, unpacking it, the disk.
pub fn answer_by(headers: &HeaderMap, came: Instant) -> Option<Instant> {
    came.checked_add(wait_max_of(headers)?)
}

/// How long a step may take from `now` on: `time_max`, or what is left until `answer_by` where that is less.
pub fn time_left(answer_by: Option<Instant>, now: Instant, time_max: Duration) -> Duration {
    answer_by.map_or(time_max, |answer_by| answer_by.saturating_duration_since(now).min(time_max))
}

fn wait_max_of(headers: &HeaderMap) -> Option<Duration> {
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

    #[test]
    fn a_step_gets_what_the_steps_before_have_left() {
        let headers = HeaderMap::from_iter([(
            http::HeaderName::from_static(TIMEOUT_HEADER),
            HeaderValue::from_static("10S"),
        )]);
        let came = Instant::now();
        let seconds = Duration::from_secs;
        let answer_by = answer_by(&headers, came);
        let cases = [(0, 20, 10), (0, 5, 5), (9, 20, 1), (10, 20, 0), (11, 20, 0)];
        for (passed, time_max, want) in cases {
            let left = time_left(answer_by, came + seconds(passed), seconds(time_max));
            assert_eq!(left, seconds(want), "{passed} s of 10 s have passed, at most {time_max} s");
        }
        assert_eq!(time_left(None, came, seconds(20)), seconds(20), "nothing was said");
    }
}
