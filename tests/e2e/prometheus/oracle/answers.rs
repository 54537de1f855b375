//! Whether two answers are one.
//!
//! Not compared, by rule: the text of an error beyond its kind, as it names one of several duplicates or quotes a regular
//! expression's own mistake; the places and names in warnings, which a subquery may tell elsewhere; the labels of what
//! `topk` and `bottomk` choose among equals; the order of an answer unless the query sorts.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::peers::is_alike;
use super::question::Question;

/// What differs, with the question; none if nothing does.
pub fn difference(question: &Question, ours: &Value, theirs: &Value) -> Option<String> {
    let told = |what: &str, ours: &Value, theirs: &Value| {
        Some(format!("{what} of {question}\n  ours   {ours}\n  theirs {theirs}"))
    };
    if ours["status"] != theirs["status"] || ours["errorType"] != theirs["errorType"] {
        return told("status", ours, theirs);
    }
    for kind in ["warnings", "infos"] {
        if notes(&ours[kind]) != notes(&theirs[kind]) {
            return told(kind, &ours[kind], &theirs[kind]);
        }
    }
    let (ours, theirs) = (&ours["data"], &theirs["data"]);
    if ours["resultType"] != theirs["resultType"] {
        return told("type", ours, theirs);
    }
    let (a, b) = (rows(question, ours), rows(question, theirs));
    let is_same = a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| is_alike(a, b));
    let is_of_ties =
        || question.chooses() && values(&a).len() == values(&b).len() && all_alike(&values(&a), &values(&b));
    if is_same || is_of_ties() { None } else { told("result", ours, theirs) }
}

/// The kinds of notes: their words without places, names and numbers. A Prometheus that joins a note with itself counts twice
/// how many samples it is about.
fn notes(notes: &Value) -> BTreeSet<String> {
    let kind = |text: &str| {
        let unplaced = text.rsplit_once(" (").map_or(text, |(text, _)| text);
        let mut words = String::new();
        // Every other part lies in quotes.
        unplaced.split('"').step_by(2).for_each(|part| words += part);
        let ends = [", got ", ", from buckets "];
        ends.into_iter().fold(words, |words, end| words.split(end).next().unwrap_or_default().to_owned())
    };
    notes.as_array().into_iter().flatten().filter_map(Value::as_str).map(kind).collect()
}

/// Rows in an order that does not depend on who answers, unless the query gives one.
fn rows(question: &Question, data: &Value) -> Vec<Value> {
    let Some(rows) = data["result"].as_array() else { return vec![data["result"].clone()] };
    let mut rows = rows.clone();
    if data["resultType"] == "scalar" || data["resultType"] == "string" {
        return rows;
    }
    if !question.sorts() {
        rows.sort_by_key(|row| row["metric"].to_string());
    }
    rows
}

/// Times and values without their labels, sorted as texts.
fn values(rows: &[Value]) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    for row in rows {
        match row["values"].as_array() {
            Some(points) => all.extend(points.iter().cloned()),
            None => all.push(row["value"].clone()),
        }
    }
    all.sort_by_key(ToString::to_string);
    all
}

fn all_alike(a: &[Value], b: &[Value]) -> bool {
    a.iter().zip(b).all(|(a, b)| is_alike(a, b))
}

#[test]
fn what_is_not_alike_is_told() {
    use serde_json::json;
    let question = Question::new("g", &[0]);
    let answer = |value: &str, warning: &str| {
        let row = json!({"metric": {"a": "b"}, "value": [1, value]});
        json!({"status": "success", "data": {"resultType": "vector", "result": [row]}, "warnings": [warning]})
    };
    let first = answer("1", "PromQL warning: odd \"x\" (1:5)");
    assert_eq!(
        difference(&question, &first, &answer("1.0000000001", "PromQL warning: odd \"y\" (1:9)")),
        None
    );
    assert!(
        difference(&question, &first, &answer("1.00000001", "PromQL warning: odd \"x\" (1:5)")).is_some()
    );
    assert!(difference(&question, &first, &answer("1", "PromQL warning: other \"x\" (1:5)")).is_some());
    assert!(difference(&question, &first, &json!({"status": "error", "errorType": "execution"})).is_some());
}
