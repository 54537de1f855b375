//! `pg_sleep(seconds)`, by which people try whether a statement can be cancelled.
//!
//! It waits and computes nothing, so it holds no thread, and ends with its statement. Limits: it gives null, for there is no
//! type of nothing; a row of a table is no reason to wait once more.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use async_trait::async_trait;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// A day; a statement ends before that.
const SECONDS_MAX: f64 = 86_400.0;

pub fn pg_sleep() -> Arc<ScalarUDF> {
    let signature = Signature::exact(vec![DataType::Float64], Volatility::Volatile);
    Arc::new(AsyncScalarUDF::new(Arc::new(Sleep { signature })).into_scalar_udf())
}

#[derive(Debug)]
struct Sleep {
    signature: Signature,
}

impl PartialEq for Sleep {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Sleep {}

impl Hash for Sleep {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl ScalarUDFImpl for Sleep {
    fn name(&self) -> &'static str {
        "pg_sleep"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        datafusion::common::exec_err!("pg_sleep can only be waited for")
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for Sleep {
    async fn invoke_async_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let seconds = args.args[0].to_array(args.number_rows)?;
        let seconds = cast(&seconds, &DataType::Float64)?;
        let longest = seconds.as_primitive::<Float64Type>().iter().flatten().fold(0.0, f64::max);
        tokio::time::sleep(Duration::from_secs_f64(longest.min(SECONDS_MAX))).await;
        Ok(ColumnarValue::Array(ScalarValue::Utf8(None).to_array_of_size(args.number_rows)?))
    }
}
