//! What stands around range aggregations, by PromQL's evaluator.
//!
//! Each range aggregation is told to it as a metric of its own, with a sample at each instant that has a value; instants are
//! counted, so that nanoseconds do not have to fit its milliseconds, and a sample is the latest one at its own instant only.

use std::collections::BTreeMap;

use meshlake_promql::tree::{self, Expr, Node, Number, Span};
use meshlake_promql::{
    AnswerValue, Labels, METRIC_NAME, Matcher, Options, Point, Run, Samples, Selected, Selection,
    SeriesSamples, When,
};
use meshlake_schema::Budget;

use super::partial::Line;
use super::steps::Steps;
use crate::error::Error;
use crate::tree::metric::{Aggregate, Binary, Grouping, Metric, Replace};

/// What a query for numbers comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// At each instant.
    Number(Vec<f64>),
    /// At one instant in the order that the query asks for; over several, by labels.
    Series(Vec<Line>),
}

/// The value of a query, of its range aggregations' series in the order of
/// [`Metric::over_time`](crate::tree::metric::Metric::over_time).
///
/// # Errors
/// [`Error::Vectors`] for vectors that do not go together, [`Error::Spent`].
pub fn evaluate(
    metric: &Metric,
    series: Vec<Vec<Line>>,
    steps: Steps,
    budget: &dyn Budget,
) -> Result<Answer, Error> {
    let mut next = 0;
    let tree = expression(metric, &mut next);
    let last = steps.count() as i64 - 1;
    let is_instant = last == 0;
    let when = if is_instant { When::Instant(0) } else { When::Range { start: 0, end: last, step: 1 } };
    let options = Options { lookback: 1, series_max: usize::MAX, ..Options::default() };
    let answer = meshlake_promql::evaluate(&tree, "", when, &Known(series), budget, &options);
    let value = answer.map_err(of_promql)?.value;
    Ok(match value {
        AnswerValue::Scalar(_, number) => Answer::Number(vec![number]),
        AnswerValue::Text(..) => Answer::Series(Vec::new()),
        AnswerValue::Vector(_, samples) => {
            let lines =
                samples.into_iter().filter_map(|(labels, point)| Some((labels, vec![(0, float(&point)?)])));
            Answer::Series(unnamed(lines.collect(), is_instant))
        }
        AnswerValue::Matrix(rows) => {
            let is_number = metric.is_number();
            let values = |points: Vec<(i64, Point)>| -> Vec<(usize, f64)> {
                points
                    .into_iter()
                    .filter_map(|(at, point)| Some((usize::try_from(at).ok()?, float(&point)?)))
                    .collect()
            };
            let lines: Vec<Line> =
                rows.into_iter().map(|(labels, points)| (labels, values(points))).collect();
            if is_number {
                let values = lines.into_iter().flat_map(|(_, values)| values);
                return Ok(Answer::Number(values.map(|(_, value)| value).collect()));
            }
            Answer::Series(unnamed(lines, is_instant))
        }
    })
}

fn of_promql(error: meshlake_promql::Error) -> Error {
    match error {
        meshlake_promql::Error::Timeout(_) => Error::Spent(meshlake_schema::Spent::Time),
        other => Error::Vectors(other.to_string()),
    }
}

fn float(point: &Point) -> Option<f64> {
    if let Point::Float(value) = point { Some(*value) } else { None }
}

/// Series without the names that stand for range aggregations; those that are then the same are one.
fn unnamed(lines: Vec<Line>, keeps_order: bool) -> Vec<Line> {
    let mut places: BTreeMap<Labels, usize> = BTreeMap::new();
    let mut found: Vec<Line> = Vec::with_capacity(lines.len());
    for (labels, values) in lines {
        let plain = labels.iter().filter(|label| &*label.name != METRIC_NAME);
        let labels = Labels::from_pairs(plain.map(|label| (label.name.clone(), label.value.clone())));
        match places.get(&labels) {
            Some(place) => {
                found[*place].1.extend(values);
                found[*place].1.sort_by_key(|(at, _)| *at);
            }
            None => {
                places.insert(labels.clone(), found.len());
                found.push((labels, values));
            }
        }
    }
    if !keeps_order {
        found.sort_by(|a, b| a.0.cmp(&b.0));
    }
    found
}

