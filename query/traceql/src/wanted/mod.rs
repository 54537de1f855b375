//! What a query wants of stored spans, said before any is read.
//!
//! Reading whole traces to find that they do not match is what makes a search slow. So a query says two things in words
//! of `schema`'s filters, which scans can use: which traces can match at all, by spans that each must have, and whether
//! spans beside those that pass a filter can change the answer. Both may be wide, neither leaves out what the language
//! wants: a filter that passes a span too many costs a look at it, one that passes too few would be a wrong answer.

mod selected;
mod bound;

use meshlake_schema::Filter;

use crate::tree::{Body, Expr, Field, Function, OverTime, Pipeline, Query, Scalar, Sides, Spansets, Stage};
use bound::bound;

pub use selected::Selected;

/// What a query wants of stored spans.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Which traces can match.
    pub traces: Candidates,
    /// Spans that decide the answer: of the spans that pass alone, it is the same. None if it depends on where spans
    /// stand in their traces, so that a trace has to be there whole.
    pub spans: Option<Filter>,
}

/// Which traces can match, by the spans that they have.
#[derive(Debug, Clone, PartialEq)]
pub enum Candidates {
    /// Those with a span that passes. Every trace passes a filter of no conditions.
    With(Filter),
    /// Those that are in all of these.
    All(Vec<Candidates>),
    /// Those that are in any of these.
    Any(Vec<Candidates>),
}

impl Wanted {
    pub fn of(query: &Query) -> Wanted {
        let series = match &query.body {
            Body::Spans(pipeline) => return Wanted::of_pipeline(pipeline),
            Body::Series(series) => series,
        };
        let parts: Vec<Wanted> = series.over_time().into_iter().map(Wanted::of_over_time).collect();
        let spans = parts.iter().map(|part| part.spans.clone()).collect::<Option<Vec<Filter>>>();
        let traces = Candidates::any(parts.into_iter().map(|part| part.traces).collect());
        Wanted { traces, spans: spans.map(any_of) }
    }

    fn of_pipeline(pipeline: &Pipeline) -> Wanted {
        let spans = (!needs_structure(pipeline)).then(|| spans_of(pipeline));
        Wanted { traces: Candidates::of(pipeline), spans }
    }

    fn of_over_time(over_time: &OverTime) -> Wanted {
        let of_trace = |expr: Option<&Expr>| expr.is_some_and(|expr| expr.has_field(Field::is_of_trace));
        let function = &over_time.function;
        // What is told of each span names the root of its trace.
        let tells_root = matches!(function, Function::Compare { .. });
        let is_of_trace =
            tells_root || over_time.by.iter().any(Field::is_of_trace) || of_trace(function.measured());
        let wanted = Wanted::of_pipeline(&over_time.spans);
        if is_of_trace { Wanted { spans: None, ..wanted } } else { wanted }
    }
}

/// Rows that pass one of the filters.
fn any_of(mut filters: Vec<Filter>) -> Filter {
    filters.dedup();
    let every = Filter::And(Vec::new());
    if filters.contains(&every) {
        return every;
    }
    if filters.len() == 1 { filters.remove(0) } else { Filter::Or(filters) }
}

impl Candidates {
    const EVERY: Candidates = Candidates::With(Filter::And(Vec::new()));

    fn of(pipeline: &Pipeline) -> Candidates {
        let of_stage = |stage: &Stage| match stage {
            Stage::Spansets(spansets) => Candidates::of_spansets(spansets),
            Stage::By(_) | Stage::Coalesce | Stage::Select(_) => Candidates::EVERY,
        };
        Candidates::all(pipeline.stages.iter().map(of_stage).collect())
    }

    fn of_spansets(spansets: &Spansets) -> Candidates {
        let of = Candidates::of_spansets;
        match spansets {
            Spansets::Filter(None) | Spansets::Compare { .. } => Candidates::EVERY,
            Spansets::Filter(Some(condition)) => Candidates::With(bound(condition).filter),
            Spansets::Pipeline(pipeline) => Candidates::of(pipeline),
            Spansets::And(left, right) => Candidates::all(vec![of(left), of(right)]),
            Spansets::Or(left, right) => Candidates::any(vec![of(left), of(right)]),
            Spansets::Structure(structure, left, right) => match structure.spans {
                Sides::RightWithout => of(right),
                Sides::Right | Sides::Both => Candidates::all(vec![of(left), of(right)]),
            },
        }
    }

