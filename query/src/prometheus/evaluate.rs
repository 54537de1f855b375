//! Queries: parsed, evaluated, and held in memory while they are written out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use meshlake_promql::{Answer, AnswerValue, Error, Expr, Options, When, parse_within};
use meshlake_schema::Budget;
use meshlake_schema::budget::Holding;

use super::asking::{At, Prometheus, asked};
use super::bounds::{CUT, label_bytes, point_bytes};

/// Series that the selectors of one query may read. Prometheus has no such limit; memory is bounded by the budget, and
/// this by what a query of a hundred thousand series needs that reads them twice.
const SERIES_MAX: usize = 200_000;

/// A query.
#[derive(Debug, Clone)]
pub struct Asked {
    pub text: String,
    pub when: When,
    /// No longer than the engine gives a query.
    pub timeout: Option<Duration>,
    /// How long a sample is the latest one, milliseconds; Prometheus's five minutes if it is not told.
    pub lookback: Option<i64>,
    /// Series of the answer, at most.
    pub limit: Option<usize>,
}

/// An answer, and what its memory is charged to.
#[derive(Debug)]
pub struct Answered {
    pub answer: Answer,
    pub stats: Stats,
    /// To be kept for as long as the answer is.
    pub charged: Arc<dyn Budget>,
}

/// What an answer took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stats {
    /// From the question to the beginning of its evaluation.
    pub queued: Duration,
    pub evaluated: Duration,
    /// Given to selectors, series as often as they were.
    pub series: usize,
    pub samples: usize,
}

/// Evaluates a query.
///
/// # Errors
/// All kinds of [`Error`]: [`Error::BadData`] for a query that is none, [`Error::Execution`] also for an answer of more
/// than `query.answer_bytes_max`.
pub async fn evaluate(prometheus: &Prometheus, tenant: &str, query: Asked) -> Result<Answered, Error> {
    let arrived = Instant::now();
    asked(prometheus, tenant, query.timeout, move |at| {
        let begun = Instant::now();
        let answer = answer(at, &query)?;
        let counts = at.merged.counts();
        let (queued, evaluated) = (begun - arrived, begun.elapsed());
        let stats = Stats { queued, evaluated, series: counts.series, samples: counts.samples };
        Ok(Answered { answer, stats, charged: Arc::clone(&at.budget) })
    })
    .await
}

/// The tree of a query that is not evaluated. To compile its regular expressions can take a while, so it has a place and
/// a time like any other question.
///
/// # Errors
/// [`Error::BadData`], and those of time and places.
pub async fn parsed(prometheus: &Prometheus, tenant: &str, text: String) -> Result<Expr, Error> {
    asked(prometheus, tenant, None, move |at| parse_within(&text, &mut Holding::new(at.budget.as_ref())))
        .await
}

/// The answer, charged to the budget.
fn answer(at: &At, query: &Asked) -> Result<Answer, Error> {
    let mut held = Holding::new(at.budget.as_ref());
    let tree = parse_within(&query.text, &mut held)?;
    let defaults = Options::default();
    let lookback = query.lookback.unwrap_or(defaults.lookback);
    let options = Options { lookback, series_max: SERIES_MAX, ..defaults };
    let budget = at.budget.as_ref();
    let mut answer = meshlake_promql::evaluate(&tree, &query.text, query.when, &at.merged, budget, &options)?;
    if query.limit.is_some_and(|limit| cut(&mut answer.value, limit)) {
        answer.warnings.push(CUT.to_owned());
    }
    let bytes = bytes(&answer.value);
    if bytes > at.answer_bytes_max {
        let text = format!("the answer is larger than {} bytes: ask for less", at.answer_bytes_max);
        return Err(Error::Execution(text));
    }
    at.budget.grow(bytes)?;
    Ok(answer)
}

