//! What is written: series whose values are of every odd kind, in messages of remote write 1.0.
//!
//! ```text
//! g    gauges: quarters, with NaN, both infinities, both zeros; gaps, ends, a single sample, a late begin
//! c    counters: resets, a constant one, one beyond 2^53, one sample
//! t    gauges of whole numbers, no two alike: what is counted by value or chosen by rank
//! h    a classic histogram a zone, one whose buckets shrink, one without its last bucket
//! n    native histograms: two schemas, a reset, buckets below zero, custom buckets in series of their own
//! ```
//! Values are quarters, so that no order of adding changes a sum in its last digit. Source of the message:
//! <https://prometheus.io/docs/specs/prw/remote_write_spec/>.

use anyhow::Result;
use prost::Message;

use super::histograms::{Histogram, custom, exponential};

/// Between two samples, milliseconds, and how many there are of a series without gaps: forty minutes.
pub const STEP: i64 = 15_000;
pub const COUNT: i64 = 160;

/// What says that a series has ended. Source: Prometheus, model/value.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Series of one message: Prometheus's own default has 2,000 samples.
const SERIES_A_BODY: usize = 12;

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<Series>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Series {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    histograms: Vec<Histogram>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// The messages, packed, of samples from `begin` on, milliseconds since the epoch.
pub fn bodies(begin: i64) -> Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    gauges(begin, &mut all);
    counters(begin, &mut all);
    classic(begin, &mut all);
    native(begin, &mut all);
    let body = |series: &[Series]| {
        let message = WriteRequest { timeseries: series.to_vec() }.encode_to_vec();
        Ok(snap::raw::Encoder::new().compress_vec(&message)?)
    };
    all.chunks(SERIES_A_BODY).map(body).collect()
}

fn series(labels: &[(&str, &str)]) -> Series {
    let mut labels: Vec<Label> = labels
        .iter()
        .map(|(name, value)| Label { name: (*name).to_owned(), value: (*value).to_owned() })
        .collect();
    labels.sort_by(|a, b| a.name.cmp(&b.name));
    Series { labels, ..Series::default() }
}

/// Adds what `value` gives for each number of a sample; none is a gap.
fn floats(begin: i64, labels: &[(&str, &str)], value: impl Fn(i64) -> Option<f64>) -> Series {
    let at = |number: i64| Some(Sample { value: value(number)?, timestamp: begin + number * STEP });
    Series { samples: (0..COUNT).filter_map(at).collect(), ..series(labels) }
}

/// A wave of quarters between -8 and 8, another for each `number`.
fn wave(number: i64, at: i64) -> f64 {
    let step = (at * (7 + number * 2) + number * 13) % 64;
    (step - 32) as f64 / 4.0
}

fn gauges(begin: i64, all: &mut Vec<Series>) {
    let stale = f64::from_bits(STALE);
    for (number, (zone, pod)) in
        [("a", "0"), ("a", "1"), ("b", "0"), ("b", "1"), ("b", "2")].into_iter().enumerate()
    {
        let number = number as i64;
        let labels = |name| [("__name__", name), ("zone", zone), ("pod", pod), ("job", "shop")];
        all.push(floats(begin, &labels("g"), |at| Some(wave(number, at))));
        all.push(floats(begin, &labels("t"), |at| Some(((at * 5 + number) % 40 * 5 + number) as f64)));
    }
    let odd = |pod: &'static str| [("__name__", "g"), ("zone", "odd"), ("pod", pod), ("job", "shop")];
    let values = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e-300];
    for (pod, value) in ["zero", "minus", "nan", "inf", "low", "huge", "tiny"].into_iter().zip(values) {
        // Odd half of the time, so that both neighbours are in a window.
        all.push(floats(begin, &odd(pod), move |at| Some(if at % 4 < 2 { value } else { wave(1, at) })));
    }
    all.push(floats(begin, &odd("gaps"), |at| (at % 40 < 10).then(|| wave(2, at))));
    all.push(floats(begin, &odd("one"), |at| (at == 80).then_some(4.25)));
    all.push(floats(begin, &odd("late"), |at| (at > 100).then(|| wave(3, at))));
    let ends = |at: i64| match at % 50 {
        ..20 => Some(wave(4, at)),
        20 => Some(stale),
        _ => None,
    };
    all.push(floats(begin, &odd("ends"), ends));
}

