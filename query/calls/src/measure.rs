//! The sums that describe a set of calls: counts by outcome, latency, bytes.
//!
//! Everything here is additive, so the order in which rows arrive and the way cells are grouped later
//! cannot change an answer. A sampled span stands for several calls, not always a whole number of them, so
//! calls are counted in thousandths, as integers.

use meshlake_schema::{LatencyHistogram, Outcome};

/// What was spoken on a call, as far as its observer could tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
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
    pub const ALL: [Protocol; 6] = [
        Protocol::Http,
        Protocol::Grpc,
        Protocol::Tcp,
        Protocol::Database,
        Protocol::Messaging,
        Protocol::Unknown,
    ];

    pub fn named(name: &str) -> Option<Protocol> {
        Protocol::ALL.into_iter().find(|protocol| protocol.name() == name)
    }

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

/// Calls are counted in thousandths, whole numbers, so that no order of adding changes a sum.
pub const MILLI: u64 = 1_000;

/// The sum of calls, or of shares of calls. Of none it is 0, where `Iterator::sum` makes it -0, which people would see.
pub fn total(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |sum, value| sum + value)
}

/// A span's `adjusted_count` in thousandths of a call; one call where it makes no sense.
pub fn milli(adjusted_count: Option<f64>) -> u64 {
    let count = adjusted_count.filter(|count| count.is_finite() && *count > 0.0).unwrap_or(1.0);
    ((count * MILLI as f64).round() as u64).max(1)
}

/// The outcome that the text in the `outcome` column stands for.
pub fn outcome_of(text: Option<&str>) -> Outcome {
    let all = [Outcome::Ok, Outcome::ClientError, Outcome::Error, Outcome::Aborted];
    all.into_iter().find(|outcome| Some(outcome.name()) == text).unwrap_or(Outcome::Ok)
}

/// One call, or one received side of one, as it is counted.
#[derive(Debug, Clone, Copy)]
pub struct Observation {
    /// How many calls it stands for, in thousandths.
    pub weight: u64,
    pub outcome: Outcome,
    pub duration_nano: i64,
    /// Whether the duration is that of a request. A connection's life is not a latency, though it does
    /// count as concurrency.
    pub timed: bool,
    /// Whether the bytes are those of a request and its response, and not of a connection's or a stream's life.
    pub sized: bool,
    pub bytes_in: i64,
    pub bytes_out: i64,
    pub protocol: Protocol,
}

/// What is known of a call's two sides, in calls and not in thousandths of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Halves {
    /// Tries after the first.
    pub retries: u64,
    /// The caller's side was seen.
    pub is_made: bool,
    /// Received sides seen.
    pub received: u64,
    /// Received sides that there should be.
    pub expected: u64,
}

/// Sums over calls. Counts are in thousandths of a call.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measure {
    requests: u64,
    errors: u64,
    client_errors: u64,
    aborted: u64,
    retries: u64,
    /// Calls whose caller's side was seen, and received sides seen.
    made: u64,
    received: u64,
    /// Received sides that there should be, and those of them whose caller's side was seen.
    expected: u64,
    joined: u64,
    /// Received sides whose parent span is not stored.
    lost: u64,
    bytes_in: u64,
    bytes_out: u64,
    /// Sum of all durations times their weight, microseconds, connections included. Of nanoseconds, 64 bits would
    /// end at a day of 200 calls in progress.
    duration: u64,
    /// Sum of the squares of the weights, in thousandths of a call squared. 0 where it is not known.
    squares: u64,
    latency: LatencyHistogram,
    protocols: [u64; Protocol::ALL.len()],
}

/// The sums of a [`Measure`] under the names of their columns in settled tables.
pub const SUMS: [&str; 14] = [
    "requests_milli",
    "errors_milli",
    "client_errors_milli",
    "aborted_milli",
    "retries_milli",
    "made_milli",
    "received_milli",
    "expected_milli",
    "joined_milli",
    "lost_milli",
    "request_bytes_milli",
    "response_bytes_milli",
    "duration_micros_milli",
    "weight_squares_milli",
];

/// How large requests and responses were, as histograms of bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sizes {
    pub request: LatencyHistogram,
    pub response: LatencyHistogram,
}

