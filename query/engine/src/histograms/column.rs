//! A histogram as arguments of a function, and as a value that one gives to the next.
//!
//! Arguments are the columns of a cell, in their order: `buckets, counts`; `zero, buckets, counts`, as sizes have
//! them; `zero, buckets, counts, min, max`, as latencies have them. What `hist_merge` gives is all five as one value.
//! Without the least and greatest value a quantile is that of its bucket, and not cut to them.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Int64Type};
use datafusion::error::{DataFusionError, Result};
use meshlake_schema::LatencyHistogram;

/// A list of whole numbers, as cells have it.
static LIST: LazyLock<DataType> =
    LazyLock::new(|| DataType::List(Arc::new(Field::new("element", DataType::Int64, true))));

/// The parts of a histogram as one value.
static FIELDS: LazyLock<Fields> = LazyLock::new(|| {
    Fields::from(vec![
        Field::new("zero_milli", DataType::Int64, true),
        Field::new("buckets", LIST.clone(), true),
        Field::new("counts_milli", LIST.clone(), true),
        Field::new("min_nano", DataType::Int64, true),
        Field::new("max_nano", DataType::Int64, true),
    ])
});

/// What the arguments have to be, as an error says it.
pub const SHAPES: &str = "a histogram is what hist_merge gives, or the columns buckets, counts; zero, buckets, counts; \
                          or zero, buckets, counts, min, max of a cell";

/// The type of a histogram as one value.
pub fn data_type() -> DataType {
    DataType::Struct(FIELDS.clone())
}

/// The types that arguments which are one histogram are brought to; none where they are no histogram.
pub fn coerced(types: &[DataType]) -> Option<Vec<DataType>> {
    let is_list = |of: &DataType| {
        matches!(
            of,
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) | DataType::Null
        )
    };
    let is_number = |of: &DataType| of.is_integer() || of.is_null();
    let is_whole = |of: &DataType| match of {
        DataType::Struct(fields) => {
            let names = |fields: &Fields| fields.iter().map(|field| field.name().clone()).collect::<Vec<_>>();
            names(fields) == names(&FIELDS)
        }
        other => other.is_null(),
    };
    let number = DataType::Int64;
    let list = || LIST.clone();
    match types {
        [whole] if is_whole(whole) => Some(vec![data_type()]),
        [buckets, counts] if is_list(buckets) && is_list(counts) => Some(vec![list(), list()]),
        [zero, buckets, counts] if is_number(zero) && is_list(buckets) && is_list(counts) => {
            Some(vec![number, list(), list()])
        }
        [zero, buckets, counts, min, max]
            if is_list(buckets) && is_list(counts) && [zero, min, max].into_iter().all(is_number) =>
        {
            Some(vec![number.clone(), list(), list(), number.clone(), number])
        }
        _ => None,
    }
}

/// Histograms, one a row.
pub struct Histograms {
    whole: Option<NullBuffer>,
    zero: Option<Int64Array>,
    buckets: ListArray,
    counts: ListArray,
    min: Option<Int64Array>,
    max: Option<Int64Array>,
}

impl Histograms {
    /// Of columns that are of [`coerced`] types.
    ///
    /// # Errors
    /// A bug of ours: they are not.
    pub fn of(columns: &[ArrayRef]) -> Result<Histograms> {
        let (columns, whole) = match columns {
            [whole] => {
                let whole = whole.as_struct_opt().ok_or_else(no_histogram)?;
                (whole.columns(), whole.nulls().cloned())
            }
            parts => (parts, None),
        };
        let (zero, buckets, counts, bounds) = match columns {
            [buckets, counts] => (None, buckets, counts, None),
            [zero, buckets, counts] => (Some(zero), buckets, counts, None),
            [zero, buckets, counts, min, max] => (Some(zero), buckets, counts, Some((min, max))),
            _ => return Err(no_histogram()),
        };
        let list = |array: &ArrayRef| array.as_list_opt::<i32>().cloned().ok_or_else(no_histogram);
        let numbers =
            |array: &ArrayRef| array.as_primitive_opt::<Int64Type>().cloned().ok_or_else(no_histogram);
        Ok(Histograms {
            whole,
            zero: zero.map(numbers).transpose()?,
            buckets: list(buckets)?,
            counts: list(counts)?,
            min: bounds.map(|(min, _)| numbers(min)).transpose()?,
            max: bounds.map(|(_, max)| numbers(max)).transpose()?,
        })
    }

