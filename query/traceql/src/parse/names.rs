//! Names with dots into fields.

use super::{Mistake, Parsed};
use crate::lex::Placed;
use crate::tree::{Attribute, Field, Intrinsic, Scope};

/// The field of a [`crate::lex::Token::Path`], which is `text`.
pub(super) fn field_of(text: &str, placed: Placed) -> Parsed<Field> {
    let mistake = |message: String| Mistake::new(placed.start, message);
    let (first, behind) = text.split_once('.').unwrap_or((text, ""));
    let of_parent = first == "parent";
    let (scope, key) = if of_parent {
        if let Some(intrinsic) = Intrinsic::of_parent(behind) {
            return Ok(Field::Intrinsic { intrinsic, of_parent });
        }
        match behind.split_once('.').and_then(|(word, key)| Some((Scope::of_word(word)?, key))) {
            Some((scope, key)) if scope != Scope::Any => (scope, key),
            _ => (Scope::Any, behind),
        }
    } else {
        let scope = Scope::of_word(first).ok_or_else(|| mistake(no_scope(first)))?;
        (scope, behind)
    };
    let key = key_of(key).map_err(mistake)?;
    Ok(Field::Attribute(Attribute { scope, of_parent, key }))
}

fn no_scope(word: &str) -> String {
    match word {
        "trace" => "a trace has no attributes; trace:id, trace:duration, trace:rootName, trace:rootService"
            .to_owned(),
        word => format!(
            "{word} is no scope of attributes; these are span, resource, parent, event, link, instrumentation"
        ),
    }
}

/// A key with the quotes of its parts resolved: only `\"` and `\\` are escapes there.
fn key_of(written: &str) -> Result<String, String> {
    let mut key = String::new();
    let mut chars = written.chars();
    let mut is_quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '"' => is_quoted = !is_quoted,
            '\\' if is_quoted => match chars.next() {
                Some(c @ ('"' | '\\')) => key.push(c),
                _ => return Err("a quoted name has no escapes but \\\" and \\\\".to_owned()),
            },
            c => key.push(c),
        }
    }
    if key.is_empty() { Err("a name of an attribute is empty".to_owned()) } else { Ok(key) }
}

/// An id as it is stored: hex digits in lower case, zeros in front.
pub(super) fn whole_id(id: &str, digits: usize) -> Option<String> {
    let is_id = !id.is_empty() && id.len() <= digits && id.bytes().all(|b| b.is_ascii_hexdigit());
    is_id.then(|| format!("{:0>digits$}", id.to_ascii_lowercase()))
}