impl Sizes {
    pub fn add(&mut self, call: &Observation) {
        self.request.record(call.bytes_in.max(0).unsigned_abs(), call.weight);
        self.response.record(call.bytes_out.max(0).unsigned_abs(), call.weight);
    }

    pub fn merge(&mut self, other: &Sizes) {
        self.request.merge(&other.request);
        self.response.merge(&other.response);
    }
}

/// Of a number of thousandths, in thousandths.
fn square(milli: u64) -> u64 {
    // Of weights below four million calls the square fits 64 bits, where dividing takes no call.
    let wide =
        || u64::try_from(u128::from(milli) * u128::from(milli) / u128::from(MILLI)).unwrap_or(u64::MAX);
    milli.checked_mul(milli).map_or_else(wide, |square| square / MILLI)
}

fn calls(milli: u64) -> f64 {
    milli as f64 / MILLI as f64
}

impl Measure {
    pub fn add(&mut self, call: &Observation) {
        let weight = call.weight;
        let duration = call.duration_nano.max(0).unsigned_abs();
        self.requests += weight;
        match call.outcome {
            Outcome::Ok => {}
            Outcome::ClientError => self.client_errors += weight,
            Outcome::Error => self.errors += weight,
            Outcome::Aborted => self.aborted += weight,
        }
        self.add_bytes(call);
        self.duration = self.duration.saturating_add((duration / 1_000).saturating_mul(weight));
        self.squares = self.squares.saturating_add(square(weight));
        if call.timed {
            self.latency.record(duration, weight);
        }
        self.protocols[call.protocol as usize] += weight;
    }

    fn add_bytes(&mut self, call: &Observation) {
        let weighed = |bytes: i64| bytes.max(0).unsigned_abs().saturating_mul(call.weight);
        self.bytes_in = self.bytes_in.saturating_add(weighed(call.bytes_in));
        self.bytes_out = self.bytes_out.saturating_add(weighed(call.bytes_out));
    }

