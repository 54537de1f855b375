//! The sums that describe a set of calls: counts by outcome, latency, bytes.
//!
//! Everything here is additive, so the order in which rows arrive and the way cells are grouped later
//! cannot change an answer. Counts are weights and not whole numbers, because a sampled span stands for
//! several calls.

use meshlake_schema::{LatencyHistogram, Outcome};

/// What was spoken on a call, as far as its observer could tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    Http,
    Grpc,
    Tcp,
    Database,
    Messaging,
    #[default]
    Unknown,
}

impl Protocol {
    const ALL: [Protocol; 6] = [
        Protocol::Http,
        Protocol::Grpc,
        Protocol::Tcp,
        Protocol::Database,
        Protocol::Messaging,
        Protocol::Unknown,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Http => "http",
            Protocol::Grpc => "grpc",
            Protocol::Tcp => "tcp",
            Protocol::Database => "database",
            Protocol::Messaging => "messaging",
            Protocol::Unknown => "unknown",
        }
    }
}

/// One call as one observer saw it.
#[derive(Debug, Clone, Copy)]
pub struct Observation {
    /// How many calls it stands for.
    pub weight: f64,
    pub outcome: Outcome,
    pub duration_nano: i64,
    /// Whether the duration is that of a request. A connection's life is not a latency, though it does
    /// count as concurrency.
    pub timed: bool,
    pub bytes_in: i64,
    pub bytes_out: i64,
    /// Tries after the first, made on the caller's side.
    pub retries: u64,
    /// How many calls should have reached the other side: one a try.
    pub sent: u64,
    pub protocol: Protocol,
}

/// Sums over calls.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measure {
    pub requests: f64,
    pub errors: f64,
    pub client_errors: f64,
    pub aborted: f64,
    pub retries: f64,
    /// Tries that left the caller.
    pub sent: f64,
    pub bytes_in: f64,
    pub bytes_out: f64,
    /// Sum of all durations, nanoseconds, connections included.
    pub duration_nano: f64,
    pub latency: LatencyHistogram,
    protocols: [f64; Protocol::ALL.len()],
}

impl Measure {
    pub fn add(&mut self, call: &Observation) {
        let weight = call.weight;
        let duration = call.duration_nano.max(0);
        self.requests += weight;
        match call.outcome {
            Outcome::Ok => {}
            Outcome::ClientError => self.client_errors += weight,
            Outcome::Error => self.errors += weight,
            Outcome::Aborted => self.aborted += weight,
        }
        self.retries += weight * call.retries as f64;
        self.sent += weight * call.sent as f64;
        self.bytes_in += weight * call.bytes_in.max(0) as f64;
        self.bytes_out += weight * call.bytes_out.max(0) as f64;
        self.duration_nano += weight * duration as f64;
        if call.timed {
            self.latency.record(duration.unsigned_abs(), weight);
        }
        self.protocols[call.protocol as usize] += weight;
    }

