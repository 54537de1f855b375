//! Tells columns that have one value in all rows of a file, by the bounds in its footer.
//!
//! Whoever asks for a trace asks for all columns, and most of them are null for a whole file, or always the
//! same: pages were read and decoded by the dozen to learn it. DataFusion puts a value in a column's place when
//! the statistics of a file have it as both bounds, so the columns found here are told as such.
//!
//! Limits: texts, integers and truth values that are columns of their own, not those in lists and maps. Not doubles: their
//! bounds leave out what is no number.

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

/// Whether the text column of that name, one of `schema`, is `text` in all rows.
pub fn is_always(footer: &ParquetMetaData, schema: &Schema, column: &str, text: &str) -> bool {
    let leaves = footer.file_metadata().schema_descr().columns();
    let leaf = leaves.iter().position(|leaf| *leaf.path().parts() == [column]);
    let known = leaf.zip(schema.field_with_name(column).ok()).and_then(|(leaf, field)| {
        let is_plain = is_plain(leaves[leaf].converted_type(), field.data_type());
        constant(footer, leaf, field.data_type()).filter(|_| is_plain)
    });
    let wanted = always(ScalarValue::Utf8View(Some(text.to_owned())));
    known.is_some_and(|known| known == wanted)
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
        DataType::Dictionary(_, text) if **text == DataType::Utf8 => converted == ConvertedType::UTF8,
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
        (Statistics::ByteArray(values), DataType::Utf8View | DataType::Dictionary(..)) => {
            let text = only_bound(values)?.as_utf8().ok()?;
            Some(ScalarValue::Utf8View(Some(text.to_owned())))
        }
        _ => None,
    }
}

fn only_bound<T: PartialEq>(values: &ValueStatistics<T>) -> Option<&T> {
    values.min_opt().filter(|min| values.max_opt() == Some(min))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
    use arrow::datatypes::Field;
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::file::properties::WriterProperties;

    use super::super::tests::footer_of;
    use super::*;

    /// Two row groups of two rows; a column is known if it is the same in both.
    #[test]
    fn columns_of_one_value_are_told() {
        let text = |values: [Option<&str>; 4]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
        let long = "x".repeat(65);
        let columns: [(&str, ArrayRef); 9] = [
            ("null", text([None; 4])),
            ("same", text([Some("a"); 4])),
            ("long", text([Some(long.as_str()); 4])),
            ("null in one group", text([Some("a"), Some("a"), None, None])),
            ("null in one row", text([Some("a"), Some("a"), Some("a"), None])),
            ("one a group", text([Some("a"), Some("a"), Some("b"), Some("b")])),
            ("number", Arc::new(Int64Array::from(vec![7; 4]))),
            ("truth", Arc::new(BooleanArray::from(vec![true; 4]))),
            // Bounds do not tell 0.0 from -0.0.
            ("float", Arc::new(Float64Array::from(vec![0.0; 4]))),
        ];
        let fields = columns.iter().map(|(name, column)| match column.data_type() {
            DataType::Utf8 => Field::new(*name, DataType::Utf8View, true),
            data_type => Field::new(*name, data_type.clone(), true),
        });
        let schema = Schema::new(fields.collect::<Vec<_>>());
        let columns = columns.map(|(name, column)| (name, column, true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length");
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(2))
            .set_statistics_truncate_length(Some(64));
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties.build()));
        let writer = writer.as_mut().expect("plain types");
        writer.write(&batch).expect("memory takes every row");
        writer.finish().expect("memory takes every footer");
        let footer = footer_of(writer.inner());
        let told = constants(&footer, &schema).into_iter().map(|(place, column)| {
            let value = column.min_value.get_value().map(ToString::to_string);
            (schema.field(place).name().as_str(), value, column.null_count)
        });
        let told: Vec<_> = told.collect();
        let of = |name, value: &str| (name, Some(value.to_owned()), Precision::Exact(0));
        let want =
            [("null", None, Precision::Exact(4)), of("same", "a"), of("number", "7"), of("truth", "true")];
        assert_eq!(told, want);
    }

    #[test]
    fn another_type_is_not_taken_for_it() {
        let is_plain = |converted| [DataType::Utf8View, DataType::Int64].map(|own| is_plain(converted, &own));
        assert_eq!(is_plain(ConvertedType::UTF8), [true, false]);
        assert_eq!(is_plain(ConvertedType::NONE), [false, true]);
        assert_eq!(is_plain(ConvertedType::TIMESTAMP_MICROS), [false, false]);
        assert_eq!(is_plain(ConvertedType::DECIMAL), [false, false]);
    }
}
