//! Tells columns that have one value in all rows of a file, by the bounds in its footer.
//!
//! Whoever asks for a trace asks for all columns, and most of them are null for a whole file, or always the
//! same: pages were read and decoded by the dozen to learn it. DataFusion puts a value in a column's place when
//! the statistics of a file have it as both bounds, so the columns found here are told as such.
//!
//! Limits: texts, integers and truth values that are columns of their own, not those in lists and maps.

use arrow::datatypes::{DataType, Schema};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue};
use datafusion::parquet::basic::ConvertedType;
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::parquet::file::statistics::{Statistics, ValueStatistics};

/// The columns of `schema`, by their places in it, that have one value in all rows, with the value as bounds.
pub fn constants(footer: &ParquetMetaData, schema: &Schema) -> Vec<(usize, ColumnStatistics)> {
    let leaves = footer.file_metadata().schema_descr().columns();
    let column = |leaf: usize| {
        let [name] = leaves[leaf].path().parts() else { return None };
        let place = schema.index_of(name).ok()?;
        let data_type = schema.field(place).data_type();
        let is_plain = is_plain(leaves[leaf].converted_type(), data_type);
        Some((place, constant(footer, leaf, data_type).filter(|_| is_plain)?))
    };
    (0..leaves.len()).filter_map(column).collect()
}

/// The statistics of a column that is `value` in every row.
pub fn always(value: ScalarValue) -> ColumnStatistics {
    ColumnStatistics::new_unknown()
        .with_null_count(Precision::Exact(0))
        .with_min_value(Precision::Exact(value.clone()))
        .with_max_value(Precision::Exact(value))
}

/// Whether values in a file are those of the type, without a conversion.
fn is_plain(converted: ConvertedType, data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8View => converted == ConvertedType::UTF8,
        DataType::Int32 | DataType::Int64 | DataType::Boolean => converted == ConvertedType::NONE,
        _ => false,
    }
}

/// None if rows differ, or the file does not tell.
fn constant(footer: &ParquetMetaData, leaf: usize, data_type: &DataType) -> Option<ColumnStatistics> {
    let mut row_count = 0;
    let mut only: Option<Option<ScalarValue>> = None;
    for group in footer.row_groups() {
        let statistics = group.columns().get(leaf)?.statistics()?;
        let rows = u64::try_from(group.num_rows()).ok()?;
        let value = match statistics.null_count_opt()? {
            0 => Some(only_value(statistics, data_type)?),
            nulls if nulls == rows => None,
            _ => return None,
        };
        if only.get_or_insert_with(|| value.clone()) != &value {
            return None;
        }
        row_count += usize::try_from(rows).ok()?;
    }
    match only? {
        Some(value) => Some(always(value)),
        None => Some(ColumnStatistics::new_unknown().with_null_count(Precision::Exact(row_count))),
    }
}

fn only_value(statistics: &Statistics, data_type: &DataType) -> Option<ScalarValue> {
    // Bounds of texts may be cut off, and old ones were compared in other ways.
    let is_exact = statistics.min_is_exact() && statistics.max_is_exact();
    if !is_exact || statistics.is_min_max_deprecated() {
        return None;
    }
    match (statistics, data_type) {
        (Statistics::Boolean(values), DataType::Boolean) => {
            only_bound(values).map(|value| ScalarValue::Boolean(Some(*value)))
        }
        (Statistics::Int32(values), DataType::Int32) => {
            only_bound(values).map(|value| ScalarValue::Int32(Some(*value)))
        }
        (Statistics::Int64(values), DataType::Int64) => {
            only_bound(values).map(|value| ScalarValue::Int64(Some(*value)))
        }
        (Statistics::ByteArray(values), DataType::Utf8View) => {
            let text = only_bound(values)?.as_utf8().ok()?;
            Some(ScalarValue::Utf8View(Some(text.to_owned())))
        }
        _ => None,
    }
}

fn only_bound<T: PartialEq>(values: &ValueStatistics<T>) -> Option<&T> {
    values.min_opt().filter(|min| values.max_opt() == Some(min))
}