    /// Adds the bytes of another, and nothing else.
    pub fn merge_bytes(&mut self, other: &Measure) {
        self.bytes_in = self.bytes_in.saturating_add(other.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(other.bytes_out);
    }

    /// Adds what is known of the two sides of a call of this weight.
    pub fn add_sides(&mut self, weight: u64, sides: &Halves) {
        self.retries += weight * sides.retries;
        self.received += weight * sides.received;
        self.expected += weight * sides.expected.max(sides.received);
        if sides.is_made {
            self.made += weight;
            self.joined += weight * sides.received;
        }
    }

    /// Adds a received side of this weight, which is counted already, to those whose parent span is not stored.
    pub fn add_lost(&mut self, weight: u64) {
        self.lost += weight;
    }

    pub fn merge(&mut self, other: &Measure) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.client_errors += other.client_errors;
        self.aborted += other.aborted;
        self.retries += other.retries;
        self.made += other.made;
        self.received += other.received;
        self.expected += other.expected;
        self.joined += other.joined;
        self.lost += other.lost;
        self.bytes_in = self.bytes_in.saturating_add(other.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(other.bytes_out);
        self.duration = self.duration.saturating_add(other.duration);
        self.squares = self.squares.saturating_add(other.squares);
        self.latency.merge(&other.latency);
        for (sum, part) in self.protocols.iter_mut().zip(other.protocols) {
            *sum += part;
        }
    }

    /// In the order of [`SUMS`].
    pub fn sums(&self) -> [u64; SUMS.len()] {
        [
            self.requests,
            self.errors,
            self.client_errors,
            self.aborted,
            self.retries,
            self.made,
            self.received,
            self.expected,
            self.joined,
            self.lost,
            self.bytes_in,
            self.bytes_out,
            self.duration,
            self.squares,
        ]
    }

    /// The measure that has these sums, in the order of [`SUMS`], all of one protocol.
    pub fn of_sums(sums: [u64; SUMS.len()], protocol: Protocol, latency: LatencyHistogram) -> Measure {
        let [requests, errors, client_errors, aborted, retries, made, received, expected, joined, rest @ ..] =
            sums;
        let [lost, bytes_in, bytes_out, duration, squares] = rest;
        let mut protocols = [0; Protocol::ALL.len()];
        protocols[protocol as usize] = requests;
        Measure {
            requests,
            errors,
            client_errors,
            aborted,
            retries,
            made,
            received,
            expected,
            joined,
            lost,
            bytes_in,
            bytes_out,
            duration,
            squares,
            latency,
            protocols,
        }
    }

    pub fn latency(&self) -> &LatencyHistogram {
        &self.latency
    }

    pub fn requests(&self) -> f64 {
        calls(self.requests)
    }

    /// How many observations a call is worth, 0..=1: fewer than one where calls are known by a sample. Where weights are not
    /// known, as in cells of earlier versions, each call is one.
    ///
    /// Source: Kish, "Survey Sampling" (1965), 8.2: the effective size of a sample is the square of the sum of its weights
    /// over the sum of their squares. Exact while no row stands for more than 10^8 calls.
    pub fn effective_share(&self) -> f64 {
        if self.squares == 0 { 1.0 } else { (self.requests as f64 / self.squares as f64).min(1.0) }
    }

    /// The same in thousandths, exact.
    pub fn requests_milli(&self) -> u64 {
        self.requests
    }

    pub fn errors(&self) -> f64 {
        calls(self.errors)
    }

    pub fn client_errors(&self) -> f64 {
        calls(self.client_errors)
    }

    pub fn aborted(&self) -> f64 {
        calls(self.aborted)
    }

    pub fn retries(&self) -> f64 {
        calls(self.retries)
    }

    /// Calls whose caller's side was seen.
    pub fn made(&self) -> f64 {
        calls(self.made)
    }

    /// Received sides seen; tries count each.
    pub fn received(&self) -> f64 {
        calls(self.received)
    }

    /// Received sides whose parent span is not stored, in thousandths.
    pub fn lost_milli(&self) -> u64 {
        self.lost
    }

    /// How much of the calls both sides told of, 0..=1; `None` when there is nothing that could be told twice.
    pub fn completeness(&self) -> Option<f64> {
        (self.expected > 0).then(|| self.joined as f64 / self.expected as f64)
    }

    /// Bytes of request bodies; 0 where no observer knew.
    pub fn bytes_in(&self) -> f64 {
        calls(self.bytes_in)
    }

    pub fn bytes_out(&self) -> f64 {
        calls(self.bytes_out)
    }

    /// Errors as a share of requests, 0..=1; 0 when there were no requests.
    pub fn error_ratio(&self) -> f64 {
        if self.requests > 0 { self.errors as f64 / self.requests as f64 } else { 0.0 }
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
        self.duration as f64 / 1e6 / MILLI as f64 / seconds
    }

    /// The protocol of most calls; an unknown one only when nothing else was seen.
    pub fn protocol(&self) -> Protocol {
        let known = Protocol::ALL.into_iter().filter(|p| *p != Protocol::Unknown);
        let most = known.max_by(|a, b| {
            let of = |p: &Protocol| self.protocols[*p as usize];
            // On a tie the protocol listed first wins; max_by would take the last.
            of(a).cmp(&of(b)).then((*b as usize).cmp(&(*a as usize)))
        });
        most.filter(|p| self.protocols[*p as usize] > 0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 4 calls of weight 1 and 2 of weight 3: (4 + 6)^2 / (4 + 18) observations.
    #[test]
    fn sampled_calls_are_worth_fewer_observations() {
        let call = |weight| Observation {
            weight,
            outcome: Outcome::Ok,
            duration_nano: 1,
            timed: true,
            sized: false,
            bytes_in: 0,
            bytes_out: 0,
            protocol: Protocol::Http,
        };
        let mut measure = Measure::default();
        (0..4).for_each(|_| measure.add(&call(MILLI)));
        assert_eq!((measure.requests(), measure.effective_share()), (4.0, 1.0));
        (0..2).for_each(|_| measure.add(&call(3 * MILLI)));
        assert!((measure.requests() * measure.effective_share() - 100.0 / 22.0).abs() < 1e-12);
        let mut sums = measure.sums();
        sums[SUMS.len() - 1] = 0;
        let earlier = Measure::of_sums(sums, Protocol::Http, LatencyHistogram::default());
        assert_eq!(earlier.effective_share(), 1.0, "nothing is known of weights");
        measure.merge(&earlier);
        assert!(
            (measure.effective_share() - 20.0 / 22.0).abs() < 1e-12,
            "twenty calls, of ten of which weights are known"
        );
    }

    fn call(outcome: Outcome, millis: i64) -> Observation {
        Observation {
            weight: MILLI,
            outcome,
            duration_nano: millis * 1_000_000,
            timed: true,
            sized: true,
            bytes_in: 10,
            bytes_out: 100,
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
            (measure.requests(), measure.errors(), measure.client_errors(), measure.aborted()),
            (5.0, 1.0, 1.0, 1.0)
        );
        assert_eq!(measure.error_ratio(), 0.2);
        assert_eq!((measure.bytes_in(), measure.bytes_out()), (50.0, 500.0));
    }

    #[test]
    fn a_sampled_span_counts_as_many_calls() {
        let mut measure = Measure::default();
        measure.add(&Observation { weight: 4 * MILLI, ..call(Outcome::Error, 10) });
        measure.add(&call(Outcome::Ok, 10));
        assert_eq!((measure.requests(), measure.errors(), measure.error_ratio()), (5.0, 4.0, 0.8));
    }

    /// As doubles, 0.1 + 0.2 + 0.3 depends on what is added first: 0.6 or 0.6000000000000001.
    #[test]
    fn no_order_of_adding_changes_a_sum() {
        let weights = [0.1, 0.2, 0.3].map(|count| milli(Some(count)));
        let sum = |weights: &[u64]| {
            let mut measure = Measure::default();
            for weight in weights {
                measure.add(&Observation { weight: *weight, ..call(Outcome::Ok, 1) });
            }
            measure
        };
        let turned = [weights[2], weights[1], weights[0]];
        assert_eq!(sum(&weights), sum(&turned));
        assert_eq!(sum(&weights).requests(), 0.6);
    }

    #[test]
    fn a_weight_that_makes_no_sense_is_one_call() {
        for count in [None, Some(f64::NAN), Some(-1.0), Some(0.0), Some(f64::INFINITY)] {
            assert_eq!(milli(count), MILLI, "{count:?}");
        }
        assert_eq!((milli(Some(1.0 / 3.0)), milli(Some(1e-9))), (333, 1));
    }

    #[test]
    fn completeness_is_the_share_told_by_both_sides() {
        let mut measure = Measure::default();
        assert_eq!(measure.completeness(), None);
        let both = Halves { retries: 0, is_made: true, received: 1, expected: 1 };
        measure.add_sides(MILLI, &both);
        measure.add_sides(MILLI, &Halves { received: 0, ..both });
        measure.add_sides(2 * MILLI, &Halves { is_made: false, ..both });
        assert_eq!((measure.made(), measure.received(), measure.completeness()), (2.0, 3.0, Some(0.25)));
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
        assert_eq!((measure.requests(), measure.quantile_ms(0.5), measure.max_ms()), (1.0, None, None));
        assert_eq!((measure.concurrency(60.0), measure.protocol()), (1.0, Protocol::Tcp));
    }

    #[test]
    fn the_protocol_of_most_calls_names_the_edge() {
        let mut measure = Measure::default();
        assert_eq!(measure.protocol(), Protocol::Unknown);
        measure.add(&Observation { protocol: Protocol::Unknown, weight: 9 * MILLI, ..call(Outcome::Ok, 1) });
        measure.add(&Observation { protocol: Protocol::Grpc, ..call(Outcome::Ok, 1) });
        assert_eq!(measure.protocol(), Protocol::Grpc);
        measure.add(&call(Outcome::Ok, 1));
        assert_eq!(measure.protocol(), Protocol::Http, "the first listed wins a tie");
    }

    #[test]
    fn a_negative_duration_is_a_zero_one() {
        let mut measure = Measure::default();
        measure.add(&call(Outcome::Ok, -5));
        assert_eq!((measure.max_ms(), measure.concurrency(1.0)), (Some(0.0), 0.0));
    }
}
