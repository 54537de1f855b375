//! Scalar functions that people expect of SQL over telemetry and that DataFusion lacks: one file a function.
//!
//! Each makes at most a small multiple of what it is given, so none needs a cap of its own. They are pure: no
//! snapshot, no tenant. Functions that are tables are not here but where they are computed.

mod json_get;
mod log_pattern;
mod time_bucket;

use std::sync::Arc;

use arrow::array::{AsArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF};

pub use json_get::{json_get, json_get_of};

/// Every function, for a session.
pub fn all() -> Vec<Arc<ScalarUDF>> {
    vec![
        json_get(),
        Arc::new(ScalarUDF::from(log_pattern::LogPattern::default())),
        Arc::new(ScalarUDF::from(time_bucket::TimeBucket::default())),
    ]
}

/// An argument as one text a row.
fn texts(argument: &ColumnarValue, rows: usize) -> Result<StringViewArray> {
    let array = argument.to_array(rows)?;
    Ok(cast(&array, &DataType::Utf8View)?.as_string_view().clone())
}

/// Whether values of `data_type` are text.
fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text(values),
        other => other.is_string() || other.is_null(),
    }
}
