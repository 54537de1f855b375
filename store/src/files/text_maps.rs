//! Reads maps of text to text, such as attributes, of chosen rows across the batches of a flush.
//!
//! The entries of a row lie side by side, so a row is two copies: of all its keys and of all its values. Arrow's `interleave`
//! copies every entry by itself, twice: for access logs of Envoy, of four entries a row, that took a fifth of a flush.
//! Limits: maps without nulls, as all of ours are; others are for `interleave`.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, MapArray, StringArray, StructArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef, Fields};

use super::{FileError, RowIndex};

/// The maps of all batches.
pub(super) struct TextMaps<'a> {
    batches: Vec<Batch<'a>>,
    entry: FieldRef,
    fields: Fields,
}

struct Batch<'a> {
    /// Where the entries of each row begin, and where the last one's end.
    starts: &'a [i32],
    keys: &'a StringArray,
    values: &'a StringArray,
}

impl<'a> TextMaps<'a> {
    /// None where a column is of another type, or may have a null anywhere.
    pub fn of(columns: &[&'a dyn Array]) -> Option<Self> {
        let maps: Vec<&MapArray> = columns.iter().map(|column| column.as_map_opt()).collect::<Option<_>>()?;
        let first = maps.first()?;
        let DataType::Map(entry, false) = first.data_type() else { return None };
        let (entry, fields) = (Arc::clone(entry), first.entries().fields().clone());
        let batches = maps.into_iter().map(Batch::of).collect::<Option<_>>()?;
        Some(TextMaps { batches, entry, fields })
    }

    /// The maps of `rows`, in their order.
    ///
    /// # Errors
    /// [`FileError::Rows`] for more text than 2 GiB.
    pub fn gather(&self, rows: &[RowIndex]) -> Result<ArrayRef, FileError> {
        let mut ends = Vec::with_capacity(rows.len() + 1);
        let mut entries = 0;
        ends.push(0);
        let spans = rows.iter().map(|(batch, row)| {
            let batch = &self.batches[*batch as usize];
            let span = batch.entries(*row as usize);
            entries += span.len();
            ends.push(entries);
            (batch, span)
        });
        let spans: Vec<(&Batch<'_>, Range<usize>)> = spans.collect();
        let keys = joined(spans.iter().map(|(batch, span)| (batch.keys, span)), entries)?;
        let values = joined(spans.iter().map(|(batch, span)| (batch.values, span)), entries)?;
        let ends = ends.into_iter().map(offset).collect::<Result<Vec<i32>, FileError>>()?;
        let columns: Vec<ArrayRef> = vec![Arc::new(keys), Arc::new(values)];
        let structs = StructArray::try_new(self.fields.clone(), columns, None)?;
        let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
        Ok(Arc::new(MapArray::try_new(Arc::clone(&self.entry), ends, structs, None, false)?))
    }
}

impl<'a> Batch<'a> {
    fn of(map: &'a MapArray) -> Option<Self> {
        let (keys, values) = (map.keys().as_string_opt::<i32>()?, map.values().as_string_opt::<i32>()?);
        let nulls = [map.null_count(), map.entries().null_count(), keys.null_count(), values.null_count()];
        (nulls == [0; 4]).then_some(Batch { starts: map.value_offsets(), keys, values })
    }

    fn entries(&self, row: usize) -> Range<usize> {
        self.starts[row] as usize..self.starts[row + 1] as usize
    }
}

/// Runs of texts one behind the other, `count` in all.
fn joined<'a>(
    runs: impl Iterator<Item = (&'a StringArray, &'a Range<usize>)> + Clone,
    count: usize,
) -> Result<StringArray, FileError> {
    let bytes_of = |texts: &StringArray, run: &Range<usize>| {
        let offsets = texts.value_offsets();
        offsets[run.start] as usize..offsets[run.end] as usize
    };
    let bytes: usize = runs.clone().map(|(texts, run)| bytes_of(texts, run).len()).sum();
    offset(bytes)?;
    let (mut offsets, mut text) = (Vec::with_capacity(count + 1), Vec::with_capacity(bytes));
    offsets.push(0);
    for (texts, run) in runs {
        let (bytes, at) = (bytes_of(texts, run), offset(text.len())?);
        let moved = at - texts.value_offsets()[run.start];
        offsets.extend(texts.value_offsets()[run.start + 1..=run.end].iter().map(|end| end + moved));
        text.extend_from_slice(&texts.value_data()[bytes]);
    }
    Ok(StringArray::try_new(OffsetBuffer::new(ScalarBuffer::from(offsets)), text.into(), None)?)
}

fn offset(bytes: usize) -> Result<i32, FileError> {
    i32::try_from(bytes).map_err(|_| FileError::Rows(format!("{bytes} bytes or entries in a slice of rows")))
}

#[cfg(test)]
mod tests {
    use arrow::array::{MapBuilder, StringBuilder};
    use arrow::compute::interleave;

    use super::*;

    /// A map a row.
    fn maps(rows: &[&[(&str, Option<&str>)]]) -> MapArray {
        let mut builder = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        for row in rows {
            for (key, value) in *row {
                builder.keys().append_value(key);
                builder.values().append_option(*value);
            }
            builder.append(true).expect("as many values as keys");
        }
        builder.finish()
    }

    /// Rows of none, one and two entries, of a batch and of the middle of another, some twice.
    #[test]
    fn maps_come_back_in_the_order_asked_for() {
        let first = maps(&[&[("a", Some("1")), ("bb", Some("ä2"))], &[], &[("c", Some(""))]]);
        let second = maps(&[&[("x", Some("0"))], &[("d", Some("4")), ("", Some("5"))], &[("e", Some("6"))]]);
        let second = second.slice(1, 2);
        let columns: [&dyn Array; 2] = [&first, &second];
        let rows = [(1, 1), (0, 0), (0, 1), (1, 0), (0, 2), (0, 0)];
        let indices = rows.map(|(batch, row)| (batch as usize, row as usize));
        let got = TextMaps::of(&columns).expect("no nulls").gather(&rows).expect("a few bytes");
        assert_eq!(&got, &interleave(&columns, &indices).expect("rows exist"));
        let none = TextMaps::of(&columns).expect("no nulls").gather(&[]).expect("nothing");
        assert_eq!((none.len(), none.data_type()), (0, first.data_type()));
    }

    #[test]
    fn a_column_with_nulls_or_of_another_type_is_left_alone() {
        let whole = maps(&[&[("a", Some("1"))]]);
        let with_null = maps(&[&[("a", None)]]);
        assert!(TextMaps::of(&[&whole as &dyn Array]).is_some());
        assert!(TextMaps::of(&[&whole, &with_null as &dyn Array]).is_none());
        assert!(TextMaps::of(&[&StringArray::from(vec!["a"]) as &dyn Array]).is_none());
    }
}
