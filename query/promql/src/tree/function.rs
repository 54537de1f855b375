//! The functions of PromQL: names and what they take and give.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/querying/functions/>, those behind feature flags included.

/// What an expression gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Scalar,
    /// An instant vector: one sample of each series.
    Vector,
    /// A range vector: samples of some length of time.
    Matrix,
    Text,
}

impl Kind {
    /// As Prometheus names it to people.
    pub(crate) fn documented(self) -> &'static str {
        match self {
            Kind::Scalar => "scalar",
            Kind::Vector => "instant vector",
            Kind::Matrix => "range vector",
            Kind::Text => "string",
        }
    }

    /// As Prometheus's API names it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Scalar => "scalar",
            Kind::Vector => "vector",
            Kind::Matrix => "matrix",
            Kind::Text => "string",
        }
    }
}

/// How many more arguments than the least a function takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    None,
    UpTo(usize),
    /// Any number.
    Many,
}

/// A function. With [`More`] than none, the last of `arguments` may be left out, and repeated.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: &'static str,
    pub arguments: &'static [Kind],
    pub more: More,
    pub returns: Kind,
}

impl Function {
    /// The one of that name.
    pub fn named(name: &str) -> Option<&'static Function> {
        FUNCTIONS.iter().find(|function| function.name == name)
    }

    pub(crate) fn argument(&self, at: usize) -> Option<Kind> {
        let last = if self.more == More::None { None } else { self.arguments.last() };
        self.arguments.get(at).or(last).copied()
    }
}

const fn vector(name: &'static str, arguments: &'static [Kind], more: More) -> Function {
    Function { name, arguments, more, returns: Kind::Vector }
}

const fn of_vector(name: &'static str) -> Function {
    vector(name, &[Kind::Vector], More::None)
}

const fn of_matrix(name: &'static str) -> Function {
    vector(name, &[Kind::Matrix], More::None)
}

/// Of a vector of times, or of the time of evaluation.
const fn of_time(name: &'static str) -> Function {
    vector(name, &[Kind::Vector], More::UpTo(1))
}

const fn scalar(name: &'static str, arguments: &'static [Kind]) -> Function {
    Function { name, arguments, more: More::None, returns: Kind::Scalar }
}

use Kind::{Matrix, Scalar, Text, Vector};

/// All of them, by name.
pub static FUNCTIONS: [Function; 91] = [
    of_vector("abs"),
    of_vector("absent"),
    of_matrix("absent_over_time"),
    of_vector("acos"),
    of_vector("acosh"),
    of_vector("asin"),
    of_vector("asinh"),
    of_vector("atan"),
    of_vector("atanh"),
    of_matrix("avg_over_time"),
    of_vector("ceil"),
    of_matrix("changes"),
    vector("clamp", &[Vector, Scalar, Scalar], More::None),
    vector("clamp_max", &[Vector, Scalar], More::None),
    vector("clamp_min", &[Vector, Scalar], More::None),
    of_vector("cos"),
    of_vector("cosh"),
    of_matrix("count_over_time"),
    of_time("day_of_month"),
    of_time("day_of_week"),
    of_time("day_of_year"),
    of_time("days_in_month"),
    of_vector("deg"),
    of_matrix("delta"),
    of_matrix("deriv"),
    vector("double_exponential_smoothing", &[Matrix, Scalar, Scalar], More::None),
    scalar("end", &[]),
    of_vector("exp"),
    of_matrix("first_over_time"),
    of_vector("floor"),
    of_vector("histogram_avg"),
    of_vector("histogram_count"),
    vector("histogram_fraction", &[Scalar, Scalar, Vector], More::None),
    vector("histogram_quantile", &[Scalar, Vector], More::None),
    vector("histogram_quantiles", &[Vector, Text, Scalar, Scalar], More::UpTo(9)),
    of_vector("histogram_stddev"),
    of_vector("histogram_stdvar"),
    of_vector("histogram_sum"),
    of_time("hour"),
    of_matrix("idelta"),
    of_matrix("increase"),
    vector("info", &[Vector, Vector], More::UpTo(1)),
    vector("integral", &[Matrix, Scalar], More::UpTo(1)),
    of_matrix("irate"),
    vector("label_join", &[Vector, Text, Text, Text], More::Many),
    vector("label_replace", &[Vector, Text, Text, Text, Text], More::None),
    of_matrix("last_over_time"),
    of_vector("ln"),
    of_vector("log10"),
    of_vector("log2"),
    of_matrix("mad_over_time"),
    scalar("max_of", &[Scalar, Scalar]),
    of_matrix("max_over_time"),
    scalar("min_of", &[Scalar, Scalar]),
    of_matrix("min_over_time"),
    of_time("minute"),
    of_time("month"),
    scalar("pi", &[]),
    vector("predict_linear", &[Matrix, Scalar], More::None),
    of_matrix("present_over_time"),
    vector("quantile_over_time", &[Scalar, Matrix], More::None),
    of_vector("rad"),
    scalar("range", &[]),
    of_matrix("rate"),
    of_matrix("resets"),
    vector("round", &[Vector, Scalar], More::UpTo(1)),
    scalar("scalar", &[Vector]),
    of_vector("sgn"),
    of_vector("sin"),
    of_vector("sinh"),
    of_vector("sort"),
    vector("sort_by_label", &[Vector, Text], More::Many),
    vector("sort_by_label_desc", &[Vector, Text], More::Many),
    of_vector("sort_desc"),
    of_vector("sqrt"),
    scalar("start", &[]),
    of_vector("start_timestamp"),
    of_matrix("stddev_over_time"),
    of_matrix("stdvar_over_time"),
    scalar("step", &[]),
    of_matrix("sum_over_time"),
    of_vector("tan"),
    of_vector("tanh"),
    scalar("time", &[]),
    of_vector("timestamp"),
    of_matrix("ts_of_first_over_time"),
    of_matrix("ts_of_last_over_time"),
    of_matrix("ts_of_max_over_time"),
    of_matrix("ts_of_min_over_time"),
    vector("vector", &[Scalar], More::None),
    of_time("year"),
];
