//! An answer as JSON objects, one a line (NDJSON, JSON Lines): for `jq`, log shippers and loaders of tables.
//!
//! Values are written as `cells` says, columns of one row side by side under their names. Two columns of one name would
//! lose one of them in most readers, so such a statement is refused. Limits: a line that says of rows that they are
//! missing would be taken for a row, so at a cap the answer breaks off; an answer without rows has no line at all.

use std::collections::HashSet;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use meshlake_query::QueryError;
use meshlake_schema::attributes::push_json_string;

use super::encoder::Encoder;
use crate::cells::push_value;

#[derive(Debug)]
pub struct NdjsonEncoder {
    /// What stands before each value: `{"name":` of the first column, `,"name":` of the others.
    keys: Vec<String>,
}

impl NdjsonEncoder {
    /// # Errors
    /// [`QueryError::Invalid`] for two columns of one name.
    pub fn new(schema: &Schema) -> Result<Self, QueryError> {
        let (mut names, mut keys) = (HashSet::new(), Vec::new());
        for field in schema.fields() {
            let name = field.name();
            if !names.insert(name) {
                let message = format!("two columns are called {name}: give one another name with AS");
                return Err(QueryError::Invalid(message));
            }
            let mut key = String::from(if keys.is_empty() { "{" } else { "," });
            push_json_string(&mut key, name);
            key.push(':');
            keys.push(key);
        }
        Ok(NdjsonEncoder { keys })
    }
}

impl Encoder for NdjsonEncoder {
    fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, QueryError> {
        let mut out = String::new();
        for row in 0..batch.num_rows() {
            for (key, column) in self.keys.iter().zip(batch.columns()) {
                out.push_str(key);
                push_value(&mut out, column.as_ref(), row);
            }
            out.push_str(if self.keys.is_empty() { "{}\n" } else { "}\n" });
        }
        Ok(out.into_bytes())
    }

    fn end(self: Box<Self>, cut: Option<QueryError>) -> Result<Vec<u8>, QueryError> {
        cut.map_or_else(|| Ok(Vec::new()), Err)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field};

    use super::*;

    #[test]
    fn each_row_is_an_object_on_a_line_of_its_own() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a\nb"), None]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, i64::MAX]));
        let batch = RecordBatch::try_from_iter([("te\"xt", texts), ("n", numbers)]).expect("equal lengths");
        let mut encoder = Box::new(NdjsonEncoder::new(&batch.schema()).expect("two names"));
        let mut bytes = encoder.rows(&batch).expect("memory takes every row");
        bytes.extend(encoder.end(None).expect("nothing is missing"));
        let want = "{\"te\\\"xt\":\"a\\nb\",\"n\":1}\n{\"te\\\"xt\":null,\"n\":\"9223372036854775807\"}\n";
        assert_eq!(String::from_utf8_lossy(&bytes), want);
    }

    #[test]
    fn columns_of_one_name_and_missing_rows_are_errors() {
        let column = || Field::new("a", DataType::Int64, true);
        let twice = NdjsonEncoder::new(&Schema::new(vec![column(), column()]));
        assert!(matches!(twice, Err(QueryError::Invalid(_))), "{twice:?}");
        let encoder = Box::new(NdjsonEncoder::new(&Schema::new(vec![column()])).expect("one name"));
        let cut = QueryError::TooManyRows(5);
        assert_eq!(encoder.end(Some(cut.clone())), Err(cut));
    }
}