    fn all(parts: Vec<Candidates>) -> Candidates {
        let mut wanted: Vec<Candidates> = Vec::new();
        for part in parts {
            match part {
                Candidates::All(parts) => wanted.extend(parts),
                part if part == Candidates::EVERY || wanted.contains(&part) => {}
                part => wanted.push(part),
            }
        }
        match wanted.len() {
            0 => Candidates::EVERY,
            1 => wanted.remove(0),
            _ => Candidates::All(wanted),
        }
    }

    fn any(parts: Vec<Candidates>) -> Candidates {
        let mut wanted: Vec<Candidates> = Vec::new();
        for part in parts {
            match part {
                Candidates::Any(parts) => wanted.extend(parts),
                part if part == Candidates::EVERY => return part,
                part if wanted.contains(&part) => {}
                part => wanted.push(part),
            }
        }
        if wanted.len() == 1 { wanted.remove(0) } else { Candidates::Any(wanted) }
    }
}

/// Spans that decide the answer, if their places do not: those that the first stage can take, as later ones only leave
/// some of them out.
fn spans_of(pipeline: &Pipeline) -> Filter {
    match pipeline.stages.first() {
        Some(Stage::Spansets(spansets)) => spans_of_set(spansets),
        Some(Stage::By(_) | Stage::Coalesce | Stage::Select(_)) => {
            spans_of(&Pipeline { stages: pipeline.stages[1..].to_vec() })
        }
        None => Filter::And(Vec::new()),
    }
}

fn spans_of_set(spansets: &Spansets) -> Filter {
    let every = Filter::And(Vec::new());
    match spansets {
        Spansets::Filter(None) | Spansets::Compare { .. } => every,
        Spansets::Filter(Some(condition)) => bound(condition).filter,
        Spansets::Pipeline(pipeline) => spans_of(pipeline),
        Spansets::And(left, right) | Spansets::Or(left, right) | Spansets::Structure(_, left, right) => {
            any_of(vec![spans_of_set(left), spans_of_set(right)])
        }
    }
}

/// Whether spans beside those that are looked at can matter to one that is.
fn needs_structure(pipeline: &Pipeline) -> bool {
    let of_field = |expr: &Expr| expr.has_field(Field::is_of_trace);
    pipeline.stages.iter().any(|stage| match stage {
        Stage::Spansets(spansets) => set_needs_structure(spansets),
        Stage::By(expr) => of_field(expr),
        Stage::Select(fields) => fields.iter().any(Field::is_of_trace),
        Stage::Coalesce => false,
    })
}

fn set_needs_structure(spansets: &Spansets) -> bool {
    match spansets {
        Spansets::Filter(condition) => condition.iter().any(|expr| expr.has_field(Field::is_of_trace)),
        Spansets::Compare { left, right, .. } => {
            scalar_needs_structure(left) || scalar_needs_structure(right)
        }
        Spansets::Pipeline(pipeline) => needs_structure(pipeline),
        Spansets::And(left, right) | Spansets::Or(left, right) => {
            set_needs_structure(left) || set_needs_structure(right)
        }
        Spansets::Structure(..) => true,
    }
}

fn scalar_needs_structure(scalar: &Scalar) -> bool {
    match scalar {
        Scalar::Literal(_) => false,
        Scalar::Aggregate(aggregate) => aggregate.of.iter().any(|expr| expr.has_field(Field::is_of_trace)),
        Scalar::Pipeline(pipeline, scalar) => needs_structure(pipeline) || scalar_needs_structure(scalar),
        Scalar::Negative(inner) => scalar_needs_structure(inner),
        Scalar::Arithmetic(_, left, right) => scalar_needs_structure(left) || scalar_needs_structure(right),
    }
}

#[cfg(test)]
mod tests {
    use meshlake_schema::filter::{Test, Value};

    use super::*;
    use crate::parse;

    fn wanted(query: &str) -> Wanted {
        Wanted::of(&parse(query).unwrap_or_else(|error| panic!("{query}: {error}")))
    }

