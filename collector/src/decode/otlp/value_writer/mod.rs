//! Attribute values as the text and types that columns hold.
//!
//! Most attribute values are strings; those go from the payload into the column without a stop. The others
//! pass through one scratch text that is kept from row to row. The text form and the grammar of types are
//! defined in `meshlake_schema::attributes`.
//!
//! What is kept of a key or value is said in `limits`. Limits: a list or map ends with the element that reaches the
//! size of a value, so its text may be longer by one element; a key that comes twice inside a map stays twice.

use std::borrow::Cow;

use meshlake_schema::attributes::{Types, push_bytes, push_double, push_int, push_json_string};

use crate::columns::attributes::AttributesColumn;
use crate::columns::{DictionaryColumn, TextColumn};
use crate::decode::otlp::any_value::{AnyValue, KeyValue};
use crate::limits::{ATTRIBUTES_MAX, BODY_BYTES_MAX, KEY_BYTES_MAX, LEVELS_MAX, VALUE_BYTES_MAX, cut_text};
use crate::protobuf::wire::{self, WireError, repeated};
use crate::tally::{Warning, Warnings};

/// Writes values as text, and beside it the types of all values of a row.
#[derive(Debug, Default)]
pub struct ValueWriter {
    /// The value being written, and its type or types.
    text: String,
    types: String,
    /// Types of the entries since the row began.
    row_types: String,
    warnings: Warnings,
    /// What is kept of the value being written: bytes of a string in it, and where its text is long enough.
    bytes_max: usize,
    text_end: usize,
    is_cut: bool,
    is_too_deep: bool,
}

impl ValueWriter {
    /// Adds an attribute, as its message lies in the payload, to the row that is being built in `column`: cut to what
    /// is kept, or not at all when the row is full. Returns how many were left out, none or one.
    ///
    /// # Errors
    /// Bytes that are no such message.
    #[inline]
    pub fn push_sent(&mut self, column: &mut AttributesColumn, message: &[u8]) -> Result<u32, WireError> {
        if column.open_entries() >= ATTRIBUTES_MAX {
            self.warn(Warning::AttributeDropped, 1);
            return Ok(1);
        }
        let entry = self.read(message)?;
        self.push_entry(column, entry)?;
        Ok(0)
    }