    /// The histogram of a row; none where it, or one of its lists, is null.
    ///
    /// # Errors
    /// The asker's: the lists are not of one length, or count below zero.
    pub fn at(&self, row: usize) -> Result<Option<LatencyHistogram>> {
        let is_null = self.whole.as_ref().is_some_and(|whole| whole.is_null(row));
        if is_null || self.buckets.is_null(row) || self.counts.is_null(row) {
            return Ok(None);
        }
        let number = |numbers: &Option<Int64Array>| {
            numbers.as_ref().filter(|numbers| numbers.is_valid(row)).map(|numbers| numbers.value(row))
        };
        let (buckets, counts) = (self.buckets.value(row), self.counts.value(row));
        if buckets.len() != counts.len() {
            return invalid(format!("a histogram has {} buckets and {} counts", buckets.len(), counts.len()));
        }
        let (buckets, counts) = (buckets.as_primitive::<Int64Type>(), counts.as_primitive::<Int64Type>());
        let zero = number(&self.zero).unwrap_or(0);
        if let Some(below) = counts.iter().flatten().chain([zero]).find(|count| *count < 0) {
            return invalid(format!("a histogram counts {below} values"));
        }
        // What lies beyond is in the nearest bucket that a duration falls into, see `of_buckets`.
        let index = |index: i64| index.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        let pairs = buckets.iter().zip(counts.iter());
        let pairs = pairs.filter_map(|(bucket, count)| Some((index(bucket?), count?.unsigned_abs())));
        let nanos = |bound: i64| u64::try_from(bound).unwrap_or(0);
        let (min, max) = (number(&self.min).map_or(0, nanos), number(&self.max).map_or(u64::MAX, nanos));
        Ok(Some(LatencyHistogram::of_buckets(zero.unsigned_abs(), pairs, min, max)))
    }
}

/// A column of one histogram, or of null.
pub fn column(histogram: Option<&LatencyHistogram>) -> StructArray {
    let Some(histogram) = histogram else { return StructArray::new_null(FIELDS.clone(), 1) };
    let wide = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let DataType::List(element) = &*LIST else { unreachable!("it is made a list above") };
    let list = |values: Vec<i64>| -> ArrayRef {
        let lengths = OffsetBuffer::from_lengths([values.len()]);
        Arc::new(ListArray::new(Arc::clone(element), lengths, Arc::new(Int64Array::from(values)), None))
    };
    // Bounds that some argument did not tell are told to nobody.
    let is_told = histogram.max_nano() != Some(u64::MAX);
    let bound = |bound: Option<u64>| bound.filter(|_| is_told).map(wide);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![wide(histogram.zero_count())])),
        list(histogram.buckets().map(|(index, _)| i64::from(index)).collect()),
        list(histogram.buckets().map(|(_, count)| wide(count)).collect()),
        Arc::new(Int64Array::from(vec![bound(histogram.min_nano())])),
        Arc::new(Int64Array::from(vec![bound(histogram.max_nano())])),
    ];
    StructArray::new(FIELDS.clone(), columns, None)
}

fn no_histogram() -> DataFusionError {
    DataFusionError::Internal("arguments of a histogram are not of its types".to_owned())
}

fn invalid<T>(message: String) -> Result<T> {
    Err(DataFusionError::Execution(message))
}
