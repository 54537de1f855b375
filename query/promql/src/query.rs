//! Questions and answers: a query, evaluated over a source of samples.
//!
//! This is what a face asks. Whatever a question may take in steps, samples, series, bytes and time is bounded here
//! or below, and going over a bound is an error in Prometheus's words.

use meshlake_schema::Budget;

use crate::error::Error;
use crate::evaluate::Evaluator;
use crate::labels::Labels;
use crate::notes::Notes;
use crate::options::Options;
use crate::plan::{Plan, When, Work, plan};
use crate::samples::Samples;
use crate::series::{Grid, Point, Row, Series, Value, drop_names, merged};
use crate::tree::{Expr, Kind};

/// What a query gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub value: AnswerValue,
    /// What may be wrong with the answer, with places in the query.
    pub warnings: Vec<String>,
    /// What may be wrong with the question.
    pub infos: Vec<String>,
    /// Samples that values come from, again for each step that they count for; a histogram as many as it is as large as.
    pub samples_looked_at: usize,
    /// Samples and points that were in memory at once, at the most.
    pub samples_peak: usize,
}

/// Times are milliseconds since the epoch; no point is [`Point::None`].
#[derive(Debug, Clone, PartialEq)]
pub enum AnswerValue {
    Scalar(i64, f64),
    Text(i64, String),
    /// At an instant, ordered if the query says so.
    Vector(i64, Vec<(Labels, Point)>),
    /// Over a range, ordered by labels.
    Matrix(Vec<Row>),
}

/// Evaluates a query; `text` is what the tree was parsed from, for the places in notes.
///
/// # Errors
/// All kinds of [`Error`]; only those of time can be helped by asking again.
pub fn evaluate(
    tree: &Expr,
    text: &str,
    when: When,
    samples: &dyn Samples,
    budget: &dyn Budget,
    options: &Options,
) -> Result<Answer, Error> {
    let grid = grid(tree, when, options)?;
    let plan = plan(tree, when)?;
    let notes = Notes::default();
    let evaluator = Evaluator::new(samples, budget, options, &notes);
    let value = answer_value(&evaluator, &plan, when, grid)?;
    let (samples_looked_at, samples_peak) = evaluator.counts();
    let (warnings, infos) = notes.texts(text);
    Ok(Answer { value, warnings, infos, samples_looked_at, samples_peak })
}

fn grid(tree: &Expr, when: When, options: &Options) -> Result<Grid, Error> {
    let bad_data = |text: String| Err(Error::BadData(text));
    let (start, end, step) = match when {
        When::Instant(time) => return Ok(Grid { start: time, step: 1, count: 1 }),
        When::Range { start, end, step } => (start, end, step),
    };
    if end < start {
        return bad_data("end timestamp must not be before start time".to_owned());
    }
    if step <= 0 {
        let text = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return bad_data(text.to_owned());
    }
    let steps = usize::try_from(end.abs_diff(start) / step.unsigned_abs()).unwrap_or(usize::MAX);
    if steps > options.steps_max {
        let text = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution \
                    (?step=XX)";
        return bad_data(text.replace("11,000", &with_commas(options.steps_max)));
    }
    if !matches!(tree.kind(), Kind::Scalar | Kind::Vector) {
        let kind = crate::text::quoted(tree.kind().documented());
        return bad_data(format!(
            "invalid expression type {kind} for range query, must be Scalar or instant Vector"
        ));
    }
    Ok(Grid { start, step, count: steps + 1 })
}

fn with_commas(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join(",")
}

fn answer_value(
    evaluator: &Evaluator<'_>,
    plan: &Plan,
    when: When,
    grid: Grid,
) -> Result<AnswerValue, Error> {
    if let (When::Instant(time), Kind::Matrix) = (when, plan.kind) {
        return raw_samples(evaluator, plan, time);
    }
    let (value, _held) = evaluator.evaluate(plan, grid)?;
    let is_range = matches!(when, When::Range { .. });
    Ok(match value {
        Value::Text(text) => AnswerValue::Text(grid.start, text),
        Value::Scalar(values) if !is_range => AnswerValue::Scalar(grid.start, values[0]),
        Value::Scalar(values) => {
            let points = values.into_iter().map(Point::Float).collect();
            let series = Series { labels: Labels::default(), drops_name: false, points };
            AnswerValue::Matrix(matrix(vec![series], grid))
        }
        Value::Vector(mut series) => {
            drop_names(&mut series);
            let series = merged(series)?;
            if is_range {
                AnswerValue::Matrix(matrix(series, grid))
            } else {
                let samples =
                    series.into_iter().filter_map(|mut series| Some((series.labels, series.points.pop()?)));
                AnswerValue::Vector(grid.start, samples.collect())
            }
        }
    })
}

fn matrix(series: Vec<Series>, grid: Grid) -> Vec<Row> {
    let with_times = series.into_iter().map(|series| {
        let points = grid.times().zip(series.points).filter(|(_, point)| !point.is_none());
        (series.labels, points.collect())
    });
    let mut matrix: Vec<Row> = with_times.collect();
    matrix.sort_by(|a, b| a.0.cmp(&b.0));
    matrix
}

/// The samples of a range, as they are.
fn raw_samples(evaluator: &Evaluator<'_>, plan: &Plan, time: i64) -> Result<AnswerValue, Error> {
    let rows = match &plan.work {
        Work::Window(select, range) => evaluator.raw_window(select, *range, time)?,
        Work::Subquery(subquery) => {
            let (mut series, grid) =
                evaluator.resampled(subquery, Grid { start: time, step: 1, count: 1 })?;
            drop_names(&mut series);
            return Ok(AnswerValue::Matrix(matrix(merged(series)?, grid)));
        }
        _ => Vec::new(),
    };
    let mut rows: Vec<_> = rows.into_iter().filter(|(_, points)| !points.is_empty()).collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(AnswerValue::Matrix(rows))
}
