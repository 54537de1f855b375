//! Which spans a trace must have for a query to select any of its spans.
//!
//! `{ A } >> { B }` selects spans of B, and only in traces with a span of A. Where a side may be missing, as of `||` and of the
//! negated operators, nothing is demanded of it.

use meshlake_schema::Filter;

use super::bound::bound;
use crate::tree::{Body, Expr, Field, Pipeline, Query, Sides, Spansets, Stage};

/// A condition that holds for at least one span of every trace in which a query selects something.
#[derive(Debug, Clone, PartialEq)]
pub struct Demand {
    /// Passes at least the rows that the condition holds for.
    pub filter: Filter,
    /// It has no field of other spans.
    pub condition: Expr,
}

impl Demand {
    fn of(condition: Expr) -> Demand {
        Demand { filter: bound(&condition).filter, condition }
    }
}

/// What a query demands, each once.
pub(super) fn demands(query: &Query) -> Vec<Demand> {
    let conditions = match &query.body {
        Body::Spans(pipeline) => of_pipeline(pipeline),
        Body::Series(series) => {
            let parts = series.over_time().into_iter().map(|part| of_pipeline(&part.spans));
            parts.reduce(|left, right| in_both(left, &right)).unwrap_or_default()
        }
    };
    let mut demands: Vec<Demand> = Vec::new();
    for condition in conditions {
        if demands.iter().all(|demand| demand.condition != condition) {
            demands.push(Demand::of(condition));
        }
    }
    demands
}

fn of_pipeline(pipeline: &Pipeline) -> Vec<Expr> {
    let of_stage = |stage: &Stage| match stage {
        Stage::Spansets(spansets) => of_spansets(spansets),
        Stage::By(_) | Stage::Coalesce | Stage::Select(_) => Vec::new(),
    };
    pipeline.stages.iter().flat_map(of_stage).collect()
}

fn of_spansets(spansets: &Spansets) -> Vec<Expr> {
    let both = |left: &Spansets, right: &Spansets| [of_spansets(left), of_spansets(right)].concat();
    match spansets {
        Spansets::Filter(condition) => condition.as_ref().and_then(by_itself).into_iter().collect(),
        Spansets::Compare { .. } => Vec::new(),
        Spansets::Pipeline(pipeline) => of_pipeline(pipeline),
        Spansets::And(left, right) => both(left, right),
        Spansets::Or(left, right) => in_both(of_spansets(left), &of_spansets(right)),
        Spansets::Structure(structure, left, right) => match structure.spans {
            Sides::RightWithout => of_spansets(right),
            Sides::Right | Sides::Both => both(left, right),
        },
    }
}

fn in_both(mut left: Vec<Expr>, right: &[Expr]) -> Vec<Expr> {
    left.retain(|condition| right.contains(condition));
    left
}

/// The part of a condition that asks about no other span.
pub(super) fn by_itself(condition: &Expr) -> Option<Expr> {
    match condition {
        Expr::And(left, right) => match (by_itself(left), by_itself(right)) {
            (Some(left), Some(right)) => Some(Expr::And(Box::new(left), Box::new(right))),
            (left, right) => left.or(right),
        },
        other => (!other.has_field(Field::is_of_trace)).then(|| other.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[test]
    fn both_sides_are_demanded_where_neither_may_be_missing() {
        let check = |query: &str, want: &[&str]| {
            let tree = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
            let found: Vec<String> =
                demands(&tree).iter().map(|demand| demand.condition.to_string()).collect();
            assert_eq!(found, want, "{query}");
        };
        let both = ["(.a = 1)", "(.b = 2)"];
        check("{ .a = 1 } >> { .b = 2 }", &both);
        check("{ .a = 1 } && { .b = 2 }", &both);
        check("{ .a = 1 } &~ { .b = 2 }", &both);
        check("{ .a = 1 } | { .b = 2 }", &both);
        check("{ .a = 1 } | by(.x) | { .b = 2 } | count() > 1", &both);
        check("{ .a = 1 } !>> { .b = 2 }", &["(.b = 2)"]);
        check("{ .a = 1 } || { .b = 2 }", &[]);
        check("{ .a = 1 } || ({ .b = 2 } >> { .a = 1 })", &["(.a = 1)"]);
        check("{ .a = 1 } >> { .a = 1 }", &["(.a = 1)"]);
        check("{ .a = 1 && parent.b = 2 } > { parent.c }", &["(.a = 1)"]);
        check("({ .a = 1 } | count()) = 0", &[]);
        check("{ } >> { }", &[]);
        check("{ .a = 1 } >> { .b = 2 } | rate()", &both);
        check("({ .a = 1 } | rate()) / ({ .a = 1 } && { .b = 2 } | rate())", &["(.a = 1)"]);
    }
}
