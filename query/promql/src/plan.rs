//! A tree made ready for one question: lengths are milliseconds, parentheses are gone, and what does not change
//! from step to step is marked, so that it is evaluated once.
//!
//! Fixed is what hangs on `@` or on no time at all. Functions of the time of evaluation are never fixed, not even
//! over fixed operands. The mark is set on the highest node, where one evaluation saves most.

use crate::error::Error;
use crate::matcher::Matcher;
use crate::tree::{
    Aggregator, At, Edges, Expr, Formula, Function, Kind, Length, Matching, Node, Number, Operator, Selector,
    Sign, Span, Subquery,
};

/// When a query is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At one instant, in milliseconds since the epoch.
    Instant(i64),
    /// From `start` on, every `step`, up to `end`; milliseconds.
    Range { start: i64, end: i64, step: i64 },
}

impl When {
    fn start(self) -> i64 {
        match self {
            When::Instant(time) => time,
            When::Range { start, .. } => start,
        }
    }

    fn end(self) -> i64 {
        match self {
            When::Instant(time) => time,
            When::Range { end, .. } => end,
        }
    }

    /// Seconds between evaluations; none at an instant.
    fn step_seconds(self) -> f64 {
        match self {
            When::Instant(_) => 0.0,
            When::Range { step, .. } => step as f64 / 1e3,
        }
    }

    fn range_seconds(self) -> f64 {
        self.end().saturating_sub(self.start()) as f64 / 1e3
    }
}

/// One node of a plan.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// Where it stands in the query.
    pub at: usize,
    /// Whether it is the same at all steps.
    pub is_fixed: bool,
    pub kind: Kind,
    pub work: Work,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Work {
    Number(f64),
    Text(String),
    Select(Select),
    /// A selector's samples of so many milliseconds.
    Window(Select, i64),
    Subquery(Box<Resampling>),
    Call(&'static Function, Vec<Plan>),
    Aggregate(Box<Aggregate>),
    Binary(Box<Pair>),
    /// A plus changes nothing, but what it stands before is no selector any more.
    Signed(Sign, Box<Plan>),
}

/// Which series, and when: at `at`, else at each step, `offset` milliseconds before.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Select {
    pub matchers: Vec<Matcher>,
    pub offset: i64,
    pub at: Option<i64>,
    pub edges: Option<Edges>,
}

impl Select {
    /// The instant that is looked at for a step at `time`.
    pub(crate) fn reference(&self, time: i64) -> i64 {
        self.at.unwrap_or(time).saturating_sub(self.offset)
    }
}

/// A subquery.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Resampling {
    pub operand: Plan,
    pub range: i64,
    pub step: Option<i64>,
    pub offset: i64,
    pub at: Option<i64>,
}

