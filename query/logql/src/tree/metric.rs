//! Queries for numbers: lines counted or measured over time, and what PromQL does with the series of it.

use meshlake_promql::tree::{Aggregator, Matching, Operator};

use super::log::{Condition, Log};

/// An expression that is a vector, or a number.
#[derive(Debug, Clone, PartialEq)]
pub enum Metric {
    Number(f64),
    /// `vector(1)`.
    Vector(f64),
    OverTime(Box<OverTime>),
    Aggregate(Box<Aggregate>),
    Sort {
        operand: Box<Metric>,
        is_descending: bool,
    },
    Replace(Box<Replace>),
    Binary(Box<Binary>),
}

/// What lines in a window before each instant come to.
#[derive(Debug, Clone, PartialEq)]
pub struct OverTime {
    pub function: Function,
    pub log: Log,
    pub unwrap: Option<Unwrap>,
    /// How long the window is, nanoseconds, above 0. It has its end and not its start.
    pub range_nano: i64,
    /// How long before the instant it ends, nanoseconds.
    pub offset_nano: i64,
    pub grouping: Option<Grouping>,
}

/// Of the lines alone, or of a number of each, if the query unwraps one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    /// Lines a second; with numbers, their sum a second.
    Rate,
    CountOverTime,
    BytesRate,
    BytesOverTime,
    AbsentOverTime,
    RateCounter,
    SumOverTime,
    AvgOverTime,
    MinOverTime,
    MaxOverTime,
    FirstOverTime,
    LastOverTime,
    StdvarOverTime,
    StddevOverTime,
    QuantileOverTime(f64),
}

/// Which label is a number, and the stages behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Unwrap {
    pub label: String,
    pub conversion: Conversion,
    pub filters: Vec<Condition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversion {
    Number,
    /// Of a duration, in seconds; `duration_seconds` says it in full.
    Duration,
    Bytes,
}

/// Labels that series keep, or do without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    pub is_without: bool,
    pub labels: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    pub aggregator: Aggregator,
    /// Of `topk` and its like.
    pub parameter: Option<f64>,
    pub grouping: Option<Grouping>,
    pub operand: Metric,
}

/// `label_replace`.
#[derive(Debug, Clone, PartialEq)]
pub struct Replace {
    pub operand: Metric,
    pub destination: String,
    pub replacement: String,
    pub source: String,
    /// One that reads.
    pub expression: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Binary {
    pub operator: Operator,
    pub returns_bool: bool,
    pub matching: Matching,
    pub left: Metric,
    pub right: Metric,
}

impl Function {
    /// The function of that name; one that has a parameter with none yet.
    pub fn named(name: &str) -> Option<Function> {
        NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, function)| function)
    }

    pub fn name(self) -> &'static str {
        let is_same = |known: Function| std::mem::discriminant(&known) == std::mem::discriminant(&self);
        NAMES.into_iter().find(|(_, known)| is_same(*known)).map_or("", |(name, _)| name)
    }

    /// Whether it takes numbers: always, never, or as the query is.
    pub fn takes_numbers(self) -> Option<bool> {
        match self {
            Function::Rate | Function::AbsentOverTime => None,
            Function::CountOverTime | Function::BytesRate | Function::BytesOverTime => Some(false),
            _ => Some(true),
        }
    }

    /// Whether it may have a grouping of its own.
    pub fn may_group(self) -> bool {
        use Function::{
            AvgOverTime, FirstOverTime, LastOverTime, MaxOverTime, MinOverTime, QuantileOverTime,
            StddevOverTime, StdvarOverTime,
        };
        matches!(
            self,
            AvgOverTime
                | FirstOverTime
                | LastOverTime
                | MaxOverTime
                | MinOverTime
                | QuantileOverTime(_)
                | StddevOverTime
                | StdvarOverTime
        )
    }
}

const NAMES: [(&str, Function); 15] = [
    ("rate", Function::Rate),
    ("count_over_time", Function::CountOverTime),
    ("bytes_rate", Function::BytesRate),
    ("bytes_over_time", Function::BytesOverTime),
    ("absent_over_time", Function::AbsentOverTime),
    ("rate_counter", Function::RateCounter),
    ("sum_over_time", Function::SumOverTime),
    ("avg_over_time", Function::AvgOverTime),
    ("min_over_time", Function::MinOverTime),
    ("max_over_time", Function::MaxOverTime),
    ("first_over_time", Function::FirstOverTime),
    ("last_over_time", Function::LastOverTime),
    ("stdvar_over_time", Function::StdvarOverTime),
    ("stddev_over_time", Function::StddevOverTime),
    ("quantile_over_time", Function::QuantileOverTime(0.0)),
];

impl Metric {
    /// Whether it is one number and no vector.
    pub fn is_number(&self) -> bool {
        match self {
            Metric::Number(_) => true,
            Metric::Binary(binary) => binary.left.is_number() && binary.right.is_number(),
            _ => false,
        }
    }

    /// Its range aggregations in the order written, each with the grouping that its series may be made with from the start.
    ///
    /// The sum of sums is a sum: where `sum by (l)` stands right around a function that adds up, lines are added to the
    /// groups at once, and what would be a series for each value of another label never is one.
    pub fn over_time(&self) -> Vec<(&OverTime, Option<&Grouping>)> {
        let mut found = Vec::new();
        self.collect(None, &mut found);
        found
    }

    fn collect<'m>(
        &'m self,
        around: Option<(Aggregator, &'m Grouping)>,
        found: &mut Vec<(&'m OverTime, Option<&'m Grouping>)>,
    ) {
        match self {
            Metric::Number(_) | Metric::Vector(_) => {}
            Metric::OverTime(over_time) => {
                let around = around.filter(|(aggregator, _)| over_time.function.is_folded_by(*aggregator));
                let grouping = over_time.grouping.as_ref().or(around.map(|(_, grouping)| grouping));
                found.push((over_time, grouping));
            }
            Metric::Aggregate(aggregate) => {
                let grouping = aggregate.grouping.as_ref().unwrap_or(&NO_LABELS);
                aggregate.operand.collect(Some((aggregate.aggregator, grouping)), found);
            }
            Metric::Sort { operand, .. } => operand.collect(None, found),
            Metric::Replace(replace) => replace.operand.collect(None, found),
            Metric::Binary(binary) => {
                binary.left.collect(None, found);
                binary.right.collect(None, found);
            }
        }
    }
}

static NO_LABELS: Grouping = Grouping { is_without: false, labels: Vec::new() };

impl Function {
    fn is_folded_by(self, aggregator: Aggregator) -> bool {
        use Function::{
            BytesOverTime, BytesRate, CountOverTime, MaxOverTime, MinOverTime, Rate, SumOverTime,
        };
        match aggregator {
            Aggregator::Sum => {
                matches!(self, Rate | CountOverTime | BytesRate | BytesOverTime | SumOverTime)
            }
            Aggregator::Min => matches!(self, MinOverTime),
            Aggregator::Max => matches!(self, MaxOverTime),
            _ => false,
        }
    }
}