    pub fn merge(&mut self, other: &Measure) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.client_errors += other.client_errors;
        self.aborted += other.aborted;
        self.retries += other.retries;
        self.sent += other.sent;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.duration_nano += other.duration_nano;
        self.latency.merge(&other.latency);
        for (sum, part) in self.protocols.iter_mut().zip(other.protocols) {
            *sum += part;
        }
    }

    /// Errors as a share of requests, 0..=1; 0 when there were no requests.
    pub fn error_ratio(&self) -> f64 {
        if self.requests > 0.0 { self.errors / self.requests } else { 0.0 }
    }

    /// A quantile of latency in milliseconds; `None` when no call was timed.
    pub fn quantile_ms(&self, q: f64) -> Option<f64> {
        self.latency.quantile(q).map(|nanos| nanos / 1e6)
    }

    /// The longest call in milliseconds, exact; `None` when no call was timed.
    pub fn max_ms(&self) -> Option<f64> {
        self.latency.max_nano().map(|nanos| nanos as f64 / 1e6)
    }

    /// Calls in progress on average over `seconds`: arrival rate times mean duration (Little's law,
    /// L = lambda W), which is the sum of durations over the time observed. A call counts where it
    /// started, so the figure of a bucket shorter than its calls is an approximation.
    pub fn concurrency(&self, seconds: f64) -> f64 {
        self.duration_nano / 1e9 / seconds
    }

    /// The share of calls that are whole requests and not connections.
    pub fn requests_not_connections(&self) -> f64 {
        self.requests - self.protocols[Protocol::Tcp as usize]
    }

    /// The protocol of most calls; an unknown one only when nothing else was seen.
    pub fn protocol(&self) -> Protocol {
        let known = Protocol::ALL.into_iter().filter(|p| *p != Protocol::Unknown);
        let most = known.max_by(|a, b| {
            let of = |p: &Protocol| self.protocols[*p as usize];
            // On a tie the protocol listed first wins; max_by would take the last.
            of(a).total_cmp(&of(b)).then((*b as usize).cmp(&(*a as usize)))
        });
        most.filter(|p| self.protocols[*p as usize] > 0.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn call(outcome: Outcome, millis: i64) -> Observation {
        Observation {
            weight: 1.0,
            outcome,
            duration_nano: millis * 1_000_000,
            timed: true,
            bytes_in: 10,
            bytes_out: 100,
            retries: 0,
            sent: 1,
            protocol: Protocol::Http,
        }
    }

    #[test]
    fn outcomes_are_counted_apart() {
        let mut measure = Measure::default();
        for outcome in [Outcome::Ok, Outcome::Ok, Outcome::Error, Outcome::ClientError, Outcome::Aborted] {
            measure.add(&call(outcome, 1));
        }
        assert_eq!(
            (measure.requests, measure.errors, measure.client_errors, measure.aborted),
            (5.0, 1.0, 1.0, 1.0)
        );
        assert_eq!(measure.error_ratio(), 0.2);
        assert_eq!((measure.bytes_in, measure.bytes_out), (50.0, 500.0));
    }

    #[test]
    fn a_sampled_span_counts_as_many_calls() {
        let mut measure = Measure::default();
        measure.add(&Observation { weight: 4.0, ..call(Outcome::Error, 10) });
        measure.add(&call(Outcome::Ok, 10));
        assert_eq!((measure.requests, measure.errors, measure.error_ratio()), (5.0, 4.0, 0.8));
    }

    #[test]
    fn concurrency_is_the_sum_of_durations_over_time() {
        let mut measure = Measure::default();
        // 20 calls of 500 ms in 10 s: 2 calls a second, 0.5 s each, one in progress on average.
        for _ in 0..20 {
            measure.add(&call(Outcome::Ok, 500));
        }
        assert_eq!(measure.concurrency(10.0), 1.0);
    }

    #[test]
    fn a_connection_counts_without_a_latency() {
        let mut measure = Measure::default();
        measure.add(&Observation { timed: false, protocol: Protocol::Tcp, ..call(Outcome::Ok, 60_000) });
        assert_eq!((measure.requests, measure.quantile_ms(0.5), measure.max_ms()), (1.0, None, None));
        assert_eq!((measure.concurrency(60.0), measure.protocol()), (1.0, Protocol::Tcp));
    }

    #[test]
    fn the_protocol_of_most_calls_names_the_edge() {
        let mut measure = Measure::default();
        assert_eq!(measure.protocol(), Protocol::Unknown);
        measure.add(&Observation { protocol: Protocol::Unknown, weight: 9.0, ..call(Outcome::Ok, 1) });
        measure.add(&Observation { protocol: Protocol::Grpc, ..call(Outcome::Ok, 1) });
        assert_eq!(measure.protocol(), Protocol::Grpc);
        measure.add(&call(Outcome::Ok, 1));
        assert_eq!(measure.protocol(), Protocol::Http, "the first listed wins a tie");
    }

    #[test]
    fn a_negative_duration_is_a_zero_one() {
        let mut measure = Measure::default();
        measure.add(&call(Outcome::Ok, -5));
        assert_eq!((measure.max_ms(), measure.duration_nano), (Some(0.0), 0.0));
    }
}
