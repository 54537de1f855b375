//! What selects spans: pipelines of stages, spansets and how they combine, aggregates.

use super::expr::Expr;
use super::field::Field;
use crate::value::{Arithmetic, Comparison, Value, words};

/// Stages, each over the spansets that the one before left; the first has all spans of the trace as its one spanset.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    pub stages: Vec<Stage>,
}

/// What becomes of spansets.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// Each becomes what of it is selected; empty ones are gone.
    Spansets(Spansets),
    /// Each is parted by the value of an expression.
    By(Expr),
    /// All become one.
    Coalesce,
    /// They stay as they are; these fields are told of their spans.
    Select(Vec<Field>),
}

/// Spans selected from a spanset.
#[derive(Debug, Clone, PartialEq)]
pub enum Spansets {
    /// Spans for which it is true; all without one.
    Filter(Option<Expr>),
    /// All spans if the comparison holds, else none.
    Compare {
        comparison: Comparison,
        left: Scalar,
        right: Scalar,
    },
    /// What a pipeline leaves, all its spansets together.
    Pipeline(Pipeline),
    /// Spans of both sides if both have any.
    And(Box<Spansets>, Box<Spansets>),
    /// Spans of both sides.
    Or(Box<Spansets>, Box<Spansets>),
    Structure(Structure, Box<Spansets>, Box<Spansets>),
}

/// How spans of two sides have to stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Structure {
    pub relation: Relation,
    pub spans: Sides,
}

/// Which spans a structural operator gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sides {
    /// Those of the right side that stand so to one of the left.
    Right,
    /// Those of the right side that do not.
    RightWithout,
    /// Those of both sides that stand so to one of the other.
    Both,
}

words! {
    /// What a span of the right side is to one of the left.
    Relation { Child = ">", Descendant = ">>", Parent = "<", Ancestor = "<<", Sibling = "~" }
}

impl Structure {
    /// By the operator's sign.
    pub(crate) fn of_sign(sign: &str) -> Option<Structure> {
        let negated = sign.strip_prefix('!').map(|word| (word, Sides::RightWithout));
        let union = || sign.strip_prefix('&').map(|word| (word, Sides::Both));
        let (word, spans) = negated.or_else(union).unwrap_or((sign, Sides::Right));
        Relation::of_word(word).map(|relation| Structure { relation, spans })
    }

    pub(crate) fn prefix(self) -> &'static str {
        match self.spans {
            Sides::Right => "",
            Sides::RightWithout => "!",
            Sides::Both => "&",
        }
    }
}

/// A number of a whole spanset.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    Literal(Value<'static>),
    Aggregate(Aggregate),
    /// The number of what a pipeline leaves of the spanset, all its spansets together.
    Pipeline(Pipeline, Box<Scalar>),
    Negative(Box<Scalar>),
    Arithmetic(Arithmetic, Box<Scalar>, Box<Scalar>),
}

/// One number of many spans.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    pub aggregation: Aggregation,
    /// Of each span; none of `count()`.
    pub of: Option<Expr>,
}

words! {
    /// How one number is made of many.
    Aggregation { Count = "count", Min = "min", Max = "max", Avg = "avg", Sum = "sum" }
}

impl Scalar {
    /// Calls for each aggregate of the spanset itself.
    pub fn for_each_aggregate<'s>(&'s self, visit: &mut dyn FnMut(&'s Aggregate)) {
        match self {
            Scalar::Literal(_) | Scalar::Pipeline(..) => {}
            Scalar::Aggregate(aggregate) => visit(aggregate),
            Scalar::Negative(inner) => inner.for_each_aggregate(visit),
            Scalar::Arithmetic(_, left, right) => {
                left.for_each_aggregate(visit);
                right.for_each_aggregate(visit);
            }
        }
    }

    /// Whether it depends on spans at all.
    pub fn is_constant(&self) -> bool {
        match self {
            Scalar::Literal(_) => true,
            Scalar::Aggregate(_) | Scalar::Pipeline(..) => false,
            Scalar::Negative(inner) => inner.is_constant(),
            Scalar::Arithmetic(_, left, right) => left.is_constant() && right.is_constant(),
        }
    }
}
