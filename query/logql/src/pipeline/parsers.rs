//! Parsers: labels made of lines.

use std::ops::ControlFlow;

use super::entry::Entry;
use super::labels::LabelSet;
use crate::matching::names::label_name;
use crate::matching::{json, logfmt};
use crate::tree::log::Parser;

/// The mistake of a line that is no JSON.
const JSON_ERROR: &str = "JSONParserErr";
/// The mistake of a line that is no logfmt, where that is told.
const LOGFMT_ERROR: &str = "LogfmtParserErr";

/// The member of a packed line that is the line.
const PACKED_LINE: &str = "_entry";

/// Adds the labels that the parser finds in the line.
pub fn parse(parser: &Parser, entry: &mut Entry<'_>) {
    let Entry { line, labels, .. } = entry;
    match parser {
        Parser::Json(paths) if paths.is_empty() => {
            let read = json::flatten(line, &mut |name, value| labels.extract(name, &value));
            if let Err(json::Mistake(what)) = read {
                labels.fail(JSON_ERROR, what.to_owned());
            }
        }
        Parser::Json(paths) => {
            for (label, path) in paths {
                match path.find(line) {
                    Ok(value) => labels.extract(label, &value.map(json::Value::text).unwrap_or_default()),
                    Err(json::Mistake(what)) => return labels.fail(JSON_ERROR, what.to_owned()),
                }
            }
        }
        Parser::Logfmt { is_strict, keeps_empty, wanted } => {
            of_logfmt(line, labels, *is_strict, *keeps_empty, wanted);
        }
        Parser::Pattern(pattern) => pattern.cut(line, |name, value| labels.extract(name, value)),
        Parser::Regexp(expression) => {
            let Some(captures) = expression.regex().captures(line) else { return };
            for name in expression.group_names() {
                labels.extract(
                    name,
                    captures.name(name).map_or("", |found: regex::Match<'_>| &line[found.range()]),
                );
            }
        }
        Parser::Unpack => unpack(entry),
    }
}

fn of_logfmt(
    line: &str,
    labels: &mut LabelSet<'_>,
    is_strict: bool,
    keeps_empty: bool,
    wanted: &[(String, String)],
) {
    for pair in logfmt::pairs(line) {
        let (key, value) = match pair {
            Ok(pair) => pair,
            Err(_) if !is_strict => continue,
            Err(message) => return labels.fail(LOGFMT_ERROR, message),
        };
        if value.is_empty() && !keeps_empty {
            continue;
        }
        if wanted.is_empty() {
            labels.extract(&label_name(key), &value);
        }
        for (label, _) in wanted.iter().filter(|(_, of)| of == key) {
            labels.extract(label, &value);
        }
    }
}

/// Members of an object that are texts become labels; `_entry` becomes the line.
fn unpack(entry: &mut Entry<'_>) {
    let mut packed = None;
    let labels = &mut entry.labels;
    let read = json::members(&entry.line, &mut |key, value| {
        if let json::Value::Text(value) = value {
            if key == PACKED_LINE {
                packed = Some(value.into_owned());
            } else {
                labels.extract(&label_name(&key), &value);
            }
        }
        ControlFlow::Continue(())
    });
    if let Err(json::Mistake(what)) = read {
        labels.fail(JSON_ERROR, what.to_owned());
    }
    if let Some(packed) = packed {
        entry.line = packed.into();
    }
}
