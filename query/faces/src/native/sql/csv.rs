//! An answer as CSV (RFC 4180, but lines end with LF as shells and most readers expect) with a header line.
//!
//! A null is nothing between the commas, an empty string is `""`. Text that a spreadsheet would run as a
//! formula gets an apostrophe in front: telemetry is written by strangers, and the file is opened by
//! people. Numbers and times are never changed; who needs every byte asks for Arrow or JSON.

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Schema};

use super::encoder::Encoder;
use crate::cells::{is_null, push_plain};
use meshlake_query::QueryError;

/// First characters that spreadsheets read as the start of a formula. Source: OWASP, CSV Injection.
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

pub struct CsvEncoder {
    /// The header line, until the first bytes are asked for.
    head: String,
}

impl CsvEncoder {
    pub fn new(schema: &Schema) -> Self {
        let mut head = String::new();
        for (position, field) in schema.fields().iter().enumerate() {
            if position > 0 {
                head.push(',');
            }
            push_field(&mut head, field.name(), true);
        }
        head.push('\n');
        CsvEncoder { head }
    }
}

impl Encoder for CsvEncoder {
    fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, QueryError> {
        let mut out = std::mem::take(&mut self.head);
        let texts: Vec<bool> = batch.columns().iter().map(|column| is_text(column.data_type())).collect();
        let mut cell = String::new();
        for row in 0..batch.num_rows() {
            for (position, column) in batch.columns().iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                if !is_null(column.as_ref(), row) {
                    cell.clear();
                    push_plain(&mut cell, column.as_ref(), row);
                    push_field(&mut out, &cell, texts[position]);
                }
            }
            out.push('\n');
        }
        Ok(out.into_bytes())
    }

    fn end(self: Box<Self>, cut: Option<QueryError>) -> Result<Vec<u8>, QueryError> {
        cut.map_or_else(|| Ok(self.head.into_bytes()), Err)
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

fn push_field(out: &mut String, field: &str, is_text: bool) {
    let is_formula = is_text && field.starts_with(FORMULA_STARTS);
    if !is_formula && !field.is_empty() && !field.contains([',', '"', '\r', '\n']) {
        out.push_str(field);
        return;
    }
    out.push('"');
    if is_formula {
        out.push('\'');
    }
    out.push_str(&field.replace('"', "\"\""));
    out.push('"');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let texts =
            [Some("plain"), Some("a,b"), Some("say \"x\"\n"), Some(""), None, Some("=cmd|'x'"), Some("-5")];
        let texts: ArrayRef = Arc::new(StringArray::from_iter(texts));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, -2, 3, 4, 5, 6, i64::MIN]));
        let batch = RecordBatch::try_from_iter([("text", texts), ("n", numbers)]).expect("equal lengths");
        let mut encoder = Box::new(CsvEncoder::new(&batch.schema()));
        let mut bytes = encoder.rows(&batch).expect("memory takes every row");
        bytes.extend(encoder.end(None).expect("nothing is missing"));
        let want = "text,n\nplain,1\n\"a,b\",-2\n\"say \"\"x\"\"\n\",3\n\"\",4\n,5\n\
                    \"'=cmd|'x'\",6\n\"'-5\",-9223372036854775808\n";
        assert_eq!(String::from_utf8_lossy(&bytes), want);
    }

    #[test]
    fn a_null_of_no_type_is_nothing_between_the_commas() {
        let nulls: ArrayRef = Arc::new(arrow::array::NullArray::new(1));
        let ones: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let batch = RecordBatch::try_from_iter([("a", nulls), ("b", ones)]).expect("equal lengths");
        let mut encoder = Box::new(CsvEncoder::new(&batch.schema()));
        assert_eq!(encoder.rows(&batch), Ok(b"a,b\n,1\n".to_vec()));
    }

    #[test]
    fn an_answer_without_rows_has_its_header() {
        let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]);
        let encoder = Box::new(CsvEncoder::new(&batch.expect("one column").schema()));
        assert_eq!(encoder.end(None), Ok(b"n\n".to_vec()));
    }

    #[test]
    fn missing_rows_are_an_error() {
        let encoder = Box::new(CsvEncoder::new(&Schema::empty()));
        let cut = QueryError::TooManyRows(5);
        assert_eq!(encoder.end(Some(cut.clone())), Err(cut));
    }
}
