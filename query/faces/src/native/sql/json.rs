//! An answer as one JSON object; see `cells` for how values are written.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use meshlake_schema::attributes::push_json_string;

use super::encoder::Encoder;
use crate::cells::{push_value, type_name};
use meshlake_query::QueryError;

/// `{"columns":[{"name","type"}],"rows":[[...]]}`, and `"truncated":true,"reason":"..."` at the end where rows are
/// missing.
pub struct JsonEncoder {
    /// The head of the document, until the first bytes are asked for.
    head: String,
    has_rows: bool,
}

impl JsonEncoder {
    pub fn new(schema: &Schema) -> Self {
        let mut head = String::from("{\"columns\":[");
        for (position, field) in schema.fields().iter().enumerate() {
            head.push_str(if position > 0 { ",{\"name\":" } else { "{\"name\":" });
            push_json_string(&mut head, field.name());
            head.push_str(",\"type\":");
            push_json_string(&mut head, &type_name(field.data_type()));
            head.push('}');
        }
        head.push_str("],\"rows\":[");
        JsonEncoder { head, has_rows: false }
    }
}

impl Encoder for JsonEncoder {
    fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, QueryError> {
        let mut out = std::mem::take(&mut self.head);
        for row in 0..batch.num_rows() {
            out.push_str(if self.has_rows { ",\n[" } else { "\n[" });
            self.has_rows = true;
            for (position, column) in batch.columns().iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                push_value(&mut out, column.as_ref(), row);
            }
            out.push(']');
        }
        Ok(out.into_bytes())
    }

    fn end(self: Box<Self>, cut: Option<QueryError>) -> Result<Vec<u8>, QueryError> {
        let mut out = self.head;
        out.push(']');
        if let Some(cut) = cut {
            out.push_str(",\"truncated\":true,\"reason\":");
            push_json_string(&mut out, &cut.told());
        }
        out.push_str("}\n");
        Ok(out.into_bytes())
    }
}