/// Series of range aggregations, asked for by number.
struct Known(Vec<Vec<Line>>);

impl Samples for Known {
    fn select(&self, selection: &Selection<'_>) -> Result<Selected, meshlake_promql::Error> {
        let number = selection.matchers.iter().find(|matcher| matcher.name == METRIC_NAME);
        let number = number.and_then(|matcher| matcher.value.parse::<usize>().ok());
        let lines = number.and_then(|number| self.0.get(number)).map(Vec::as_slice).unwrap_or_default();
        let is_asked = |at: i64| at > selection.after && at <= selection.until;
        let series = lines.iter().map(|(labels, values)| {
            let mut floats = Run::default();
            values
                .iter()
                .filter(|(at, _)| is_asked(*at as i64))
                .for_each(|(at, value)| floats.push(*at as i64, *value));
            let name = number.unwrap_or_default().to_string();
            let pairs = labels.iter().map(|label| (label.name.clone(), label.value.clone()));
            let labels = Labels::from_pairs(pairs.chain([(METRIC_NAME.into(), name.into())]));
            SeriesSamples { labels, floats, ..SeriesSamples::default() }
        });
        Ok(Selected { series: series.collect(), ..Selected::default() })
    }
}

/// The query in PromQL; `next` is the number of the next range aggregation.
fn expression(metric: &Metric, next: &mut usize) -> Expr {
    match metric {
        Metric::Number(number) => of(Node::Number(Number { value: *number, is_duration: false })),
        Metric::Vector(number) => call("vector", vec![expression(&Metric::Number(*number), next)]),
        Metric::OverTime(_) => {
            let matchers = vec![Matcher::equal(METRIC_NAME, next.to_string())];
            *next += 1;
            let offset = tree::Length::Milliseconds(0);
            of(Node::Selector(tree::Selector { name: None, matchers, offset, at: None, edges: None }))
        }
        Metric::Aggregate(aggregate) => of(Node::Aggregation(Box::new(aggregation(aggregate, next)))),
        Metric::Sort { operand, is_descending } => {
            call(if *is_descending { "sort_desc" } else { "sort" }, vec![expression(operand, next)])
        }
        Metric::Replace(replace) => replacement(replace, next),
        Metric::Binary(binary) => {
            let Binary { operator, returns_bool, matching, left, right } = binary.as_ref();
            let (left, right) = (expression(left, next), expression(right, next));
            // Between two numbers PromQL has no filter, and says so before it looks at them.
            let returns_bool = *returns_bool || (operator.is_comparison() && metric.is_number());
            let (operator, matching) = (*operator, matching.clone());
            of(Node::Binary(Box::new(tree::Binary {
                operator,
                operator_at: 0,
                left,
                right,
                returns_bool,
                matching,
            })))
        }
    }
}

fn of(node: Node) -> Expr {
    Expr { span: Span::default(), node }
}

/// # Panics
/// For a name that is none: a bug of this file's.
fn call(name: &'static str, arguments: Vec<Expr>) -> Expr {
    let function = tree::Function::named(name).expect("PromQL has this function");
    of(Node::Call(function, arguments))
}

fn aggregation(aggregate: &Aggregate, next: &mut usize) -> tree::Aggregation {
    let Aggregate { aggregator, parameter, grouping, operand } = aggregate;
    let Grouping { is_without, labels } =
        grouping.clone().unwrap_or(Grouping { is_without: false, labels: Vec::new() });
    tree::Aggregation {
        aggregator: *aggregator,
        grouping: labels,
        without: is_without,
        parameter: parameter.map(|number| expression(&Metric::Number(number), next)),
        operand: expression(operand, next),
    }
}

fn replacement(replace: &Replace, next: &mut usize) -> Expr {
    let Replace { operand, destination, replacement, source, expression: pattern } = replace;
    let texts = [destination, replacement, source, pattern].map(|text| of(Node::Text(text.clone())));
    let mut arguments = vec![expression(operand, next)];
    arguments.extend(texts);
    call("label_replace", arguments)
}