    fn with(filter: Filter) -> Candidates {
        Candidates::With(filter)
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn spansets_combine_as_traces_do() {
        let named = |name: &str| with(Filter::equals("name", text(name)));
        let (a, b) = (named("a"), named("b"));
        let check = |query: &str, want: &Candidates| assert_eq!(wanted(query).traces, *want, "{query}");
        let both = Candidates::All(vec![a.clone(), b.clone()]);
        check("{ name = \"a\" } && { name = \"b\" }", &both);
        check("{ name = \"a\" } >> { name = \"b\" }", &both);
        check("{ name = \"a\" } | { name = \"b\" } | by(.x)", &both);
        check("{ name = \"a\" } || { name = \"b\" }", &Candidates::Any(vec![a.clone(), b.clone()]));
        check("{ name = \"a\" } !>> { name = \"b\" }", &b);
        check("{ name = \"a\" } && { }", &a);
        check("{ name = \"a\" } || { }", &Candidates::EVERY);
        check("{ name = \"a\" } | count() > 2", &a);
        check("({ name = \"a\" } | count()) = 0", &Candidates::EVERY);
        check("{ parent.name = \"a\" }", &Candidates::EVERY);
    }

    #[test]
    fn only_what_hangs_on_structure_needs_whole_traces() {
        for query in [
            "{ } > { }",
            "{ parent.a = 1 }",
            "{ childCount > 1 }",
            "{ traceDuration > 1s }",
            "{ } | by(rootName)",
        ] {
            assert_eq!(wanted(query).spans, None, "{query}");
        }
        let named = |name: &str| Filter::equals("name", text(name));
        assert_eq!(wanted("{ name = \"a\" } | count() > 2").spans, Some(named("a")));
        let either = Filter::Or(vec![named("a"), named("b")]);
        assert_eq!(wanted("{ name = \"a\" } && { name = \"b\" }").spans, Some(either));
        assert_eq!(wanted("count() > 2 | { name = \"a\" }").spans, Some(Filter::And(Vec::new())));
    }

    #[test]
    fn series_want_what_each_function_does() {
        let named = |name: &str| Filter::equals("name", text(name));
        let check = |query: &str, traces: Candidates, spans: Option<Filter>| {
            assert_eq!(wanted(query), Wanted { traces, spans }, "{query}");
        };
        check("{ name = \"a\" } | rate() by (.x)", with(named("a")), Some(named("a")));
        check("{ name = \"a\" } | rate() by (rootName)", with(named("a")), None);
        check("{ name = \"a\" } | max_over_time(parent.duration)", with(named("a")), None);
        check("{ name = \"a\" } | compare({ status = error })", with(named("a")), None);
        check(
            "({ name = \"a\" } | rate()) / ({ } | rate())",
            Candidates::EVERY,
            Some(Filter::And(Vec::new())),
        );
        check(
            "({ name = \"a\" } | rate()) / ({ name = \"b\" } | rate()) * 100",
            Candidates::Any(vec![with(named("a")), with(named("b"))]),
            Some(Filter::Or(vec![named("a"), named("b")])),
        );
        check(
            "({ name = \"a\" } | rate()) / ({ name = \"a\" } | rate())",
            with(named("a")),
            Some(named("a")),
        );
    }

    #[test]
    fn conditions_become_what_a_scan_can_use() {
        let check = |query: &str, want: Filter| assert_eq!(wanted(query).traces, with(want), "{query}");
        let is_error = Filter::equals("status_code", Value::Integer(2));
        check("{ status = error }", is_error.clone());
        check("{ !(status = error) }", is_error.negated());
        let codes = (1..6).map(Value::Integer).collect();
        check("{ kind = unspecified }", Filter::is_in("kind", codes).negated());
        let longer = Test::IsWithin(
            std::ops::Bound::Excluded(Value::Integer(1_000_000_000)),
            std::ops::Bound::Unbounded,
        );
        let place = meshlake_schema::filter::Place::Column("duration_nano".to_owned());
        check("{ 1s < duration }", Filter::Is(place, longer));
        check("{ trace:id = \"AB\" }", Filter::equals("trace_id", text(&format!("{:0>32}", "ab"))));
        let null =
            Filter::Is(meshlake_schema::filter::Place::Column("service_name".to_owned()), Test::IsNull);
        let either = Filter::is_in("service_name", vec![text("a"), text("b")]);
        check("{ resource.service.name =~ \"a|b\" }", Filter::Or(vec![either, null]));
        check("{ name =~ \"a|b\" }", Filter::is_in("name", vec![text("a"), text("b")]));
        // Its column may hold what was sent as `http.method`.
        check("{ span.http.request.method = nil }", Filter::And(Vec::new()));
    }
}