fn counters(begin: i64, all: &mut Vec<Series>) {
    for (number, (zone, code)) in
        [("a", "200"), ("a", "500"), ("b", "200"), ("b", "404")].into_iter().enumerate()
    {
        let number = number as i64;
        let labels = [("__name__", "c_total"), ("zone", zone), ("code", code), ("job", "shop")];
        // Begins anew after so many samples; the first value after it is not zero.
        let life = 37 + 20 * number;
        let value = move |at: i64| Some((at % life * (number + 1) + at % life % 3 + 2) as f64);
        all.push(floats(begin, &labels, value));
    }
    let odd =
        |code: &'static str| [("__name__", "c_total"), ("zone", "odd"), ("code", code), ("job", "shop")];
    all.push(floats(begin, &odd("flat"), |_| Some(7.0)));
    all.push(floats(begin, &odd("huge"), |at| Some(9e15 + (at * 1_024) as f64)));
    all.push(floats(begin, &odd("one"), |at| (at == 90).then_some(3.0)));
    all.push(floats(begin, &odd("gaps"), |at| (at % 30 < 12).then_some(at as f64)));
    let ends = |at: i64| match at {
        ..60 => Some(at as f64 * 2.0),
        60 => Some(f64::from_bits(STALE)),
        61..90 => None,
        _ => Some((at - 90) as f64),
    };
    all.push(floats(begin, &odd("ends"), ends));
}

fn classic(begin: i64, all: &mut Vec<Series>) {
    let bounds = ["0.25", "1", "4", "16", "+Inf"];
    for (zone, life) in [("a", 1_000), ("b", 61), ("shrinks", 1_000), ("cut", 1_000)] {
        for (place, bound) in bounds.into_iter().enumerate() {
            if zone == "cut" && bound == "+Inf" {
                continue;
            }
            let place = place as i64;
            let labels = [("__name__", "h_bucket"), ("zone", zone), ("le", bound), ("job", "shop")];
            let value = move |at: i64| {
                let each = [1, 4, 6, 9, 10][place as usize];
                // A bucket that has less than the one below, now and then.
                let shrink = i64::from(zone == "shrinks" && place == 2 && at % 7 == 0) * 5 * at;
                Some((at % life * each - shrink) as f64)
            };
            all.push(floats(begin, &labels, value));
        }
        let labels = |name| [("__name__", name), ("zone", zone), ("job", "shop")];
        all.push(floats(begin, &labels("h_count"), move |at| Some((at % life * 10) as f64)));
        all.push(floats(begin, &labels("h_sum"), move |at| Some((at % life) as f64 * 23.5)));
    }
}

fn native(begin: i64, all: &mut Vec<Series>) {
    let mut push = |name: &str, zone: &str, histogram: &dyn Fn(i64) -> Option<Histogram>| {
        let at = |number: i64| Some(histogram(number)?.at(begin + number * STEP));
        let labels = [("__name__", name), ("zone", zone), ("job", "shop")];
        all.push(Series { histograms: (0..COUNT).filter_map(at).collect(), ..series(&labels) });
    };
    push("n", "a", &|at| Some(exponential(1, at as u64 + 1)));
    // Begins anew, and is finer from then on.
    push("n", "b", &|at| {
        Some(if at < 70 { exponential(0, at as u64 + 3) } else { exponential(2, at as u64 - 69) })
    });
    push("n", "gaps", &|at| (at % 40 < 15).then(|| exponential(1, at as u64 + 2)));
    push("n", "one", &|at| (at == 75).then(|| exponential(1, 5)));
    push("k", "a", &|at| Some(custom(at as u64 + 1)));
    push("k", "b", &|at| Some(custom((at as u64) % 50 + 2)));
}