impl Resampling {
    pub(crate) fn reference(&self, time: i64) -> i64 {
        self.at.unwrap_or(time).saturating_sub(self.offset)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Aggregate {
    pub aggregator: Aggregator,
    pub grouping: Vec<String>,
    pub without: bool,
    pub parameter: Option<Plan>,
    pub operand: Plan,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pair {
    pub operator: Operator,
    pub returns_bool: bool,
    pub matching: Matching,
    pub left: Plan,
    pub right: Plan,
}

/// Functions whose value hangs on the time of evaluation, whatever their arguments.
const OF_EVALUATION_TIME: [&str; 11] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "hour",
    "minute",
    "month",
    "year",
    "predict_linear",
    "time",
    "timestamp",
];

/// # Errors
/// [`Error::BadData`] if a length given by a formula is none.
pub(crate) fn plan(expr: &Expr, when: When) -> Result<Plan, Error> {
    let mut plan = planned(expr, when)?;
    mark_fixed(&mut plan);
    Ok(plan)
}

fn planned(expr: &Expr, when: When) -> Result<Plan, Error> {
    let work = match &expr.node {
        Node::Parenthesis(inner) => return planned(inner, when),
        Node::Sign(sign, operand) => Work::Signed(*sign, Box::new(planned(operand, when)?)),
        Node::Number(Number { value, .. }) => Work::Number(*value),
        Node::Text(text) => Work::Text(text.clone()),
        Node::Selector(selector) => Work::Select(select(selector, when)?),
        Node::Range(selector, range) => Work::Window(select(selector, when)?, positive(range, when)?),
        Node::Subquery(subquery) => Work::Subquery(Box::new(resampling(subquery, when)?)),
        Node::Call(function, arguments) => match of_question(function.name, when) {
            Some(value) => Work::Number(value),
            None => {
                let arguments = arguments.iter().map(|argument| planned(argument.inner(), when));
                Work::Call(function, arguments.collect::<Result<_, _>>()?)
            }
        },
        Node::Aggregation(aggregation) => {
            let parameter = aggregation.parameter.as_ref();
            Work::Aggregate(Box::new(Aggregate {
                aggregator: aggregation.aggregator,
                grouping: aggregation.grouping.clone(),
                without: aggregation.without,
                parameter: parameter.map(|parameter| planned(parameter.inner(), when)).transpose()?,
                operand: planned(aggregation.operand.inner(), when)?,
            }))
        }
        Node::Binary(binary) => Work::Binary(Box::new(Pair {
            operator: binary.operator,
            returns_bool: binary.returns_bool,
            matching: binary.matching.clone(),
            left: planned(&binary.left, when)?,
            right: planned(&binary.right, when)?,
        })),
    };
    Ok(Plan { at: expr.span.start, is_fixed: false, kind: expr.kind(), work })
}

/// Functions that are a number once the question is known.
fn of_question(function: &str, when: When) -> Option<f64> {
    match function {
        "start" => Some(when.start() as f64 / 1e3),
        "end" => Some(when.end() as f64 / 1e3),
        "range" => Some(when.range_seconds()),
        "step" => Some(when.step_seconds()),
        _ => None,
    }
}

fn select(selector: &Selector, when: When) -> Result<Select, Error> {
    Ok(Select {
        matchers: selector.matchers.clone(),
        offset: milliseconds(&selector.offset, when)?.0,
        at: at(selector.at, when),
        edges: selector.edges,
    })
}

fn resampling(subquery: &Subquery, when: When) -> Result<Resampling, Error> {
    Ok(Resampling {
        operand: planned(&subquery.operand, when)?,
        range: positive(&subquery.range, when)?,
        step: subquery.step.as_ref().map(|step| positive(step, when)).transpose()?.map(|step| step.max(1)),
        offset: milliseconds(&subquery.offset, when)?.0,
        at: at(subquery.at, when),
    })
}

fn at(at: Option<At>, when: When) -> Option<i64> {
    at.map(|at| match at {
        At::Time(time) => time,
        At::Start => when.start(),
        At::End => when.end(),
    })
}

fn positive(length: &Length, when: When) -> Result<i64, Error> {
    match (milliseconds(length, when)?, length) {
        ((_, seconds), Length::Formula(span, _)) if seconds <= 0.0 => {
            Err(no_length(*span, "duration must be greater than 0"))
        }
        ((milliseconds, _), _) => Ok(milliseconds),
    }
}

fn no_length(span: Span, text: &str) -> Error {
    Error::BadData(format!("{}:{}: {text}", span.start, span.end))
}

/// A length in whole milliseconds, and in seconds as it was computed.
fn milliseconds(length: &Length, when: When) -> Result<(i64, f64), Error> {
    let (span, formula) = match length {
        Length::Milliseconds(length) => return Ok((*length, *length as f64 / 1e3)),
        Length::Formula(span, formula) => (*span, formula),
    };
    let seconds = seconds(formula, when).map_err(|text| no_length(span, text))?;
    if !seconds.is_finite() {
        return Err(no_length(span, "duration is NaN or infinite"));
    }
    /// 2^63 ns, as of plain durations.
    const SECONDS_END: f64 = 9_223_372_036.854_775;
    if seconds.abs() > SECONDS_END {
        return Err(no_length(span, "duration is out of range"));
    }
    Ok(((seconds * 1e3) as i64, seconds))
}

fn seconds(formula: &Formula, when: When) -> Result<f64, &'static str> {
    Ok(match formula {
        Formula::Seconds(number) => number.value,
        Formula::Step => when.step_seconds(),
        Formula::Range => when.range_seconds(),
        Formula::Least(a, b) => seconds(a, when)?.min(seconds(b, when)?),
        Formula::Greatest(a, b) => seconds(a, when)?.max(seconds(b, when)?),
        Formula::Negative(a) => -seconds(a, when)?,
        Formula::Parenthesis(inner) => seconds(inner, when)?,
        Formula::Binary(operator, a, b) => {
            let (a, b) = (seconds(a, when)?, seconds(b, when)?);
            match operator {
                Operator::Divide if b == 0.0 => return Err("division by zero"),
                Operator::Modulo if b == 0.0 => return Err("modulo by zero"),
                Operator::Add => a + b,
                Operator::Subtract => a - b,
                Operator::Multiply => a * b,
                Operator::Divide => a / b,
                Operator::Modulo => a % b,
                _ => a.powf(b),
            }
        }
    })
}

/// Marks the highest fixed nodes; true if `plan` itself is one, or could be under a node that is.
fn mark_fixed(plan: &mut Plan) -> bool {
    let is_fixed = match &mut plan.work {
        // Nothing is saved by evaluating these once.
        Work::Number(_) | Work::Text(_) => return true,
        Work::Select(select) => select.at.is_some(),
        Work::Window(select, _) => return select.at.is_some(),
        Work::Subquery(subquery) => {
            mark_fixed(&mut subquery.operand);
            return subquery.at.is_some();
        }
        Work::Signed(_, operand) => mark_fixed(operand),
        Work::Aggregate(aggregate) => {
            let is_parameter_fixed = aggregate.parameter.as_mut().is_none_or(mark_fixed);
            let is_operand_fixed = mark_fixed(&mut aggregate.operand);
            is_parameter_fixed && is_operand_fixed
        }
        Work::Binary(pair) => {
            let is_left_fixed = mark_fixed(&mut pair.left);
            let is_right_fixed = mark_fixed(&mut pair.right);
            is_left_fixed && is_right_fixed
        }
        Work::Call(function, arguments) => {
            let is_pinned =
                |argument: &Plan| matches!(&argument.work, Work::Select(select) if select.at.is_some());
            let is_timestamp_of_pinned = function.name == "timestamp" && arguments.iter().all(is_pinned);
            let are_fixed: Vec<bool> = arguments.iter_mut().map(mark_fixed).collect();
            let is_of_time = OF_EVALUATION_TIME.contains(&function.name) || function.name == "info";
            is_timestamp_of_pinned || (!is_of_time && are_fixed.into_iter().all(|is_fixed| is_fixed))
        }
    };
    plan.is_fixed = is_fixed;
    is_fixed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    const RANGE: When = When::Range { start: 0, end: 600_000, step: 60_000 };

    fn planned(query: &str) -> Plan {
        plan(&parse(query).unwrap(), RANGE).unwrap()
    }

    #[test]
    fn fixed_is_what_hangs_on_no_step() {
        let check = |query: &str, want: bool| assert_eq!(planned(query).is_fixed, want, "{query}");
        check("a @ 5", true);
        check("sum(rate(a[5m] @ end())) + 1", true);
        check("a @ 5 + b", false);
        check("vector(time())", false);
        check("timestamp(a @ 5)", true);
        check("timestamp(abs(a @ 5))", false);
        check("timestamp(+a @ 5)", false);
        check("predict_linear(a[5m] @ 5, 60)", false);
        check("vector(start())", true);
        check("sum_over_time((a @ 5)[5m:1m])", false);
        check("topk(scalar(b), a @ 5)", false);
    }

    #[test]
    fn lengths_by_formula_know_the_question() {
        let window = |query: &str| match planned(query).work {
            Work::Window(_, range) => range,
            other => panic!("{other:?}"),
        };
        assert_eq!(window("a[step() * 2]"), 120_000);
        assert_eq!(window("a[min_of(range(), 5m) + 1s]"), 301_000);
        let refused = |query: &str| plan(&parse(query).unwrap(), RANGE).unwrap_err().to_string();
        assert_eq!(refused("a[step() - 1m]"), "2:13: duration must be greater than 0");
        assert_eq!(refused("a[1m / (step() - 1m)]"), "2:20: division by zero");
    }
}
