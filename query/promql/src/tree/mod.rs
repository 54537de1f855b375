//! The syntax tree of a query, with positions.
//!
//! It says what was written, so that it can be written again: parentheses, durations given as formulas and the
//! order of matchers are kept. What they mean for one question, with its start, end and step, is the plan's matter.

mod pretty;
mod print;
pub mod function;

use crate::matcher::Matcher;
pub use function::{Function, Kind};

/// Bytes of the text from `start` up to `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

/// A part of a query, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    pub span: Span,
    pub node: Node,
}

/// What an expression is.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    Number(Number),
    Text(String),
    Selector(Selector),
    /// A selector with a range: the samples of that long.
    Range(Box<Selector>, Length),
    Subquery(Box<Subquery>),
    Call(&'static Function, Vec<Expr>),
    Aggregation(Box<Aggregation>),
    Binary(Box<Binary>),
    /// A sign before an expression that is no number.
    Sign(Sign, Box<Expr>),
    Parenthesis(Box<Expr>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    Plus,
    Minus,
}

/// A number; one that was written as a duration is its seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    pub value: f64,
    pub is_duration: bool,
}

/// A length of time.
#[derive(Debug, Clone, PartialEq)]
pub enum Length {
    Milliseconds(i64),
    /// What depends on the question's step or range.
    Formula(Span, Formula),
}

impl Length {
    pub(crate) const ZERO: Length = Length::Milliseconds(0);
}

/// Arithmetic of durations, in seconds.
#[derive(Debug, Clone, PartialEq)]
pub enum Formula {
    Seconds(Number),
    /// The question's step; zero for an instant.
    Step,
    /// From the question's start to its end.
    Range,
    Least(Box<Formula>, Box<Formula>),
    Greatest(Box<Formula>, Box<Formula>),
    Negative(Box<Formula>),
    Binary(Operator, Box<Formula>, Box<Formula>),
    Parenthesis(Box<Formula>),
}

/// The instant that `@` pins a selector to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Milliseconds since the epoch.
    Time(i64),
    Start,
    End,
}

/// How the ends of a range are filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edges {
    /// The last value before the range counts as its first.
    Anchored,
    /// Values at both ends lie on lines between the samples inside and outside.
    Smoothed,
}

/// Which series, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Selector {
    /// The name before the braces; its matcher is among `matchers` too, the last.
    pub name: Option<String>,
    pub matchers: Vec<Matcher>,
    pub offset: Length,
    pub at: Option<At>,
    pub edges: Option<Edges>,
}

/// An expression evaluated over a range of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Subquery {
    pub operand: Expr,
    pub range: Length,
    pub step: Option<Length>,
    pub offset: Length,
    pub at: Option<At>,
}

/// Series made one.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregation {
    pub aggregator: Aggregator,
    pub grouping: Vec<String>,
    /// Whether `grouping` names what is left out.
    pub without: bool,
    pub parameter: Option<Expr>,
    pub operand: Expr,
}

/// Two operands.
#[derive(Debug, Clone, PartialEq)]
pub struct Binary {
    pub operator: Operator,
    /// Where the operator stands.
    pub operator_at: usize,
    pub left: Expr,
    pub right: Expr,
    pub returns_bool: bool,
    pub matching: Matching,
}

/// Which series of two vectors belong together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matching {
    pub cardinality: Cardinality,
    /// Whether `labels` are the only ones that count, else they are those that do not.
    pub on: bool,
    pub labels: Vec<String>,
    /// Labels that the many take from the one.
    pub include: Vec<String>,
    pub fill_left: Option<f64>,
    pub fill_right: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cardinality {
    #[default]
    OneToOne,
    /// `group_left`.
    ManyToOne,
    /// `group_right`.
    OneToMany,
}

/// Names with the text they are written as.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($variant),+ }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            pub fn text(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }

            /// The one written so, in whatever case.
            pub(crate) fn named(text: &str) -> Option<$name> {
                Self::ALL.iter().copied().find(|word| word.text().eq_ignore_ascii_case(text))
            }
        }
    };
}
pub(crate) use words;

words! {
    /// An operator between two operands.
    Operator {
        Add = "+", Subtract = "-", Multiply = "*", Divide = "/", Modulo = "%", Power = "^", Atan2 = "atan2",
        Equal = "==", NotEqual = "!=", Greater = ">", Less = "<", GreaterOrEqual = ">=", LessOrEqual = "<=",
        TrimUpper = "</", TrimLower = ">/",
        And = "and", Or = "or", Unless = "unless",
    }
}

impl Operator {
    pub fn is_comparison(self) -> bool {
        use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        matches!(self, Equal | NotEqual | Greater | Less | GreaterOrEqual | LessOrEqual)
    }

    pub fn is_set(self) -> bool {
        matches!(self, Operator::And | Operator::Or | Operator::Unless)
    }
}

words! {
    /// What series are made one by.
    Aggregator {
        Sum = "sum", Avg = "avg", Count = "count", Min = "min", Max = "max", Group = "group", Stddev = "stddev",
        Stdvar = "stdvar", TopK = "topk", BottomK = "bottomk", CountValues = "count_values",
        Quantile = "quantile", LimitK = "limitk", LimitRatio = "limit_ratio",
    }
}

impl Aggregator {
    /// What the parameter is, of those that have one.
    pub(crate) fn parameter(self) -> Option<Kind> {
        use Aggregator::{BottomK, CountValues, LimitK, LimitRatio, Quantile, TopK};
        match self {
            CountValues => Some(Kind::Text),
            TopK | BottomK | Quantile | LimitK | LimitRatio => Some(Kind::Scalar),
            _ => None,
        }
    }
}

impl Expr {
    /// What the expression gives, whether or not it is sound.
    pub fn kind(&self) -> Kind {
        match &self.node {
            Node::Number(_) => Kind::Scalar,
            Node::Text(_) => Kind::Text,
            Node::Selector(_) | Node::Aggregation(_) => Kind::Vector,
            Node::Range(..) | Node::Subquery(_) => Kind::Matrix,
            Node::Call(function, _) => function.returns,
            Node::Binary(binary) => match (binary.left.kind(), binary.right.kind()) {
                (Kind::Scalar, Kind::Scalar) => Kind::Scalar,
                _ => Kind::Vector,
            },
            Node::Sign(_, operand) | Node::Parenthesis(operand) => operand.kind(),
        }
    }

    /// The expression inside of parentheses.
    pub(crate) fn inner(&self) -> &Expr {
        let mut expr = self;
        while let Node::Parenthesis(inner) = &expr.node {
            expr = inner;
        }
        expr
    }
}
