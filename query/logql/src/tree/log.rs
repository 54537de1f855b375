//! Queries for lines: a selector of streams, and stages that each line goes through.

use meshlake_promql::Matcher;

use crate::matching::address::Addresses;
use crate::matching::expression::Expression;
use crate::matching::path::Path;
use crate::matching::pattern::Pattern;
use crate::template::Template;

/// Which streams, and what is done with their lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// At least one of them is not true of a label that is not there.
    pub matchers: Vec<Matcher>,
    pub stages: Vec<Stage>,
}

/// One step of a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    Lines(LineFilter),
    Parse(Parser),
    Labels(Condition),
    LineFormat(Template),
    /// Each label is set once.
    LabelFormat(Vec<Assignment>),
    Drop(Vec<Named>),
    Keep(Vec<Named>),
    Decolorize,
}

/// Lines with one of some things, or with none of them.
#[derive(Debug, Clone, PartialEq)]
pub struct LineFilter {
    pub is_negated: bool,
    pub test: LineTest,
    /// At least one. Addresses stand where the test is `Contains`.
    pub needles: Vec<Needle>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineTest {
    Contains,
    Expression,
    Pattern,
}

/// What a line is searched for.
#[derive(Debug, Clone, PartialEq)]
pub enum Needle {
    Text(String),
    Expression(Expression),
    Pattern(Pattern),
    Addresses(Addresses),
}

/// What makes labels of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Parser {
    /// Of all values, or of those at the paths.
    Json(Vec<(String, Path)>),
    Logfmt {
        /// Whether a mistake in a line is one, or passed over.
        is_strict: bool,
        keeps_empty: bool,
        /// Labels and the keys that they are of; all keys without any.
        wanted: Vec<(String, String)>,
    },
    Pattern(Pattern),
    Regexp(Expression),
    Unpack,
}

/// A condition on labels.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Text(Matcher),
    Quantity { label: String, comparison: Comparison, value: Quantity },
    Addresses { label: String, is_negated: bool, addresses: Addresses },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparison {
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Comparison::Equal => left == right,
            Comparison::NotEqual => left != right,
            Comparison::Greater => left > right,
            Comparison::GreaterOrEqual => left >= right,
            Comparison::Less => left < right,
            Comparison::LessOrEqual => left <= right,
        }
    }
}

/// What the value of a label is compared with, and read as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    Number(f64),
    Nanos(i64),
    Bytes(f64),
}

/// A label and what it is set to.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    pub label: String,
    pub value: Assigned,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Assigned {
    /// The value of another label, which goes.
    Label(String),
    Template(Template),
}

/// A label that is dropped or kept; with a matcher only if it is true.
#[derive(Debug, Clone, PartialEq)]
pub enum Named {
    Label(String),
    Matching(Matcher),
}

impl Named {
    pub fn label(&self) -> &str {
        match self {
            Named::Label(label) => label,
            Named::Matching(matcher) => &matcher.name,
        }
    }

    pub fn matches(&self, value: &str) -> bool {
        match self {
            Named::Label(_) => true,
            Named::Matching(matcher) => matcher.matches(value),
        }
    }
}
