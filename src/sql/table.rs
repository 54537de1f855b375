//! An answer as a table for people: columns side by side, or a row below the other (`\x`).
//!
//! Telemetry is written by strangers: characters that would steer a terminal are shown as escapes, and a line break in a
//! value does not break the table. Widths are those of a terminal's cells, so that Chinese and emoji line up.

use std::fmt::Write as _;

use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use super::client::{Answer, Column};

/// How a value is shown that is not there.
const NULL: &str = "";

/// Widest column, in cells of a terminal: what is longer pushes others off the screen. `\x` shows all of a value.
const COLUMN_WIDTH_MAX: usize = 120;

/// What stands for the rest of a value.
const CUT: char = '…';

/// `answer` with a line a row.
pub fn wide(answer: &Answer) -> String {
    let heads = answer.columns.iter().map(|column| shown(&column.name));
    let heads: Vec<String> = heads.map(|head| cut(&head)).collect();
    let cells: Vec<Vec<String>> =
        answer.rows.iter().map(|row| row.iter().map(|value| cut(&text(value))).collect()).collect();
    let widths: Vec<usize> = (0..heads.len())
        .map(|column| {
            let of_column = cells.iter().filter_map(|row| row.get(column)).map(|cell| cell.width());
            of_column.chain([heads[column].width()]).max().unwrap_or_default()
        })
        .collect();
    let mut out = String::new();
    push_line(&mut out, &heads, &widths, |_| false);
    let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    push_line(&mut out, &rules, &widths, |_| false);
    for row in &cells {
        push_line(&mut out, row, &widths, |column| is_number(&answer.columns[column]));
    }
    push_end(&mut out, answer);
    out
}

/// `answer` with a line a value.
pub fn long(answer: &Answer) -> String {
    let names: Vec<String> = answer.columns.iter().map(|column| shown(&column.name)).collect();
    let width = names.iter().map(|name| name.width()).max().unwrap_or_default();
    let mut out = String::new();
    for (number, row) in answer.rows.iter().enumerate() {
        writeln!(out, "-[ row {} ]{}", number + 1, "-".repeat(width))
            .expect("writing to a String cannot fail");
        for (name, value) in names.iter().zip(row) {
            let line = format!("{name}{} | {}", " ".repeat(width - name.width()), text(value));
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
    push_end(&mut out, answer);
    out
}

fn push_line(out: &mut String, cells: &[String], widths: &[usize], is_right: impl Fn(usize) -> bool) {
    let mut line = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        if column > 0 {
            line.push_str("  ");
        }
        let blank = " ".repeat(width.saturating_sub(cell.width()));
        let (before, behind) = if is_right(column) { (blank.as_str(), "") } else { ("", blank.as_str()) };
        line.push_str(before);
        line.push_str(cell);
        line.push_str(behind);
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

fn push_end(out: &mut String, answer: &Answer) {
    let rows = answer.rows.len();
    writeln!(out, "({rows} {})", if rows == 1 { "row" } else { "rows" })
        .expect("writing to a String cannot fail");
    if let Some(reason) = &answer.reason {
        writeln!(out, "not all: {reason}").expect("writing to a String cannot fail");
    }
}

fn is_number(column: &Column) -> bool {
    ["int", "uint", "float", "decimal"].iter().any(|kind| column.data_type.starts_with(kind))
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => NULL.to_owned(),
        Value::String(text) => shown(text),
        other => shown(&other.to_string()),
    }
}

/// `text` without anything that a terminal obeys.
fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for next in text.chars() {
        match next {
            steering if is_steering(steering) => out.extend(steering.escape_default()),
            next => out.push(next),
        }
    }
    out
}

/// Control characters, and those that turn the direction of text. Source: Unicode 16, 23.2 "Bidirectional Ordering
/// Controls".
fn is_steering(next: char) -> bool {
    next.is_control()
        || matches!(next, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn cut(text: &str) -> String {
    if text.width() <= COLUMN_WIDTH_MAX {
        return text.to_owned();
    }
    let mut out = String::new();
    for next in text.chars() {
        if out.width() + 2 > COLUMN_WIDTH_MAX {
            break;
        }
        out.push(next);
    }
    out.push(CUT);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer() -> Answer {
        serde_json::from_value(json!({
            "columns": [{"name": "name", "type": "string"}, {"name": "count", "type": "int64"}],
            "rows": [["a\nb", 7], [null, 1234], ["日本", null]],
        }))
        .expect("an answer")
    }

    #[test]
    fn numbers_stand_right_and_nothing_breaks_a_line() {
        let want = "name  count\n----  -----\na\\nb      7\n       1234\n日本\n(3 rows)\n";
        assert_eq!(wide(&answer()), want);
    }

    #[test]
    fn a_row_is_shown_below_the_other() {
        let mut one = answer();
        one.rows.truncate(1);
        one.reason = Some("the answer has more than 1 rows".to_owned());
        let want =
            "-[ row 1 ]-----\nname  | a\\nb\ncount | 7\n(1 row)\nnot all: the answer has more than 1 rows\n";
        assert_eq!(long(&one), want);
    }

    #[test]
    fn no_value_steers_the_terminal_or_fills_the_screen() {
        let mut bad = answer();
        bad.rows = vec![vec![json!("\u{1b}[2J\u{202e}x"), json!(1)], vec![json!("x".repeat(500)), json!(2)]];
        let table = wide(&bad);
        assert!(table.contains("\\u{1b}[2J\\u{202e}x"), "{table}");
        assert!(table.lines().all(|line| line.width() <= COLUMN_WIDTH_MAX + "  count".len()), "{table}");
        assert!(long(&bad).contains(&"x".repeat(500)), "all of it is shown below one another");
    }
}