/// Leaves the first series; whether there were more. Other values have no series.
fn cut(value: &mut AnswerValue, limit: usize) -> bool {
    let length = match value {
        AnswerValue::Vector(_, samples) => {
            let length = samples.len();
            samples.truncate(limit);
            length
        }
        AnswerValue::Matrix(rows) => {
            let length = rows.len();
            rows.truncate(limit);
            length
        }
        AnswerValue::Scalar(..) | AnswerValue::Text(..) => 0,
    };
    length > limit
}

fn bytes(value: &AnswerValue) -> usize {
    match value {
        AnswerValue::Scalar(..) | AnswerValue::Text(..) => size_of::<AnswerValue>(),
        AnswerValue::Vector(_, samples) => {
            samples.iter().map(|(labels, point)| label_bytes(labels) + point_bytes(point)).sum()
        }
        AnswerValue::Matrix(rows) => rows
            .iter()
            .map(|(labels, points)| {
                label_bytes(labels) + points.iter().map(|(_, point)| point_bytes(point)).sum::<usize>()
            })
            .sum(),
    }
}

#[cfg(test)]
mod tests {
    use meshlake_promql::{Labels, Point};
    use meshlake_schema::budget::Allowance;

    use super::super::fixture::Memory;
    use super::super::merged::Merged;
    use super::*;

    fn asks(text: &str, limit: Option<usize>) -> Asked {
        let when = When::Range { start: 0, end: 20_000, step: 10_000 };
        Asked { text: text.to_owned(), when, timeout: None, lookback: None, limit }
    }

    fn at(answer_bytes_max: usize, budget_bytes: usize) -> At {
        let memory = Memory::new(&[("m", "a", &[(0, 1.0), (10_000, 2.0)]), ("m", "b", &[(0, 3.0)])]);
        let budget = Arc::new(Allowance::new(budget_bytes, None));
        At { merged: Merged::new(vec![Box::new(memory)]), budget, answer_bytes_max }
    }

    fn rows(answer: &Answer) -> usize {
        match &answer.value {
            AnswerValue::Matrix(rows) => rows.len(),
            other => panic!("{other:?} is no matrix"),
        }
    }

    #[test]
    fn a_limit_leaves_the_first_series_and_says_so() {
        let ask = |limit| answer(&at(1 << 20, 1 << 20), &asks("m", limit)).expect("it is answered");
        assert_eq!((rows(&ask(None)), rows(&ask(Some(2))), rows(&ask(Some(1)))), (2, 2, 1));
        assert_eq!((ask(Some(2)).warnings, ask(Some(1)).warnings), (vec![], vec![CUT.to_owned()]));
    }

    #[test]
    fn an_answer_stays_charged_and_is_bounded() {
        let at_most = at(1 << 20, 1 << 20);
        let answered = answer(&at_most, &asks("m", None)).expect("it is answered");
        let held = bytes(&answered.value);
        // Three points of each of two series, with the label `x` and the name.
        assert_eq!(held, 6 * size_of::<(i64, Point)>() + 2 * (size_of::<Labels>() + 8 + 1 + 1 + 1));
        assert!(answer(&at(held, 1 << 20), &asks("m", None)).is_ok());
        let error = answer(&at(held - 1, 1 << 20), &asks("m", None)).expect_err("it is too large");
        assert!(
            matches!(&error, Error::Execution(text) if text.starts_with("the answer is larger")),
            "{error}"
        );
        let error = answer(&at(1 << 20, 64), &asks("m", None)).expect_err("there is no memory");
        assert!(matches!(error, Error::Execution(_)), "{error}");
    }

    #[test]
    fn the_lookback_is_what_was_asked_for() {
        let query = Asked { lookback: Some(5_000), ..asks("m", None) };
        let answered = answer(&at(1 << 20, 1 << 20), &query).expect("it is answered");
        let AnswerValue::Matrix(rows) = answered.value else { panic!("a range gives a matrix") };
        let counts: Vec<usize> = rows.iter().map(|(_, points)| points.len()).collect();
        assert_eq!(counts, [2, 1]);
    }
}
