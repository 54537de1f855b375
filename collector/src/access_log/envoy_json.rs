//! Envoy's `json_format`: an object whose texts are format strings, nested or not, as JSON or as YAML writes it.
//!
//! Source: Envoy, `SubstitutionFormatString.json_format`. Limits: only texts are operators, as in Envoy; what else stands
//! in the object is not looked for in lines.

use serde_json::Value;

use super::FormatError;
use super::envoy;
use super::escape::Escape;
use super::json::{Member, Object};
use super::mapping;
use super::pattern::{Pattern, Token};

/// Levels of objects in a format; nothing real has more than a few, and reading recurses once a level.
const LEVELS_MAX: usize = 8;

/// Compiles a `json_format`.
///
/// # Errors
/// No JSON object of objects and texts, or a text that is no format string.
pub(super) fn compile(text: &str) -> Result<Object, FormatError> {
    let format: Value = match mapping::read(text) {
        Some(mapping) => mapping.into(),
        None => serde_json::from_str(text).map_err(|error| {
            let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
            let before: usize = lines.map(str::len).sum();
            let what = format!("neither JSON ({error}) nor a mapping of YAML with a text for each key");
            FormatError::at(before + error.column().saturating_sub(1), what)
        })?,
    };
    let mut members = Vec::new();
    read(&format, &mut String::new(), 0, &mut members)?;
    match members.is_empty() {
        true => Err(FormatError::at(0, "no field at all")),
        false => Ok(Object::new(members)),
    }
}

fn read(
    value: &Value,
    path: &mut String,
    level: usize,
    members: &mut Vec<(String, Member)>,
) -> Result<(), FormatError> {
    match value {
        Value::Object(object) if level < LEVELS_MAX => {
            for (key, value) in object {
                let before = path.len();
                if !path.is_empty() {
                    path.push('/');
                }
                path.push_str(key);
                read(value, path, level + 1, members)?;
                path.truncate(before);
            }
        }
        Value::Object(_) => {
            return Err(FormatError::at(0, format!("objects in more than {LEVELS_MAX} levels")));
        }
        Value::String(text) => {
            // A position inside a text says little; the key says which.
            let in_key =
                |error: FormatError| FormatError::at(error.position, format!("{} in {path}", error.what));
            let tokens = envoy::tokens(text).map_err(in_key)?;
            if let [Token::Field(field)] = tokens.as_slice() {
                members.push((path.clone(), Member::Field { field: field.clone(), is_required: false }));
            } else if let Ok(pattern) = Pattern::new(tokens, Escape::None) {
                members.push((path.clone(), Member::Text(pattern)));
            }
        }
        _ => {}
    }
    Ok(())
}
