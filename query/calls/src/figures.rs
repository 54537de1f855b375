//! The golden metrics of a set of calls, ready to be shown: rate, errors, latency, saturation.

use crate::cell_key::Evidence;
use crate::measure::Measure;

/// Golden metrics over some seconds. Counts are weights: whole numbers unless spans were sampled.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    pub requests: f64,
    /// Requests a second.
    pub rate: f64,
    pub errors: f64,
    /// 0..=1.
    pub error_ratio: f64,
    pub client_errors: f64,
    pub aborted: f64,
    /// Milliseconds, within 1.09 % of the nearest rank; `None` when no call was timed.
    pub p50_ms: Option<f64>,
    pub p90_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    /// Milliseconds, exact.
    pub max_ms: Option<f64>,
    /// Bytes of request and response bodies; `None` where counted from spans, which do not know them.
    pub bytes_in: Option<f64>,
    pub bytes_out: Option<f64>,
    /// Calls in progress on average, see [`Measure::concurrency`].
    pub concurrency: f64,
}

impl Figures {
    /// The figures of `measure`, observed over `seconds`.
    pub fn of(measure: &Measure, evidence: Evidence, seconds: f64) -> Figures {
        // Spans do not know bytes, but a connection under them may.
        let bytes = |sum: f64| (evidence == Evidence::Requests || sum > 0.0).then_some(sum);
        Figures {
            requests: measure.requests(),
            rate: measure.requests() / seconds,
            errors: measure.errors(),
            error_ratio: measure.error_ratio(),
            client_errors: measure.client_errors(),
            aborted: measure.aborted(),
            p50_ms: measure.quantile_ms(0.5),
            p90_ms: measure.quantile_ms(0.9),
            p95_ms: measure.quantile_ms(0.95),
            p99_ms: measure.quantile_ms(0.99),
            max_ms: measure.max_ms(),
            bytes_in: bytes(measure.bytes_in()),
            bytes_out: bytes(measure.bytes_out()),
            concurrency: measure.concurrency(seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use meshlake_schema::Outcome;

    use super::*;
    use crate::measure::{MILLI, Observation, Protocol};

    #[test]
    fn a_rate_is_requests_over_seconds_and_spans_have_no_bytes() {
        let call = |outcome, calls, bytes_in| Observation {
            weight: calls * MILLI,
            outcome,
            duration_nano: 1_000_000,
            timed: true,
            sized: true,
            bytes_in,
            bytes_out: 0,
            protocol: Protocol::Http,
        };
        let mut measure = Measure::default();
        measure.add(&call(Outcome::Ok, 27, 7));
        measure.add(&call(Outcome::Error, 3, 7));
        let figures = Figures::of(&measure, Evidence::Requests, 60.0);
        assert_eq!((figures.rate, figures.error_ratio, figures.bytes_in), (0.5, 0.1, Some(210.0)));
        let mut spans = Measure::default();
        spans.add(&call(Outcome::Ok, 1, 0));
        assert_eq!(Figures::of(&spans, Evidence::Spans, 60.0).bytes_in, None);
        assert_eq!(Figures::of(&spans, Evidence::Requests, 60.0).bytes_in, Some(0.0));
    }
}
