//! The attributes of an access log's row, before it is known whether the row is accepted.
//!
//! What is kept is what is kept of OTLP: each key once, the last one sent; see `limits`. Of a value that is too long
//! the text is kept as far as it goes, also of a structure, which is then a string.

use std::ops::Range;

use meshlake_schema::attributes::{push_double, push_unsigned};

use crate::limits::{ATTRIBUTES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::tally::{Warning, Warnings};

/// The attributes of one row while it is read. One buffer for all of them, kept from row to row.
#[derive(Debug, Default)]
pub struct RowAttributes {
    text: String,
    entries: Vec<Entry>,
    types: String,
    warnings: Warnings,
}

/// Where an attribute is in the texts.
#[derive(Debug, Clone)]
struct Entry {
    key: Range<usize>,
    value: Range<usize>,
    types: Range<usize>,
}

impl RowAttributes {
    pub fn clear(&mut self) {
        self.text.clear();
        self.entries.clear();
        self.types.clear();
        self.warnings = Warnings::default();
    }

    /// What was warned of since [`clear`](Self::clear).
    pub fn warnings(&self) -> &Warnings {
        &self.warnings
    }

    /// The types of their values, as the column `attribute_types` has them.
    pub fn types(&self) -> &str {
        &self.types
    }

    /// Adds a string under the key `prefix` + `name`.
    pub fn push_text(&mut self, prefix: &str, name: &str, value: &str) {
        self.push_with(prefix, name, |text, types| {
            text.push_str(value);
            types.push('s');
        });
    }

    pub fn push_int(&mut self, name: &str, value: u64) {
        self.push_with("", name, |text, types| {
            push_unsigned(text, value);
            types.push('i');
        });
    }

    /// Adds a number that need not be whole.
    pub fn push_double(&mut self, name: &str, value: f64) {
        self.push_with("", name, |text, types| {
            push_double(text, value);
            types.push('d');
        });
    }

    /// Adds one object of numbers under names that need no escapes; those that are absent are left out, nothing when
    /// all are.
    pub fn push_numbers<'m>(
        &mut self,
        name: &str,
        members: impl IntoIterator<Item = (&'m str, Option<u64>)>,
    ) {
        let mut members = members.into_iter().filter_map(|(member, value)| Some((member, value?))).peekable();
        if members.peek().is_none() {
            return;
        }
        self.push_with("", name, |text, types| {
            types.push('{');
            let mut separator = '{';
            for (member, value) in members {
                text.push(separator);
                separator = ',';
                text.push('"');
                text.push_str(member);
                text.push_str("\":");
                push_unsigned(text, value);
                types.push('i');
            }
            text.push('}');
            types.push('}');
        });
    }

    /// Adds a value that `write` appends as text, with its type in the grammar of `attributes.rs`. Does not ask for it
    /// when the row has as many attributes as are kept.
    pub fn push_with(&mut self, prefix: &str, name: &str, write: impl FnOnce(&mut String, &mut String)) {
        if self.entries.len() == ATTRIBUTES_MAX {
            return self.warnings.add(Warning::AttributeDropped, 1);
        }
        let (key_start, types_start) = (self.text.len(), self.types.len());
        self.text.push_str(prefix);
        self.text.push_str(name);
        let mut is_cut = cut(&mut self.text, key_start + KEY_BYTES_MAX);
        let value_start = self.text.len();
        write(&mut self.text, &mut self.types);
        if cut(&mut self.text, value_start + VALUE_BYTES_MAX) {
            is_cut = true;
            self.types.truncate(types_start);
            self.types.push('s');
        }
        self.warnings.add(Warning::ValueCut, u64::from(is_cut));
        let key = key_start..value_start;
        if let Some(at) =
            self.entries.iter().position(|entry| self.text[entry.key.clone()] == self.text[key.clone()])
        {
            self.remove(at);
        }
        let (value, types) = (value_start..self.text.len(), self.types_end()..self.types.len());
        self.entries.push(Entry { key, value, types });
    }

    fn types_end(&self) -> usize {
        self.entries.last().map_or(0, |entry| entry.types.end)
    }

    /// Takes out an entry whose key has come again.
    fn remove(&mut self, at: usize) {
        self.warnings.add(Warning::AttributeRepeated, 1);
        let gone = self.entries.remove(at).types;
        self.types.replace_range(gone.clone(), "");
        for entry in &mut self.entries[at..] {
            entry.types = entry.types.start - gone.len()..entry.types.end - gone.len();
        }
    }

    /// Key and value of each, in the order in which they came last.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|entry| (&self.text[entry.key.clone()], &self.text[entry.value.clone()]))
    }
}

