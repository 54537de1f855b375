//! What a query of spans asks of each step of its answer, made once and shared by all threads that work on it.

use meshlake_schema::TimeRange;
use meshlake_traceql::Selected;
use meshlake_traceql::tree::{Body, Field, Function, Intrinsic, Query};

use super::needs::Needs;

/// A query, and what it reads.
pub struct Plan {
    pub tree: Query,
    pub selected: Selected,
    /// Columns that tell whether a span can be selected.
    pub row_columns: Vec<&'static str>,
    /// Columns that tell what else a trace must have.
    pub demand_columns: Vec<&'static str>,
    /// Columns of whole traces.
    pub trace_columns: Vec<&'static str>,
    pub range: TimeRange,
}

impl Plan {
    pub fn new(tree: Query, range: TimeRange) -> Plan {
        let selected = Selected::of(&tree);
        let row_columns = Needs::of_condition(selected.condition.as_ref()).with(["trace_id"]).columns();
        let demanded = selected.demands.iter().map(|demand| Needs::of_condition(Some(&demand.condition)));
        let demand_columns = demanded.fold(Needs::default(), |all, needs| all.with(needs.columns()));
        let demand_columns = demand_columns.with(["trace_id"]).columns();
        let mut needs = Needs::of_traces(tree.fields());
        if tells_all_attributes(&tree) {
            needs = needs.with_all_attributes();
        }
        Plan { row_columns, demand_columns, trace_columns: needs.columns(), selected, tree, range }
    }

    /// Whether a span that starts then is in the range that is asked for.
    pub fn is_in_range(&self, start_nano: i64) -> bool {
        (self.range.from.0..self.range.to.0).contains(&start_nano)
    }

    /// What is told of each span that is found, beside what is told of every one: the fields that the query asks about.
    pub fn told(&self) -> Vec<&Field> {
        let is_told_anyway = |field: &&Field| {
            let Field::Intrinsic { intrinsic, of_parent: false } = field else { return false };
            matches!(
                intrinsic,
                Intrinsic::Name
                    | Intrinsic::Duration
                    | Intrinsic::SpanId
                    | Intrinsic::TraceId
                    | Intrinsic::TraceDuration
                    | Intrinsic::RootName
                    | Intrinsic::RootService
            )
        };
        self.tree.fields().into_iter().filter(|field| !is_told_anyway(field)).collect()
    }
}

fn tells_all_attributes(tree: &Query) -> bool {
    match &tree.body {
        Body::Spans(_) => false,
        Body::Series(series) => {
            series.over_time().iter().any(|over_time| matches!(over_time.function, Function::Compare { .. }))
        }
    }
}
