//! Sorted vectors. Only an answer at an instant has an order; over a range they come by labels.

use std::cmp::Ordering;

use super::relabel::text;
use super::{Columns, Evaluator};
use crate::notes::Note;
use crate::plan::Plan;
use crate::series::{Grid, Point, Series};

impl Evaluator<'_> {
    pub(super) fn sorted(&self, at: usize, name: &str, arguments: &[Plan], grid: Grid) -> Columns<'_> {
        let (mut columns, held) = self.columns(&arguments[0], grid)?;
        let is_descending = name.ends_with("_desc");
        if grid.count > 1 {
            self.notes.tell(Note::SortInRange, at);
        }
        if name.starts_with("sort_by_label") {
            let labels: Vec<&str> = (1..arguments.len()).map(|at| text(arguments, at)).collect();
            columns.sort_by(|a, b| {
                let order = by_labels(a, b, &labels);
                if is_descending { order.reverse() } else { order }
            });
            return Ok((columns, held));
        }
        for point in columns.iter_mut().flat_map(|column| &mut column.points) {
            if point.is_histogram() {
                *point = Point::None;
            }
        }
        columns.retain(|column| !column.is_empty());
        if grid.count == 1 {
            columns.sort_by(|a, b| by_value(&a.points[0], &b.points[0], is_descending));
        }
        Ok((columns, held))
    }
}

/// NaN comes last either way.
pub(super) fn by_value(a: &Point, b: &Point, is_descending: bool) -> Ordering {
    let [a, b] = [a, b].map(|point| point.float().unwrap_or(f64::NAN));
    let order = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
    let order = if is_descending { order.reverse() } else { order };
    a.is_nan().cmp(&b.is_nan()).then(order)
}

fn by_labels(a: &Series, b: &Series, labels: &[&str]) -> Ordering {
    let orders = labels.iter().map(|label| natural(a.labels.get(label), b.labels.get(label)));
    orders.fold(Ordering::Equal, Ordering::then).then_with(|| a.labels.cmp(&b.labels))
}

/// Texts by their parts: numbers by size, the rest by letters, so that `node9` comes before `node10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a_rest, mut b_rest) = (a, b);
    while !a_rest.is_empty() && !b_rest.is_empty() {
        let ((a_part, a_next), (b_part, b_next)) = (first_part(a_rest), first_part(b_rest));
        let are_numbers = [a_part, b_part].iter().all(|part| part.starts_with(|c: char| c.is_ascii_digit()));
        let order = if are_numbers {
            let [a, b] = [a_part, b_part].map(|part| part.trim_start_matches('0'));
            a.len().cmp(&b.len()).then_with(|| a.cmp(b))
        } else {
            a_part.cmp(b_part)
        };
        if order != Ordering::Equal {
            return order;
        }
        (a_rest, b_rest) = (a_next, b_next);
    }
    a_rest.len().cmp(&b_rest.len()).then_with(|| a.cmp(b))
}

/// The digits that a text begins with, or what is before the next digit.
fn first_part(text: &str) -> (&str, &str) {
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    text.split_at(text.find(|c: char| c.is_ascii_digit() != is_number).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_texts_are_compared_by_size() {
        let mut texts = ["node10", "node9", "node", "node09b", "a2", "2", "10", ""];
        texts.sort_by(|a, b| natural(a, b));
        assert_eq!(texts, ["", "2", "10", "a2", "node", "node9", "node09b", "node10"]);
    }

    #[test]
    fn nan_is_last_in_either_direction() {
        for is_descending in [false, true] {
            let mut points = [f64::NAN, 1.0, 2.0].map(Point::Float);
            points.sort_by(|a, b| by_value(a, b, is_descending));
            assert!(points[2].float().is_some_and(f64::is_nan));
        }
    }
}
