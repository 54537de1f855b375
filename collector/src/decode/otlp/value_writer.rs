//! Attribute values as the text and types that columns hold.
//!
//! Most attribute values are strings; those go from the payload into the column without a stop. The others
//! pass through one scratch text that is kept from row to row. The text form and the grammar of types are
//! defined in `meshlake_schema::attributes`.
//!
//! Limits: keys that differ only in bytes that are no UTF-8 become equal keys of one object.

use std::borrow::Cow;

use meshlake_schema::attributes::{push_bytes, push_double, push_int, push_json_string};

use crate::columns::attributes::AttributesColumn;
use crate::columns::{DictionaryColumn, TextColumn};
use crate::decode::otlp::any_value::{AnyValue, KeyValue, repeated};
use crate::protobuf::validate::VALUE_DEPTH_MAX;
use crate::protobuf::wire::{self, WireError};
use crate::tally::{Warning, Warnings};

/// Levels of nesting that are written. It only guards the stack (guess, not measured: a level takes some 300
/// bytes of it): a validated payload nests less.
const NESTING_MAX: usize = 64;

const _: () = assert!(NESTING_MAX > VALUE_DEPTH_MAX, "what validation lets pass is written");

/// Writes values as text, and beside it the types of all values of a row.
#[derive(Debug, Default)]
pub struct ValueWriter {
    /// The value being written, and its type or types.
    text: String,
    types: String,
    /// Types of the entries since the row began.
    row_types: String,
    warnings: Warnings,
}

impl ValueWriter {
    /// Adds an attribute to the row that is being built in `column`, its type to the row's types.
    ///
    /// # Errors
    /// A nested value that cannot be read.
    #[inline]
    pub fn push_entry(
        &mut self,
        column: &mut AttributesColumn,
        entry: KeyValue<'_>,
    ) -> Result<(), WireError> {
        if let AnyValue::String(text) = entry.value {
            self.row_types.push('s');
            let replaced = column.push_wire_entry(entry.key, text);
            self.warnings.add(Warning::TextReplaced, replaced);
            return Ok(());
        }
        self.begin();
        self.write_plain(entry.value)?;
        self.row_types.push_str(&self.types);
        let replaced = column.push_wire_key(entry.key, &self.text);
        self.warnings.add(Warning::TextReplaced, replaced);
        Ok(())
    }

    /// Ends a row of attributes: pushes the types of its entries.
    #[inline]
    pub fn end_row(&mut self, types: &mut DictionaryColumn) {
        types.push(&self.row_types);
        self.row_types.clear();
    }

    /// Like [`end_row`](Self::end_row), for entries inside lists, whose types are plain text.
    pub fn end_list_row(&mut self, types: &mut TextColumn) {
        types.push(&self.row_types);
        self.row_types.clear();
    }

    /// One value by itself: its text and its type.
    ///
    /// # Errors
    /// A nested value that cannot be read.
    pub fn single(&mut self, value: AnyValue<'_>) -> Result<(&str, &str), WireError> {
        self.begin();
        self.write_plain(value)?;
        Ok((&self.text, &self.types))
    }

    /// Attributes as one canonical JSON object: keys sorted by their bytes, each key once (of several
    /// entries the last one counts), no white space. Returns the object and the types of its values.
    ///
    /// # Errors
    /// A nested value that cannot be read.
    pub fn object(&mut self, mut entries: Vec<KeyValue<'_>>) -> Result<(&str, &str), WireError> {
        self.begin();
        self.text.push('{');
        // The sort is stable, so that the last of equal keys is the last one sent.
        entries.sort_by(|a, b| a.key.cmp(b.key));
        let mut first = true;
        for (at, entry) in entries.iter().enumerate() {
            if entries.get(at + 1).is_some_and(|next| next.key == entry.key) {
                continue;
            }
            if !std::mem::take(&mut first) {
                self.text.push(',');
            }
            self.write_json_entry(*entry, 1)?;
        }
        self.text.push('}');
        Ok((&self.text, &self.types))
    }

    /// Pushes text as it lies on the wire, made text where it is none, and counts that.
    #[inline]
    pub fn push_text(&mut self, column: &mut TextColumn, bytes: &[u8]) {
        self.warnings.add(Warning::TextReplaced, u64::from(column.push_wire(bytes)));
    }

