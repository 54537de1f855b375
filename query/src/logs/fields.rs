//! Fields that lines have beside the labels of their streams: stored beside them, or written in them as JSON or logfmt.
//!
//! What is told is of the lines that were looked at, the newest ones: who asks wants names to choose from, not a count.

use std::collections::{BTreeMap, BTreeSet};

use meshlake_engine::Engine;
use meshlake_logql::pipeline::Origin;
use meshlake_logql::{json, label_name, logfmt};

use super::asking::asked;
use super::error::LogsError;
use super::lines::{Found, Lines, found};

/// Values of one field that are told apart. Guess: an answer says how many there are.
const VALUES_MAX: usize = 1_000;

/// A field of some lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub label: String,
    pub kind: FieldKind,
    /// Up to 1,000 of its values.
    pub values: BTreeSet<String>,
    /// What makes a label of it: none for what is stored beside lines.
    pub parser: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    Text,
    Integer,
    Float,
    Boolean,
    Duration,
    Bytes,
}

/// The fields of the lines that are asked for, by name.
///
/// # Errors
/// As [`super::lines`].
pub async fn detected_fields(
    engine: &Engine,
    tenant: &str,
    question: Lines,
) -> Result<Vec<Field>, LogsError> {
    asked(engine, tenant, move |at| Ok(fields(&found(at, &question)?))).await
}

fn fields(lines: &[Found]) -> Vec<Field> {
    let mut known: BTreeMap<String, Field> = BTreeMap::new();
    let mut add = |label: &str, value: &str, parser: Option<&'static str>| {
        if value.is_empty() {
            return;
        }
        let field = known.entry(label.to_owned()).or_insert_with(|| Field {
            label: label.to_owned(),
            kind: kind(value),
            values: BTreeSet::new(),
            parser,
        });
        if field.kind != kind(value) {
            field.kind = FieldKind::Text;
        }
        if field.values.len() < VALUES_MAX {
            field.values.insert(value.to_owned());
        }
    };
    for found in lines {
        for (label, value, origin) in &found.labels {
            if *origin != Origin::Stream {
                add(label, value, None);
            }
        }
        let read = json::flatten(&found.line, &mut |label, value| add(label, &value, Some("json")));
        if read.is_err() {
            for (key, value) in logfmt::pairs(&found.line).flatten() {
                add(&label_name(key), &value, Some("logfmt"));
            }
        }
    }
    known.into_values().collect()
}

fn kind(value: &str) -> FieldKind {
    let has_unit = value.ends_with(|c: char| c.is_ascii_alphabetic());
    if value.parse::<i64>().is_ok() {
        FieldKind::Integer
    } else if value.parse::<f64>().is_ok() {
        FieldKind::Float
    } else if value == "true" || value == "false" {
        FieldKind::Boolean
    } else if has_unit && meshlake_logql::quantity::nanos(value).is_some() {
        FieldKind::Duration
    } else if has_unit && meshlake_logql::quantity::bytes(value).is_some() {
        FieldKind::Bytes
    } else {
        FieldKind::Text
    }
}

#[cfg(test)]
mod tests {
    use meshlake_schema::UnixNanos;

    use super::*;

    #[test]
    fn fields_are_of_json_of_logfmt_and_of_what_is_stored() {
        let line = |line: &str| Found {
            time: UnixNanos(0),
            labels: vec![
                ("app".to_owned(), "a".to_owned(), Origin::Stream),
                ("pod".to_owned(), "p-1".to_owned(), Origin::Metadata),
            ],
            line: line.to_owned(),
        };
        let lines = [
            line(r#"{"took":"1.5s","n":1,"ok":true}"#),
            line("n=2 size=3KB bare x=y"),
            line(r#"{"n":"x","f":1.5}"#),
        ];
        let found: Vec<_> =
            fields(&lines).into_iter().map(|f| (f.label, f.kind, f.values.len(), f.parser)).collect();
        let want = [
            ("f", FieldKind::Float, 1, Some("json")),
            ("n", FieldKind::Text, 3, Some("json")),
            ("ok", FieldKind::Boolean, 1, Some("json")),
            ("pod", FieldKind::Text, 1, None),
            ("size", FieldKind::Bytes, 1, Some("logfmt")),
            ("took", FieldKind::Duration, 1, Some("json")),
            ("x", FieldKind::Text, 1, Some("logfmt")),
        ];
        assert_eq!(found, want.map(|(label, kind, values, parser)| (label.to_owned(), kind, values, parser)));
    }
}
