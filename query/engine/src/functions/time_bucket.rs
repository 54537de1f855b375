//! `time_bucket(width, time[, origin])`: the start of the bucket that a time is in.
//!
//! It is DataFusion's `date_bin` under the name and with the origin that people know from TimescaleDB and DuckDB: a
//! Monday, so that weeks are those of the calendar. `date_bin` counts from 1970-01-01, a Thursday.
//! Source: the reference of `time_bucket` in TimescaleDB's documentation: buckets of days and less begin at 2000-01-03,
//! those of months at 2000-01-01, both UTC.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::functions::datetime::date_bin;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::is_text;

/// 2000-01-03T00:00:00Z, a Monday.
const MONDAY_NANOS: i64 = 946_857_600_000_000_000;

/// 2000-01-01T00:00:00Z.
const FIRST_OF_MONTH_NANOS: i64 = 946_684_800_000_000_000;

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct TimeBucket {
    bin: Arc<ScalarUDF>,
    signature: Signature,
}

impl Default for TimeBucket {
    fn default() -> Self {
        TimeBucket { bin: date_bin(), signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for TimeBucket {
    fn name(&self) -> &str {
        "time_bucket"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// A width is an interval or text that reads as one; a time is a timestamp, a date or text.
    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let ([_, time] | [_, time, _]) = types else {
            return plan_err!("time_bucket takes an interval, a time and perhaps an origin");
        };
        let time = match time {
            DataType::Timestamp(..) => time.clone(),
            DataType::Date32 | DataType::Date64 => DataType::Timestamp(TimeUnit::Nanosecond, None),
            text if is_text(text) => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            other => return plan_err!("time_bucket: {other} is no time"),
        };
        let zone = match &time {
            DataType::Timestamp(_, zone) => zone.clone(),
            _ => None,
        };
        let width = DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano);
        let all = [width, time, DataType::Timestamp(TimeUnit::Nanosecond, zone)];
        Ok(all.into_iter().take(types.len()).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.bin.inner().return_type(types)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if args.args.len() == 2 {
            let nanos = if is_of_months(&args.args[0]) { FIRST_OF_MONTH_NANOS } else { MONDAY_NANOS };
            let zone = match args.args[1].data_type() {
                DataType::Timestamp(_, zone) => zone,
                _ => None,
            };
            let origin = ScalarValue::TimestampNanosecond(Some(nanos), zone);
            args.arg_fields.push(Arc::new(Field::new("origin", origin.data_type(), false)));
            args.args.push(ColumnarValue::Scalar(origin));
        }
        self.bin.invoke_with_args(args)
    }
}

fn is_of_months(width: &ColumnarValue) -> bool {
    matches!(
        width,
        ColumnarValue::Scalar(ScalarValue::IntervalMonthDayNano(Some(width))) if width.months != 0
    )
}