    /// Like [`push_text`](Self::push_text), for text that repeats.
    #[inline]
    pub fn push_repeating(&mut self, column: &mut DictionaryColumn, bytes: &[u8]) {
        self.warnings.add(Warning::TextReplaced, u64::from(column.push_wire(bytes)));
    }

    /// Proves that `bytes` are text, or makes them so and counts it.
    #[inline]
    pub fn utf8<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, str> {
        let text = wire::text(bytes);
        self.warnings.add(Warning::TextReplaced, u64::from(matches!(text, Cow::Owned(_))));
        text
    }

    /// What was warned of so far.
    pub fn warnings(&self) -> Warnings {
        self.warnings
    }

    /// Warns of what its caller did.
    #[inline]
    pub fn warn(&mut self, warning: Warning, times: u64) {
        self.warnings.add(warning, times);
    }

    fn begin(&mut self) {
        self.text.clear();
        self.types.clear();
    }

    fn write_plain(&mut self, value: AnyValue<'_>) -> Result<(), WireError> {
        match value {
            AnyValue::String(bytes) => {
                self.types.push('s');
                let text = self.utf8(bytes);
                self.text.push_str(&text);
            }
            AnyValue::Bytes(bytes) => {
                self.types.push('y');
                push_bytes(&mut self.text, bytes);
            }
            AnyValue::Double(double) => {
                self.types.push('d');
                push_double(&mut self.text, double);
            }
            AnyValue::Unset => self.types.push('n'),
            AnyValue::Bool(_) | AnyValue::Int(_) | AnyValue::Array(_) | AnyValue::KeyValueList(_) => {
                return self.write_json(value, 1);
            }
        }
        Ok(())
    }

    fn write_json(&mut self, value: AnyValue<'_>, depth: usize) -> Result<(), WireError> {
        if depth > NESTING_MAX {
            return Err(WireError::TooDeep(NESTING_MAX));
        }
        match value {
            AnyValue::Unset => {
                self.types.push('n');
                self.text.push_str("null");
            }
            AnyValue::String(bytes) => {
                self.types.push('s');
                let text = self.utf8(bytes);
                push_json_string(&mut self.text, &text);
            }
            AnyValue::Bool(bool) => {
                self.types.push('b');
                self.text.push_str(if bool { "true" } else { "false" });
            }
            AnyValue::Int(int) => {
                self.types.push('i');
                push_int(&mut self.text, int);
            }
            AnyValue::Double(double) if double.is_finite() => {
                self.types.push('d');
                push_double(&mut self.text, double);
            }
            AnyValue::Double(_) | AnyValue::Bytes(_) => {
                self.text.push('"');
                self.write_plain(value)?;
                self.text.push('"');
            }
            AnyValue::Array(message) => self.write_array(message, depth)?,
            AnyValue::KeyValueList(message) => self.write_list(message, depth)?,
        }
        Ok(())
    }

    fn write_array(&mut self, message: &[u8], depth: usize) -> Result<(), WireError> {
        self.bracket('[');
        let mut first = true;
        for element in repeated(message, 1) {
            if !std::mem::take(&mut first) {
                self.text.push(',');
            }
            self.write_json(AnyValue::read(element?)?, depth + 1)?;
        }
        self.bracket(']');
        Ok(())
    }

    fn write_list(&mut self, message: &[u8], depth: usize) -> Result<(), WireError> {
        self.bracket('{');
        let mut first = true;
        for entry in repeated(message, 1) {
            if !std::mem::take(&mut first) {
                self.text.push(',');
            }
            self.write_json_entry(KeyValue::read(entry?)?, depth + 1)?;
        }
        self.bracket('}');
        Ok(())
    }

    fn bracket(&mut self, bracket: char) {
        self.types.push(bracket);
        self.text.push(bracket);
    }

    fn write_json_entry(&mut self, entry: KeyValue<'_>, depth: usize) -> Result<(), WireError> {
        let key = self.utf8(entry.key);
        push_json_string(&mut self.text, &key);
        self.text.push(':');
        self.write_json(entry.value, depth)
    }
}

#[cfg(test)]
mod tests;
