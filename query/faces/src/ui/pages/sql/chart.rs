//! An answer as a chart: numbers over a time as lines, numbers by a text as bars.
//!
//! The first column that is a time, else the first text, is what is shown by; columns of numbers are what is shown. Over a time a
//! text tells lines apart: `minute, service, errors` is a line a service.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, SchemaRef, TimeUnit, TimestampNanosecondType};
use maud::{Markup, html};
use meshlake_schema::UnixNanos;

use crate::cells::push_plain;
use crate::ui::chart::{Chart, Line};
use crate::ui::format;
use crate::ui::text::{Text, shortened};

/// Lines of a chart, as many as there are colours to tell them by.
const LINES_MAX: usize = 6;

/// Bars of a chart: what a screen shows.
const BARS_MAX: usize = 50;

/// Points of a line: more than a screen has pixels tell nothing, and even times of a sparse answer could be billions.
const POINTS_MAX: usize = 2_000;

/// Characters of a name in a chart.
const NAME_CHARS_MAX: usize = 40;

/// The classes of lines, a colour each.
const CLASSES: [&str; LINES_MAX] = ["one", "two", "three", "four", "five", "six"];

/// What a column is in a chart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Time,
    Number,
    Text,
    /// Lists, maps and what else has no place in a chart.
    Other,
}

fn kind(data_type: &DataType) -> Kind {
    match data_type {
        DataType::Timestamp(..) | DataType::Date32 => Kind::Time,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Boolean => Kind::Text,
        DataType::Dictionary(_, values) => kind(values),
        _ if data_type.is_numeric() => Kind::Number,
        _ => Kind::Other,
    }
}

/// The chart of an answer; `None` where there is nothing to draw, or nothing to draw it by.
pub fn of(schema: &SchemaRef, batches: &[RecordBatch]) -> Option<Markup> {
    let columns = |wanted: Kind| -> Vec<usize> {
        let kinds = schema.fields().iter().map(|field| kind(field.data_type())).enumerate();
        kinds.filter(|(_, kind)| *kind == wanted).map(|(at, _)| at).collect()
    };
    let (times, texts, numbers) = (columns(Kind::Time), columns(Kind::Text), columns(Kind::Number));
    let numbers: Vec<usize> = numbers.into_iter().take(LINES_MAX).collect();
    if numbers.is_empty() {
        return None;
    }
    match (times.first(), texts.first()) {
        (Some(time), by) => lines(schema, batches, *time, by.copied(), &numbers),
        (None, Some(text)) => Some(bars(schema, batches, *text, numbers[0])),
        (None, None) => None,
    }
}

/// A value at a time, by the name of its line.
type Points = BTreeMap<String, BTreeMap<i64, f64>>;

fn lines(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    time: usize,
    by: Option<usize>,
    numbers: &[usize],
) -> Option<Markup> {
    let mut points = Points::new();
    for batch in batches {
        let nanos = DataType::Timestamp(TimeUnit::Nanosecond, None);
        let times = cast(batch.column(time), &nanos).ok()?;
        let times = times.as_primitive::<TimestampNanosecondType>();
        for number in numbers {
            let values = cast(batch.column(*number), &DataType::Float64).ok()?;
            let values = values.as_primitive::<Float64Type>();
            for row in (0..batch.num_rows()).filter(|row| times.is_valid(*row) && values.is_valid(*row)) {
                let column = schema.field(*number).name();
                let name = by.map(|by| plain(batch, by, row));
                let name = match name {
                    Some(name) if numbers.len() > 1 => format!("{name} {column}"),
                    Some(name) => name,
                    None => column.clone(),
                };
                points.entry(name).or_default().insert(times.value(row), values.value(row));
            }
        }
    }
    let times = even(&points.values().flat_map(BTreeMap::keys).copied().collect())?;
    // The largest first, as far as there are colours.
    let mut largest: Vec<(&String, &BTreeMap<i64, f64>)> = points.iter().collect();
    let sum = |line: &BTreeMap<i64, f64>| line.values().map(|value| value.abs()).sum::<f64>();
    largest.sort_by(|one, other| sum(other.1).total_cmp(&sum(one.1)));
    let names: Vec<String> = largest
        .iter()
        .take(LINES_MAX)
        .map(|(name, _)| Text(&shortened(name, NAME_CHARS_MAX)).to_string())
        .collect();
    let lines = names.iter().zip(&largest).zip(CLASSES).map(|((name, (_, values)), class)| Line {
        name,
        class,
        values: times.iter().map(|time| values.get(&time.0).copied()).collect(),
    });
    let title = if by.is_some() { schema.field(numbers[0]).name().as_str() } else { "SQL" };
    let title = Text(title).to_string();
    let chart = Chart {
        title: &title,
        times: &times,
        lines: lines.collect(),
        marks: &[],
        points: &[],
        shown: format::any_number,
        columns: 0..0,
    };
    Some(html! { div class="wide-chart" { (chart.draw()) } })
}

