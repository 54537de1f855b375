//! Runs the commands of a file and compares.

use std::sync::Arc;

use meshlake_promql::{Answer, AnswerValue, Error, Histogram, Labels, Options, Point, When, evaluate, parse};
use meshlake_schema::budget::Allowance;

use crate::script::{Command, Eval, Times, Wanted, commands};
use crate::storage::Storage;
use crate::values::Item;

/// Relative difference that is none, as of the format.
const EPSILON: f64 = 1e-6;

/// The line and outcome of each evaluation.
pub(crate) fn run(text: &str) -> Vec<(usize, Result<(), String>)> {
    let mut storage = Storage::default();
    let mut outcomes = Vec::new();
    for command in commands(text) {
        match command {
            Command::Clear => storage = Storage::default(),
            Command::Load { step, lines, with_custom_buckets } => {
                if let Err(error) = storage.load(step, &lines, with_custom_buckets) {
                    outcomes.push((0, Err(format!("load: {error}"))));
                }
            }
            Command::Eval { line, eval } => {
                let outcome = eval.and_then(|eval| {
                    check(&storage, &eval).map_err(|reason| format!("{}: {reason}", eval.query))
                });
                outcomes.push((line, outcome));
            }
        }
    }
    outcomes
}

fn ask(storage: &Storage, query: &str, when: When) -> Result<Answer, Error> {
    // Prometheus's tests ask with these on.
    let options = Options { drops_names_last: true, ..Options::default() };
    let budget = Allowance::new(1 << 30, None);
    evaluate(&parse(query)?, query, when, storage, &budget, &options)
}

fn check(storage: &Storage, eval: &Eval) -> Result<(), String> {
    let when = match eval.times {
        Times::Instant(time) => When::Instant(time),
        Times::Range { start, end, step } => When::Range { start, end, step },
    };
    let answer = match (ask(storage, &eval.query, when), &eval.fail) {
        (Err(error), Some(wanted)) if wanted.fits(&error.to_string()) => return Ok(()),
        (Err(error), Some(wanted)) => return Err(format!("fails with {error}, not {wanted:?}")),
        (Err(error), None) => return Err(format!("fails: {error}")),
        (Ok(_), Some(_)) => return Err("does not fail".to_owned()),
        (Ok(answer), None) => answer,
    };
    check_notes("warning", &answer.warnings, &eval.warnings, eval.no_warnings)?;
    check_notes("info", &answer.infos, &eval.infos, eval.no_infos)?;
    let is_scalar = matches!(answer.value, AnswerValue::Scalar(..));
    compare(eval, answer.value)?;
    let Times::Instant(time) = eval.times else { return Ok(()) };
    let knows_question =
        ["start()", "end()", "range()", "step()"].iter().any(|word| eval.query.contains(word));
    if eval.raw_times.is_some() || eval.text.is_some() || eval.is_ordered || knows_question {
        return Ok(());
    }
    check_in_range(storage, eval, time, is_scalar).map_err(|reason| format!("over a range: {reason}"))
}

/// The same question over a range gives the same at that instant.
fn check_in_range(storage: &Storage, eval: &Eval, time: i64, is_scalar: bool) -> Result<(), String> {
    const MINUTE: i64 = 60_000;
    let when = When::Range { start: time - MINUTE, end: time + MINUTE, step: MINUTE };
    let answer = ask(storage, &eval.query, when).map_err(|error| error.to_string())?;
    let AnswerValue::Matrix(matrix) = answer.value else { return Err("no matrix".to_owned()) };
    let at_time =
        |points: Vec<(i64, Point)>| points.into_iter().find(|(at, _)| *at == time).map(|(_, point)| point);
    let mut samples: Vec<(Labels, Point)> =
        matrix.into_iter().filter_map(|(labels, points)| Some((labels, at_time(points)?))).collect();
    match samples.pop() {
        Some((_, Point::Float(value))) if is_scalar => compare(eval, AnswerValue::Scalar(time, value)),
        last => {
            samples.extend(last);
            compare(eval, AnswerValue::Vector(time, samples))
        }
    }
}

fn check_notes(kind: &str, notes: &[String], wanted: &[Wanted], wants_none: bool) -> Result<(), String> {
    if wants_none && !notes.is_empty() {
        return Err(format!("unwanted {kind}: {notes:?}"));
    }
    if let Some(missing) = wanted.iter().find(|wanted| !notes.iter().any(|note| wanted.fits(note))) {
        return Err(format!("no {kind} {missing:?} among {notes:?}"));
    }
    let unknown =
        notes.iter().find(|note| !wanted.is_empty() && !wanted.iter().any(|wanted| wanted.fits(note)));
    unknown.map_or(Ok(()), |note| Err(format!("unexpected {kind}: {note}")))
}

