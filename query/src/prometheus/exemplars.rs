//! Exemplars: measured events of the series that a query reads.

use meshlake_promql::tree::{Expr, Node};
use meshlake_promql::{Error, Matcher, parse_within};
use meshlake_schema::budget::Holding;

use super::asking::{Prometheus, asked};
use super::bounds::CUT;
use super::merged::SeriesExemplars;
use super::{EARLIEST, LATEST};
use crate::series::Wanted;

/// Exemplars of one answer. Grafana draws one dot each, and asks for no more.
const EXEMPLARS_MAX: usize = 10_000;

/// Exemplars, each series once, and what to say of them.
pub type Exemplars = (SeriesExemplars, Vec<String>);

/// Exemplars of all series that the selectors of `query` match, from `from` up to and with `to`, in milliseconds since
/// the epoch.
///
/// # Errors
/// As [`evaluate`](super::evaluate()).
pub async fn exemplars(
    prometheus: &Prometheus,
    tenant: &str,
    query: String,
    from: i64,
    to: i64,
) -> Result<Exemplars, Error> {
    asked(prometheus, tenant, None, move |at| {
        let mut sets = Vec::new();
        let mut held = Holding::new(at.budget.as_ref());
        collect(&parse_within(&query, &mut held)?, &mut sets);
        let (from, to) = (from.clamp(EARLIEST, LATEST), to.clamp(EARLIEST, LATEST));
        let wanted = Wanted { matchers: &[], from, to, limit: EXEMPLARS_MAX };
        let found = at.merged.exemplars(&sets, wanted)?;
        let warnings = if found.is_cut { vec![CUT.to_owned()] } else { Vec::new() };
        Ok((found.found, warnings))
    })
    .await
}

/// Adds the matchers of all selectors of a tree.
fn collect(expr: &Expr, sets: &mut Vec<Vec<Matcher>>) {
    match &expr.node {
        Node::Number(_) | Node::Text(_) => {}
        Node::Selector(selector) => sets.push(selector.matchers.clone()),
        Node::Range(selector, _) => sets.push(selector.matchers.clone()),
        Node::Subquery(subquery) => collect(&subquery.operand, sets),
        Node::Call(_, arguments) => arguments.iter().for_each(|argument| collect(argument, sets)),
        Node::Aggregation(aggregation) => {
            if let Some(parameter) = &aggregation.parameter {
                collect(parameter, sets);
            }
            collect(&aggregation.operand, sets);
        }
        Node::Binary(binary) => {
            collect(&binary.left, sets);
            collect(&binary.right, sets);
        }
        Node::Sign(_, operand) | Node::Parenthesis(operand) => collect(operand, sets),
    }
}

#[cfg(test)]
mod tests {
    use meshlake_promql::parse;

    use super::*;

    #[test]
    fn every_selector_of_a_query_is_asked_for() {
        let check = |query: &str, want: &[&str]| {
            let mut sets = Vec::new();
            collect(&parse(query).expect("it is a query"), &mut sets);
            let texts = sets.iter().map(|set| {
                let texts: Vec<String> = set.iter().map(ToString::to_string).collect();
                texts.join(",")
            });
            assert_eq!(texts.collect::<Vec<_>>(), want, "{query}");
        };
        check("1 + 2", &[]);
        check("test", &["__name__=\"test\""]);
        let sum = "topk(scalar(a), sum(rate(b{x=\"1\"}[5m])) / -(c)) + max_over_time(d[1h:])";
        check(sum, &["__name__=\"a\"", "x=\"1\",__name__=\"b\"", "__name__=\"c\"", "__name__=\"d\""]);
    }
}
