//! The mappings of YAML's block style, as Envoy's and Envoy Gateway's configurations write a `json_format`.
//!
//! ```text
//! json_format:
//!   start_time: "%START_TIME%"
//!   http:
//!     method: '%REQ(:METHOD)%'   # quoted either way, or plain
//! ```
//! A library for all of YAML would be much for this. Limits: keys with texts and keys with mappings, nothing else: no lists, no
//! texts of several lines, no anchors; of escapes in double quotes those of JSON.
//!
//! Source: YAML 1.2.2, 7.3 (flow scalars), 8.2.2 (block mappings).

use serde_json::{Map, Value};

/// Keys around a format, which are none of its members.
const AROUND: [&str; 4] = ["json_format", "typed_json_format", "json", "labels"];

/// What `text` says; `None` where it is no such mapping.
pub(super) fn read(text: &str) -> Option<Map<String, Value>> {
    let lines: Vec<_> = text.lines().filter_map(Line::of).collect();
    let indent = lines.first()?.as_ref()?.indent;
    let lines: Vec<Line<'_>> = lines.into_iter().collect::<Option<_>>()?;
    let (mapping, rest) = mapping(&lines, indent)?;
    if !rest.is_empty() {
        return None;
    }
    let around =
        mapping.iter().next().filter(|(key, _)| mapping.len() == 1 && AROUND.contains(&key.as_str()));
    match around {
        Some((_, Value::Object(inner))) => Some(inner.clone()),
        _ => Some(mapping),
    }
}

/// A line with a key.
#[derive(Debug)]
struct Line<'a> {
    indent: usize,
    key: String,
    /// Empty where a mapping follows.
    rest: &'a str,
}

impl<'a> Line<'a> {
    /// `None` for a line that says nothing; the inner one for what is no key.
    fn of(line: &'a str) -> Option<Option<Line<'a>>> {
        let text = line.trim();
        if text.is_empty() || text.starts_with('#') || text == "---" {
            return None;
        }
        // An item of a list.
        if text.starts_with("- ") {
            return Some(None);
        }
        let indent = line.len() - line.trim_start_matches(' ').len();
        let (key, rest) = match quoted(text) {
            Some((key, rest)) => (key, rest),
            // A colon that ends a key is followed by a space, or ends the line.
            None => {
                let end = text.find(": ").or_else(|| text.strip_suffix(':').map(str::len));
                let Some(end) = end else { return Some(None) };
                (text[..end].to_owned(), &text[end..])
            }
        };
        let rest = rest.trim_start().strip_prefix(':');
        Some(rest.map(|rest| Line { indent, key, rest: rest.trim() }))
    }
}

/// The mapping that the first of `lines` begins, and the lines behind it.
fn mapping<'l, 'a>(mut lines: &'l [Line<'a>], indent: usize) -> Option<(Map<String, Value>, &'l [Line<'a>])> {
    let mut members = Map::new();
    while let Some((line, behind)) = lines.split_first() {
        if line.indent < indent {
            break;
        }
        if line.indent > indent {
            return None;
        }
        let is_text = !line.rest.is_empty() && !line.rest.starts_with('#');
        let (value, rest) = if is_text {
            (Value::String(scalar(line.rest)?), behind)
        } else {
            let inner = behind.first().filter(|next| next.indent > indent)?;
            let (inner, rest) = mapping(behind, inner.indent)?;
            (Value::Object(inner), rest)
        };
        members.insert(line.key.clone(), value);
        lines = rest;
    }
    Some((members, lines))
}

fn scalar(text: &str) -> Option<String> {
    if text.starts_with(['"', '\'']) {
        let (text, rest) = quoted(text)?;
        let rest = rest.trim_start();
        return (rest.is_empty() || rest.starts_with('#')).then_some(text);
    }
    let plain = text.split(" #").next().unwrap_or(text).trim_end();
    (!plain.starts_with(['[', '{', '|', '>', '&', '*'])).then(|| plain.to_owned())
}

/// The quoted text that `text` begins with, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|char| matches!(char, '"' | '\''))?;
    let mut end = 1;
    loop {
        let at = end + text[end..].find(quote)?;
        let escapes = text[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
        let is_doubled = quote == '\'' && text[at + 1..].starts_with('\'');
        match quote {
            '"' if escapes % 2 == 1 => end = at + 1,
            '"' => return Some((serde_json::from_str(&text[..=at]).ok()?, &text[at + 1..])),
            _ if is_doubled => end = at + 2,
            _ => return Some((text[1..at].replace("''", "'"), &text[at + 1..])),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(text: &str, want: &Value) {
        assert_eq!(read(text).map(Value::Object).as_ref(), Some(want), "{text}");
    }

    #[test]
    fn keys_with_texts_and_mappings_are_read() {
        let want = json!({"time": "%START_TIME%", "http": {"method": "%REQ(:METHOD)%", "it's": "a \"b\""}, "end": "#1"});
        let text = "\n# what is logged\ntime: %START_TIME%  # plain\nhttp:   # nested\n    method: '%REQ(:METHOD)%'\n    \
                    \"it's\": \"a \\\"b\\\"\"\n\nend: '#1'\n";
        check(text, &want);
        let indented: String = text.lines().map(|line| format!("    {line}\n")).collect();
        check(&format!("json_format:\n{indented}"), &want);
        check(&format!("typed_json_format:\n{indented}"), &want);
        check("a: it''s\nb: 'it''s'\n\"c:d\": e", &json!({"a": "it''s", "b": "it's", "c:d": "e"}));
        check("json: '%PROTOCOL%'", &json!({"json": "%PROTOCOL%"}));
    }

    #[test]
    fn what_is_anything_else_is_not_read() {
        for text in [
            "",
            "text",
            "- a: b",
            "a:",
            "a: [b, c]",
            "a: |\n  b",
            "a: 'b",
            "a: \"b\" c",
            "a: b\n  c: d",
            "a:\n  b: c\n d: e",
            "%START_TIME% %RESPONSE_CODE%",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