    /// Reads an attribute as it is kept.
    ///
    /// # Errors
    /// Bytes that are no such message.
    #[inline]
    pub fn read<'a>(&mut self, message: &'a [u8]) -> Result<KeyValue<'a>, WireError> {
        let entry = KeyValue::read(message)?;
        // In a message as short as a key may be, nothing is too long; nearly all are.
        if message.len() <= KEY_BYTES_MAX {
            return Ok(entry);
        }
        Ok(self.bounded(entry))
    }

    /// An attribute as it is kept: key and value cut, with a warning. Lists and maps are cut when they are written.
    pub fn bounded<'a>(&mut self, entry: KeyValue<'a>) -> KeyValue<'a> {
        let value_bytes = match entry.value {
            AnyValue::String(bytes) | AnyValue::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        if entry.key.len() <= KEY_BYTES_MAX && value_bytes <= VALUE_BYTES_MAX {
            return entry;
        }
        self.warn(Warning::ValueCut, 1);
        let value = match entry.value {
            AnyValue::String(text) => AnyValue::String(cut_text(text, VALUE_BYTES_MAX)),
            AnyValue::Bytes(bytes) => AnyValue::Bytes(&bytes[..bytes.len().min(VALUE_BYTES_MAX)]),
            other => other,
        };
        KeyValue { key: cut_text(entry.key, KEY_BYTES_MAX), value }
    }

    /// Adds an attribute that is [`bounded`](Self::bounded) to the row that is being built in `column`, its type to
    /// the row's types.
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
        self.bound(VALUE_BYTES_MAX);
        self.write_plain(entry.value)?;
        self.warn_of_cuts();
        self.row_types.push_str(&self.types);
        let replaced = column.push_wire_key(entry.key, &self.text);
        self.warnings.add(Warning::TextReplaced, replaced);
        Ok(())
    }

    /// Ends a row of attributes and pushes the types of its entries. Of entries with one key the last stays.
    #[inline]
    pub fn end_row(&mut self, column: &mut AttributesColumn, types: &mut DictionaryColumn) {
        self.end_entries(column);
        types.push(&self.row_types);
        self.row_types.clear();
    }

    /// Like [`end_row`](Self::end_row), for entries inside lists, whose types are plain text.
    pub fn end_list_row(&mut self, column: &mut AttributesColumn, types: &mut TextColumn) {
        self.end_entries(column);
        types.push(&self.row_types);
        self.row_types.clear();
    }

    #[inline]
    fn end_entries(&mut self, column: &mut AttributesColumn) {
        if column.may_repeat() {
            self.keep_last_of_each(column);
        }
        column.end_row();
    }

    #[cold]
    fn keep_last_of_each(&mut self, column: &mut AttributesColumn) {
        let kept = column.keep_last_of_each();
        self.warn(Warning::AttributeRepeated, kept.iter().filter(|kept| !**kept).count() as u64);
        let types = Types::new(&self.row_types).zip(kept);
        self.row_types = types.filter(|(_, kept)| *kept).map(|(entry, _)| entry).collect();
    }

    /// The value of an attribute by itself: its text and its type.
    ///
    /// # Errors
    /// A nested value that cannot be read.
    pub fn single(&mut self, value: AnyValue<'_>) -> Result<(&str, &str), WireError> {
        self.single_within(value, VALUE_BYTES_MAX)
    }

    /// The body of a log record: its text and its type.
    ///
    /// # Errors
    /// A nested value that cannot be read.
    pub fn body(&mut self, value: AnyValue<'_>) -> Result<(&str, &str), WireError> {
        self.single_within(value, BODY_BYTES_MAX)
    }

    fn single_within(&mut self, value: AnyValue<'_>, bytes_max: usize) -> Result<(&str, &str), WireError> {
        self.begin();
        self.bound(bytes_max);
        self.write_plain(value)?;
        self.warn_of_cuts();
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
                self.warn(Warning::AttributeRepeated, 1);
                continue;
            }
            if !std::mem::take(&mut first) {
                self.text.push(',');
            }
            self.bound(VALUE_BYTES_MAX);
            self.write_json_entry(*entry, 1)?;
            self.warn_of_cuts();
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

    /// A time as columns hold it: the latest there is where it is later.
    #[inline]
    pub fn time(&mut self, unix_nano: u64) -> i64 {
        let time = i64::try_from(unix_nano);
        self.warnings.add(Warning::TimeLowered, u64::from(time.is_err()));
        time.unwrap_or(i64::MAX)
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

    /// Bounds the value that is written from here on.
    fn bound(&mut self, bytes_max: usize) {
        (self.bytes_max, self.text_end) = (bytes_max, self.text.len() + bytes_max);
        (self.is_cut, self.is_too_deep) = (false, false);
    }

    fn warn_of_cuts(&mut self) {
        self.warn(Warning::ValueCut, u64::from(self.is_cut));
        self.warn(Warning::ValueTooDeep, u64::from(self.is_too_deep));
    }

    fn cut_text<'a>(&mut self, text: &'a [u8], bytes_max: usize) -> Cow<'a, str> {
        let kept = cut_text(text, bytes_max);
        self.is_cut |= kept.len() < text.len();
        self.utf8(kept)
    }

    /// Whether a list or map that is being written takes another element.
    fn has_room(&mut self) -> bool {
        let is_full = self.text.len() >= self.text_end;
        self.is_cut |= is_full;
        !is_full
    }

    fn write_plain(&mut self, value: AnyValue<'_>) -> Result<(), WireError> {
        match value {
            AnyValue::String(bytes) => {
                self.types.push('s');
                let text = self.cut_text(bytes, self.bytes_max);
                self.text.push_str(&text);
            }
            AnyValue::Bytes(bytes) => {
                self.types.push('y');
                self.is_cut |= bytes.len() > self.bytes_max;
                push_bytes(&mut self.text, &bytes[..bytes.len().min(self.bytes_max)]);
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
        self.is_too_deep |= depth > LEVELS_MAX;
        match value {
            _ if depth > LEVELS_MAX => self.write_null(),
            AnyValue::Unset => self.write_null(),
            AnyValue::String(bytes) => {
                self.types.push('s');
                let text = self.cut_text(bytes, self.bytes_max);
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

    fn write_null(&mut self) {
        self.types.push('n');
        self.text.push_str("null");
    }

    fn write_array(&mut self, message: &[u8], depth: usize) -> Result<(), WireError> {
        self.bracket('[');
        let mut first = true;
        for element in repeated(message, 1) {
            if !self.has_room() {
                break;
            }
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
            if !self.has_room() {
                break;
            }
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
        let key = self.cut_text(entry.key, KEY_BYTES_MAX);
        push_json_string(&mut self.text, &key);
        self.text.push(':');
        self.write_json(entry.value, depth)
    }
}

#[cfg(test)]
mod tests;