/// Cuts `text` to at most `bytes_max`, between characters; whether it was longer.
fn cut(text: &mut String, bytes_max: usize) -> bool {
    let is_longer = text.len() > bytes_max;
    text.truncate(text.floor_char_boundary(bytes_max));
    is_longer
}

#[cfg(test)]
mod tests {
    use meshlake_schema::attributes::map_to_json;
    use serde_json::json;

    use super::*;

    #[test]
    fn attributes_read_back_with_their_types() {
        let mut attributes = RowAttributes::default();
        attributes.push_text("request_header.", "x-a", "1");
        attributes.push_int("port", 8080);
        attributes.push_numbers("sizes", [("a", Some(1)), ("b", None), ("c", Some(u64::MAX))]);
        attributes.push_numbers("none", [("a", None)]);
        let read = map_to_json(attributes.entries(), &attributes.types);
        let want = json!({"request_header.x-a": "1", "port": 8080, "sizes": {"a": 1, "c": u64::MAX}});
        assert_eq!(serde_json::Value::Object(read), want);
        attributes.clear();
        assert_eq!(attributes.entries().count(), 0);
    }

    #[test]
    fn each_key_is_there_once_and_the_last_holds() {
        let mut attributes = RowAttributes::default();
        attributes.push_text("", "a", "1");
        attributes.push_numbers("sizes", [("x", Some(1)), ("y", Some(2))]);
        attributes.push_int("b", 2);
        attributes.push_text("", "sizes", "none");
        attributes.push_int("a", 3);
        let read = map_to_json(attributes.entries(), &attributes.types);
        assert_eq!(serde_json::Value::Object(read), json!({"b": 2, "sizes": "none", "a": 3}));
        assert_eq!(attributes.warnings().given().collect::<Vec<_>>(), [(Warning::AttributeRepeated, 2)]);
    }

    #[test]
    fn what_is_kept_of_an_attribute_and_of_all_is_bounded() {
        let mut attributes = RowAttributes::default();
        for (bytes, warned) in [(KEY_BYTES_MAX - 1, 0), (KEY_BYTES_MAX, 1)] {
            attributes.push_text("p", &"k".repeat(bytes), "v");
            assert_eq!(attributes.warnings().count(Warning::ValueCut), warned, "a key of {bytes} and 1");
        }
        attributes.clear();
        for (bytes, warned) in [(VALUE_BYTES_MAX, 0), (VALUE_BYTES_MAX + 1, 1)] {
            attributes.push_text("", &format!("v{bytes}"), &"v".repeat(bytes));
            assert_eq!(attributes.warnings().count(Warning::ValueCut), warned, "{bytes}");
        }
        attributes.push_with("", "structure", |text, types| {
            text.push_str(&format!(r#"{{"k":"{}"}}"#, "v".repeat(VALUE_BYTES_MAX)));
            types.push_str("{s}");
        });
        assert_eq!(attributes.types, "sss");
        assert!(attributes.entries().all(|(_, value)| value.len() == VALUE_BYTES_MAX));
        for number in attributes.entries.len()..=ATTRIBUTES_MAX {
            assert_eq!(attributes.warnings().count(Warning::AttributeDropped), 0);
            attributes.push_int(&format!("n{number}"), 0);
        }
        assert_eq!(attributes.warnings().count(Warning::AttributeDropped), 1);
        assert_eq!(attributes.entries().count(), ATTRIBUTES_MAX);
    }
}
