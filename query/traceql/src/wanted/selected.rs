//! Which spans a query can select, said of each span by itself.
//!
//! A trace has to be there whole only for what spans are to one another. What is known of a selected span by itself
//! is a condition that every row of a scan can be held against, so that most traces need not be read at all: also where no
//! column can say it (a resource's attribute, a regular expression), as the condition is the language's own.

use super::bound::{bound, without_lists};
use super::demanded::{Demand, by_itself, demands};
use super::lacking::{self, IsAbsent};
use crate::tree::{Body, Expr, Field, Function, OverTime, Pipeline, Query, Scope, Sides, Spansets, Stage};
use meshlake_schema::Filter;

/// Spans that a query can select.
#[derive(Debug, Clone, PartialEq)]
pub struct Selected {
    /// Passes at least the rows that the condition holds for.
    pub filter: Filter,
    /// Passes at least those of them none of whose attributes is a list; none if that is the same filter. It is one of equality,
    /// which scans can look up.
    pub without_lists: Option<Filter>,
    /// Holds for every selected span; none if any may be selected. It has no field of other spans.
    pub condition: Option<Expr>,
    /// Spans that a trace must have beside a selected one, or at once with it.
    pub demands: Vec<Demand>,
    /// The query selects, or counts, exactly the spans for which conditions of its own hold: no other span of the trace
    /// matters to any.
    pub is_alone: bool,
}

impl Selected {
    pub fn of(query: &Query) -> Selected {
        let (condition, is_alone) = match &query.body {
            Body::Spans(pipeline) => (of_pipeline(pipeline), is_alone(pipeline)),
            Body::Series(series) => {
                let parts = series.over_time();
                let any = parts.iter().map(|part| of_pipeline(&part.spans)).reduce(either).flatten();
                (any, parts.iter().all(|part| counts_alone(part)))
            }
        };
        let (filter, without_lists) = filters(condition.as_ref());
        let mut demands = demands(query);
        // A selected span meets it.
        demands.retain(|demand| Some(&demand.condition) != condition.as_ref());
        Selected { filter, without_lists, condition, demands, is_alone }
    }

    /// Scopes of attributes that filters would be narrower for if it were known that no row has those that are asked for.
    pub fn scopes_beside_spans(&self) -> Vec<Scope> {
        self.condition.as_ref().map(lacking::scopes).unwrap_or_default()
    }

    /// With filters for rows without some attributes; the rest is the same.
    #[must_use]
    pub fn lacking(&self, is_absent: &IsAbsent<'_>) -> Selected {
        let condition = self.condition.as_ref().map(|condition| lacking::without(condition, is_absent));
        let (filter, without_lists) = filters(condition.as_ref());
        Selected { filter, without_lists, ..self.clone() }
    }
}

/// The filter of a condition, and the one for rows without lists if that is another.
fn filters(condition: Option<&Expr>) -> (Filter, Option<Filter>) {
    let filter = condition.map_or(Filter::And(Vec::new()), |condition| bound(condition).filter);
    let plain = Some(without_lists(&filter)).filter(|plain| *plain != filter);
    (filter, plain)
}

fn either(left: Option<Expr>, right: Option<Expr>) -> Option<Expr> {
    let (left, right) = (left?, right?);
    Some(if left == right { left } else { Expr::Or(Box::new(left), Box::new(right)) })
}

fn both(left: Option<Expr>, right: Option<Expr>) -> Option<Expr> {
    match (left, right) {
        (Some(left), Some(right)) => Some(Expr::And(Box::new(left), Box::new(right))),
        (left, right) => left.or(right),
    }
}

/// What holds for all spans that the last stage leaves: each stage leaves some of those before.
fn of_pipeline(pipeline: &Pipeline) -> Option<Expr> {
    let of_stage = |stage: &Stage| match stage {
        Stage::Spansets(spansets) => of_spansets(spansets),
        Stage::By(_) | Stage::Coalesce | Stage::Select(_) => None,
    };
    pipeline.stages.iter().map(of_stage).fold(None, both)
}