/// Times as far apart as the two that are nearest, from the first to the last; `None` where some are not at such a step, and of
/// fewer than two or more than [`POINTS_MAX`].
fn even(found: &BTreeSet<i64>) -> Option<Vec<UnixNanos>> {
    let (first, last) = (*found.first()?, *found.last()?);
    let gaps = found.iter().zip(found.iter().skip(1)).map(|(one, other)| other.saturating_sub(*one));
    let step = gaps.min()?;
    let is_even = found.iter().all(|time| time.saturating_sub(first) % step == 0);
    let steps = usize::try_from(last.saturating_sub(first) / step).ok()?;
    (is_even && steps < POINTS_MAX).then(|| {
        (0..=steps).filter_map(|at| Some(UnixNanos(first + step * i64::try_from(at).ok()?))).collect()
    })
}

fn bars(schema: &SchemaRef, batches: &[RecordBatch], text: usize, number: usize) -> Markup {
    let mut found: Vec<(String, f64)> = Vec::new();
    for batch in batches {
        let Ok(values) = cast(batch.column(number), &DataType::Float64) else { continue };
        let values = values.as_primitive::<Float64Type>();
        let rows = (0..batch.num_rows()).filter(|row| values.is_valid(*row));
        found.extend(rows.map(|row| (plain(batch, text, row), values.value(row))));
    }
    let left_out = found.len().saturating_sub(BARS_MAX);
    found.truncate(BARS_MAX);
    let most = found.iter().map(|(_, value)| value.abs()).fold(0.0, f64::max);
    let width = |value: f64| {
        if most > 0.0 && value.is_finite() { (value.abs() / most * 100.0).clamp(0.0, 100.0) } else { 0.0 }
    };
    let name = schema.field(number).name();
    html! {
        figure class="chart bars" {
            figcaption { (Text(name)) @if left_out > 0 { span class="hint" { " +" (left_out) } } }
            table aria-label=(Text(name)) {
                @for (text, value) in &found {
                    tr {
                        th scope="row" class="text" { (Text(&shortened(text, NAME_CHARS_MAX))) }
                        td { (format::any_number(*value)) }
                        td class="length text" {
                            svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
                                rect width=(format!("{:.2}", width(*value))) height="10" {}
                            }
                        }
                    }
                }
            }
        }
    }
}

fn plain(batch: &RecordBatch, column: usize, row: usize) -> String {
    let mut text = String::new();
    if batch.column(column).is_valid(row) {
        push_plain(&mut text, batch.column(column).as_ref(), row);
    } else {
        text.push_str("NULL");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_filled_up_to_even_steps() {
        let even_of = |times: &[i64]| even(&times.iter().copied().collect());
        assert_eq!(even_of(&[0, 10, 30]), Some([0, 10, 20, 30].map(UnixNanos).to_vec()));
        assert_eq!(even_of(&[0, 10, 25]), None, "25 is not at a step of ten");
        assert_eq!(even_of(&[5]), None, "one time makes no line");
        assert_eq!(even_of(&[0, 1, POINTS_MAX as i64 - 1]).map(|times| times.len()), Some(POINTS_MAX));
        assert_eq!(even_of(&[0, 1, POINTS_MAX as i64]), None, "more than can be shown");
    }
}
