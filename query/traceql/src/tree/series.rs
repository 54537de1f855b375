//! What makes series of spans: functions over time, and what is done with series.

use super::expr::Expr;
use super::field::Field;
use super::spans::{Aggregation, Pipeline};
use crate::value::{Arithmetic, Comparison};

/// Values of an attribute that `compare()` tells by default.
pub const COMPARED_VALUES: usize = 10;

/// Series over time.
#[derive(Debug, Clone, PartialEq)]
pub enum Series {
    OverTime(Box<OverTime>),
    /// At each instant the series with the greatest, or the least, values.
    Ranked {
        is_top: bool,
        count: usize,
        of: Box<Series>,
    },
    /// The values for which it holds; a duration is compared in seconds.
    Threshold {
        comparison: Comparison,
        limit: f64,
        of: Box<Series>,
    },
    /// One side is a number in at most one place.
    Arithmetic(Arithmetic, Box<Series>, Box<Series>),
    Number(f64),
}

/// One series for each combination of values of `by`.
#[derive(Debug, Clone, PartialEq)]
pub struct OverTime {
    pub spans: Pipeline,
    pub function: Function,
    pub by: Vec<Field>,
}

/// What is made of the spans that start within a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Function {
    /// Spans a second.
    Rate,
    CountOverTime,
    /// `min`, `max`, `avg` and `sum_over_time`.
    Over(Aggregation, Expr),
    QuantileOverTime(Expr, Vec<f64>),
    HistogramOverTime(Expr),
    /// How spans that a filter selects differ from the others.
    Compare {
        selection: Option<Expr>,
        /// Values told of an attribute, the most frequent.
        values_max: usize,
        /// Start and end in nanoseconds since the epoch: only spans within can be selected.
        within: Option<(i64, i64)>,
    },
}

/// By their words.
const FUNCTIONS: [&str; 9] = [
    "rate",
    "count_over_time",
    "min_over_time",
    "max_over_time",
    "avg_over_time",
    "sum_over_time",
    "quantile_over_time",
    "histogram_over_time",
    "compare",
];

impl Function {
    /// Whether a function is called so.
    pub(crate) fn is_word(word: &str) -> bool {
        FUNCTIONS.contains(&word)
    }

    pub fn word(&self) -> &'static str {
        match self {
            Function::Rate => "rate",
            Function::CountOverTime => "count_over_time",
            Function::Over(Aggregation::Min, _) => "min_over_time",
            Function::Over(Aggregation::Max, _) => "max_over_time",
            Function::Over(Aggregation::Avg, _) => "avg_over_time",
            Function::Over(..) => "sum_over_time",
            Function::QuantileOverTime(..) => "quantile_over_time",
            Function::HistogramOverTime(_) => "histogram_over_time",
            Function::Compare { .. } => "compare",
        }
    }

    /// What of a span is measured.
    pub fn measured(&self) -> Option<&Expr> {
        match self {
            Function::Over(_, expr) | Function::QuantileOverTime(expr, _) => Some(expr),
            Function::HistogramOverTime(expr) => Some(expr),
            Function::Rate | Function::CountOverTime | Function::Compare { .. } => None,
        }
    }
}

impl Series {
    /// All functions over time in it, in the order written.
    pub fn over_time(&self) -> Vec<&OverTime> {
        match self {
            Series::OverTime(over_time) => vec![over_time],
            Series::Ranked { of, .. } | Series::Threshold { of, .. } => of.over_time(),
            Series::Arithmetic(_, left, right) => [left.over_time(), right.over_time()].concat(),
            Series::Number(_) => Vec::new(),
        }
    }

    pub(crate) fn pipelines(&self) -> Vec<&Pipeline> {
        self.over_time().into_iter().map(|over_time| &over_time.spans).collect()
    }
}
