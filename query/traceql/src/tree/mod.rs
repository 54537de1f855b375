//! A query as a tree that is sound: whatever was read has passed the checks of types.
//!
//! A query selects spans, or makes series of the spans that it selects. Each part is written as text again by `Display`,
//! fully parenthesised, and reads back as the same tree.

mod print;
mod fields;
mod series;
mod spans;
mod expr;
mod field;
mod kind;

pub use expr::Expr;
pub use field::{Attribute, Field, Intrinsic, Scope};
pub use kind::Type;
pub use series::{COMPARED_VALUES, Function, OverTime, Series};
pub use spans::{Aggregate, Aggregation, Pipeline, Relation, Scalar, Sides, Spansets, Stage, Structure};

use crate::value::Value;

/// A whole query.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    pub body: Body,
    /// `with (name = value)`, in the order written.
    pub hints: Vec<Hint>,
}

/// What a query asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    Spans(Pipeline),
    Series(Series),
}

/// A wish of how to answer. It never changes which spans or values are right.
#[derive(Debug, Clone, PartialEq)]
pub struct Hint {
    pub name: String,
    pub value: Value<'static>,
}

impl Query {
    /// The fields that `select()` asks for, in order, each once.
    pub fn selected(&self) -> Vec<&Field> {
        let mut fields = Vec::new();
        let pipelines = match &self.body {
            Body::Spans(pipeline) => vec![pipeline],
            Body::Series(series) => series.pipelines(),
        };
        for stage in pipelines.into_iter().flat_map(|pipeline| &pipeline.stages) {
            if let Stage::Select(selected) = stage {
                fields.extend(selected);
            }
        }
        let mut seen = Vec::new();
        fields.retain(|field| {
            let is_new = !seen.contains(field);
            seen.push(*field);
            is_new
        });
        fields
    }

    /// The value of the last hint of that name.
    pub fn hint(&self, name: &str) -> Option<&Value<'static>> {
        self.hints.iter().rev().find(|hint| hint.name == name).map(|hint| &hint.value)
    }
}