fn of_spansets(spansets: &Spansets) -> Option<Expr> {
    match spansets {
        Spansets::Filter(condition) => condition.as_ref().and_then(by_itself),
        Spansets::Compare { .. } => None,
        Spansets::Pipeline(pipeline) => of_pipeline(pipeline),
        Spansets::And(left, right) | Spansets::Or(left, right) => {
            either(of_spansets(left), of_spansets(right))
        }
        Spansets::Structure(structure, left, right) => match structure.spans {
            Sides::Right | Sides::RightWithout => of_spansets(right),
            Sides::Both => either(of_spansets(left), of_spansets(right)),
        },
    }
}

/// Whether a span is selected whatever the others are.
fn is_alone(pipeline: &Pipeline) -> bool {
    let of_field = |expr: &Expr| expr.has_field(Field::is_of_trace);
    pipeline.stages.iter().all(|stage| match stage {
        Stage::Spansets(spansets) => set_is_alone(spansets),
        Stage::By(expr) => !of_field(expr),
        Stage::Select(fields) => !fields.iter().any(Field::is_of_trace),
        Stage::Coalesce => true,
    })
}

fn set_is_alone(spansets: &Spansets) -> bool {
    match spansets {
        Spansets::Filter(condition) => !condition.iter().any(|expr| expr.has_field(Field::is_of_trace)),
        Spansets::Or(left, right) => set_is_alone(left) && set_is_alone(right),
        Spansets::Pipeline(pipeline) => is_alone(pipeline),
        Spansets::Compare { .. } | Spansets::And(..) | Spansets::Structure(..) => false,
    }
}

fn counts_alone(over_time: &OverTime) -> bool {
    let function = &over_time.function;
    let of_trace = |expr: Option<&Expr>| expr.is_some_and(|expr| expr.has_field(Field::is_of_trace));
    // What is told of each span names the root of its trace.
    let tells_root = matches!(function, Function::Compare { .. });
    let is_of_trace = over_time.by.iter().any(Field::is_of_trace) || of_trace(function.measured());
    !tells_root && !is_of_trace && is_alone(&over_time.spans)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    fn selected(query: &str) -> Selected {
        Selected::of(&parse(query).unwrap_or_else(|error| panic!("{query}: {error}")))
    }

    #[test]
    fn what_holds_for_every_selected_span_is_known() {
        let check = |query: &str, want: &str| {
            let condition = selected(query).condition;
            assert_eq!(condition.map(|expr| expr.to_string()).unwrap_or_default(), want, "{query}");
        };
        check("{ }", "");
        check("{ .a = 1 }", "(.a = 1)");
        check("{ .a = 1 && parent.b = 2 }", "(.a = 1)");
        check("{ .a = 1 || parent.b = 2 }", "");
        check("{ .a = 1 } | { .b = 2 }", "((.a = 1) && (.b = 2))");
        check("{ .a = 1 } && { .b = 2 }", "((.a = 1) || (.b = 2))");
        check("{ .a = 1 } && { }", "");
        check("{ .a = 1 } >> { .b = 2 }", "(.b = 2)");
        check("{ .a = 1 } !>> { .b = 2 }", "(.b = 2)");
        check("{ .a = 1 } &>> { .b = 2 }", "((.a = 1) || (.b = 2))");
        check("{ .a = 1 } | count() > 2", "(.a = 1)");
        check("count() > 2 | { .a = 1 }", "(.a = 1)");
        check("({ .a = 1 } | rate()) / ({ .b = 2 } | rate())", "((.a = 1) || (.b = 2))");
        check("({ .a = 1 } | rate()) / ({ .a = 1 } | rate())", "(.a = 1)");
        check("({ .a = 1 } | rate()) / ({ } | rate())", "");
    }

    #[test]
    fn spans_are_alone_where_no_other_matters() {
        for query in ["{ .a } | by(.b) | select(name)", "{ .a } || { .b }", "{ .a } | rate() by (.b)"] {
            assert!(selected(query).is_alone, "{query}");
        }
        for query in [
            "{ .a } && { .b }",
            "{ .a } >> { .b }",
            "{ .a } | count() > 1",
            "{ childCount > 1 }",
            "{ .a } | rate() by (rootName)",
            "{ .a } | compare({ .b })",
        ] {
            assert!(!selected(query).is_alone, "{query}");
        }
    }
}