fn compare(eval: &Eval, value: AnswerValue) -> Result<(), String> {
    match value {
        AnswerValue::Scalar(_, value) => match eval.scalar {
            Some(wanted) if is_close(wanted, value) => Ok(()),
            wanted => Err(format!("gives {value}, not {wanted:?}")),
        },
        AnswerValue::Text(_, text) if eval.text.as_ref() == Some(&text) => Ok(()),
        AnswerValue::Text(_, text) => Err(format!("gives {text:?}, not {:?}", eval.text)),
        AnswerValue::Vector(time, samples) => {
            for (at, (labels, _)) in samples.iter().enumerate() {
                let wanted = eval.series.get(at).map(|(labels, _)| labels);
                if eval.is_ordered && wanted != Some(labels) {
                    return Err(format!("has {labels} at place {at}, not {wanted:?}"));
                }
            }
            let rows = samples.into_iter().map(|(labels, point)| (labels, vec![(time, point)]));
            compare_rows(eval, &rows.collect(), Times::Range { start: time, end: time, step: 1 })
        }
        AnswerValue::Matrix(rows) => {
            if eval.scalar.is_some() {
                return Err("gives a matrix, not a scalar".to_owned());
            }
            if !rows.is_sorted_by(|a, b| a.0 <= b.0) {
                return Err("is not ordered by labels".to_owned());
            }
            compare_rows(eval, &rows, eval.raw_times.unwrap_or(eval.times))
        }
    }
}

type Rows = Vec<(Labels, Vec<(i64, Point)>)>;

fn compare_rows(eval: &Eval, rows: &Rows, times: Times) -> Result<(), String> {
    let Times::Range { start, end, step } = times else {
        return Err("gives samples at no known times".to_owned());
    };
    if let Some((labels, _)) =
        eval.series.iter().find(|(labels, _)| !rows.iter().any(|(other, _)| other == labels))
    {
        return Err(format!("has no {labels} among {}", shown(rows)));
    }
    for (labels, points) in rows {
        let Some((_, items)) = eval.series.iter().find(|(other, _)| other == labels) else {
            return Err(format!("has {labels} besides: {}", shown(rows)));
        };
        let placed = (0..).zip(items).map(|(at, item)| (start + step * at, item));
        let wanted: Vec<(i64, &Item)> = placed.filter(|(_, item)| !matches!(item, Item::Omitted)).collect();
        let is_same = wanted.len() == points.len()
            && wanted.iter().all(|(time, _)| *time <= end)
            && wanted
                .iter()
                .zip(points)
                .all(|((time, item), (at, point))| time == at && is_same(item, point));
        if !is_same {
            return Err(format!("{labels} is {points:?}, not {wanted:?}"));
        }
    }
    Ok(())
}

fn shown(rows: &Rows) -> String {
    let rows = rows.iter().map(|(labels, points)| format!("{labels} {points:?}"));
    rows.collect::<Vec<_>>().join("; ")
}

fn is_same(item: &Item, point: &Point) -> bool {
    match (item, point) {
        (Item::Float(wanted), Point::Float(value)) => is_close(*wanted, *value),
        (Item::Histogram(wanted, is_hinted), Point::Histogram(histogram)) => {
            is_same_histogram(wanted, histogram) && (!is_hinted || wanted.hint == histogram.hint)
        }
        _ => false,
    }
}

fn is_same_histogram(wanted: &Arc<Histogram>, histogram: &Histogram) -> bool {
    let are_same = |a: &[(i32, f64)], b: &[(i32, f64)]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && is_close(a.1, b.1))
    };
    let filled = |buckets: &[(i32, f64)]| -> Vec<(i32, f64)> {
        buckets.iter().copied().filter(|(_, count)| *count != 0.0).collect()
    };
    wanted.schema == histogram.schema
        && wanted.custom_bounds == histogram.custom_bounds
        && wanted.zero_threshold == histogram.zero_threshold
        && [
            (wanted.count, histogram.count),
            (wanted.sum, histogram.sum),
            (wanted.zero_count, histogram.zero_count),
        ]
        .iter()
        .all(|(a, b)| is_close(*a, *b))
        && are_same(&filled(&wanted.positive), &filled(&histogram.positive))
        && are_same(&filled(&wanted.negative), &filled(&histogram.negative))
}

fn is_close(a: f64, b: f64) -> bool {
    if (a.is_nan() && b.is_nan()) || a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}
