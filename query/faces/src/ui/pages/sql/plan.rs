//! What EXPLAIN says as a tree: each step under the one that takes its rows.

use arrow::array::RecordBatch;
use maud::{Markup, html};

use crate::cells::push_plain;
use crate::ui::text::Text;

/// A step of a plan, and what it takes rows from.
#[derive(Debug, Default, PartialEq)]
struct Step {
    text: String,
    under: Vec<Step>,
}

/// Rows of a kind of plan and its text.
pub fn shown(title: &str, batches: &[RecordBatch]) -> Markup {
    html! {
        section aria-labelledby="plan" {
            h2 id="plan" { (title) }
            @for batch in batches { @for row in 0..batch.num_rows() {
                @let [kind, text] = [0, 1].map(|column| cell(batch, column, row));
                h3 { (Text(&kind.replace('_', " "))) }
                div class="plan" { (branch(&steps(&text))) }
            } }
        }
    }
}

fn cell(batch: &RecordBatch, column: usize, row: usize) -> String {
    let mut text = String::new();
    if column < batch.num_columns() {
        push_plain(&mut text, batch.column(column).as_ref(), row);
    }
    text
}

fn branch(steps: &[Step]) -> Markup {
    html! {
        ul { @for step in steps {
            li {
                @let (name, rest) = step.text.split_once(':').unwrap_or((&step.text, ""));
                code { strong { (Text(name)) } @if !rest.is_empty() { ":" (Text(rest)) } }
                @if !step.under.is_empty() { (branch(&step.under)) }
            }
        } }
    }
}

/// Lines into a tree by how far each is indented. DataFusion indents by two; a line that is indented further than one step below
/// the line before is under it all the same. Plans are bounded in depth by the engine.
fn steps(text: &str) -> Vec<Step> {
    let mut open: Vec<(usize, Step)> = Vec::new();
    let mut roots = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let indent = line.len() - line.trim_start().len();
        close(&mut open, &mut roots, indent);
        open.push((indent, Step { text: line.trim().to_owned(), under: Vec::new() }));
    }
    close(&mut open, &mut roots, 0);
    roots
}

/// Ends the steps that a line of this indent is not under.
fn close(open: &mut Vec<(usize, Step)>, roots: &mut Vec<Step>, indent: usize) {
    while open.last().is_some_and(|(of_last, _)| *of_last >= indent) {
        let Some((_, step)) = open.pop() else { return };
        match open.last_mut() {
            Some((_, parent)) => parent.under.push(step),
            None => roots.push(step),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(text: &str, under: Vec<Step>) -> Step {
        Step { text: text.to_owned(), under }
    }

    #[test]
    fn steps_are_under_what_takes_their_rows() {
        let found = steps("Join: a = b\n  Filter: x\n    Scan: l\n  Scan: r\n\nOther");
        let filter = step("Filter: x", vec![step("Scan: l", Vec::new())]);
        let join = step("Join: a = b", vec![filter, step("Scan: r", Vec::new())]);
        assert_eq!(found, [join, step("Other", Vec::new())]);
    }

    #[test]
    fn odd_indents_are_a_tree_too() {
        assert_eq!(steps(""), []);
        let found = steps("   a\n b\n     c");
        assert_eq!(found, [step("a", Vec::new()), step("b", vec![step("c", Vec::new())])]);
    }
}
