//! Every function and operator over every kind of odd series, one after the other: what random queries may never put together.
//!
//! A query asks about all series of a kind at once, over a range from before their first sample to after the last, so that windows
//! hold none, one and many, begin or end at gaps, resets and ends of series, and have NaN, infinities and both zeros beside numbers.

use super::grammar::{
    AGGREGATIONS, ARITHMETIC, COMPARISONS, ELEMENTWISE, NUMBERS, OF_HISTOGRAMS, OVER_RANGE, SHARES,
};
use super::question::Question;
use super::samples::{COUNT, STEP};

const FLOATS: [&str; 3] = ["g{zone=\"odd\"}", "c_total", "h_bucket{zone=\"shrinks\"}"];
const HISTOGRAMS: [&str; 2] = ["n", "k"];
/// One sample, and many.
const RANGES: [&str; 2] = ["15s", "5m"];
/// No multiple of the time between samples.
const QUESTION_STEP: i64 = 97_000;

pub fn questions(begin: i64) -> Vec<Question> {
    let end = begin + COUNT * STEP + 300_000;
    let over = |query| Question::new(query, &[begin - 60_000, end, QUESTION_STEP]);
    [of_ranges(), of_values(), of_numbers(), of_groups()].concat().into_iter().map(over).collect()
}

fn kinds() -> impl Iterator<Item = &'static str> {
    FLOATS.into_iter().chain(HISTOGRAMS).chain(["nothing"])
}

fn of_ranges() -> Vec<String> {
    let mut queries = Vec::new();
    for (kind, range) in kinds().flat_map(|kind| RANGES.map(|range| (kind, range))) {
        queries.extend(OVER_RANGE.map(|function| format!("{function}({kind}[{range}])")));
        queries.push(format!("predict_linear({kind}[{range}], 60)"));
        queries.push(format!("double_exponential_smoothing({kind}[{range}], 0.5, 0.25)"));
    }
    for kind in FLOATS {
        queries.extend(SHARES.map(|share| format!("quantile_over_time({share}, {kind}[5m])")));
    }
    queries
}

fn of_values() -> Vec<String> {
    let mut queries = Vec::new();
    for kind in kinds() {
        queries
            .extend(ELEMENTWISE.iter().chain(&OF_HISTOGRAMS).map(|function| format!("{function}({kind})")));
    }
    for (function, number) in ["clamp_min", "clamp_max", "round"].iter().flat_map(|f| NUMBERS.map(|n| (f, n)))
    {
        queries.push(format!("{function}({}, {number})", FLOATS[0]));
    }
    queries
}

fn of_numbers() -> Vec<String> {
    let operators = ARITHMETIC.iter().chain(&COMPARISONS);
    let pairs = operators.flat_map(|operator| NUMBERS.map(|number| (operator, number)));
    pairs.map(|(operator, number)| format!("{} {operator} {number}", FLOATS[0])).collect()
}

fn of_groups() -> Vec<String> {
    let mut queries = Vec::new();
    for (kind, by) in kinds().flat_map(|kind| ["", " by (zone)"].map(|by| (kind, by))) {
        queries.extend(AGGREGATIONS.map(|aggregation| format!("{aggregation}{by}({kind})")));
        queries.extend(AGGREGATIONS.map(|aggregation| format!("{aggregation}{by}(rate({kind}[5m]))")));
    }
    queries.extend(SHARES.map(|share| format!("quantile by (zone) ({share}, {})", FLOATS[0])));
    queries
}
