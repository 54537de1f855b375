//! How much memory rows take, which decides whether a step may make more of them.
//!
//! Arrow's own sizes count buffers whole, also those that a thousand slices share, and leave out what a copy
//! would add. What is asked here is the other way round: what would it take to hold these rows alone, or to
//! write each of them again. A column of views (texts of scans) is repeated at 16 bytes a row, whatever its
//! texts are; columns of offsets, lists and maps are written again in full.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray, RecordBatch, StringViewArray};
use arrow::array::{ByteView, MapArray};
use arrow::buffer::Buffer;
use arrow::datatypes::DataType;

/// Source: Arrow columnar format, "Variable-size Binary View Layout".
const VIEW_BYTES: usize = 16;

/// Texts up to this long are in their view. Source: the same.
const INLINE_BYTES_MAX: u32 = 12;

/// What of the texts behind views is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Texts {
    /// Nothing: rows are repeated, and share them.
    Shared,
    /// What of them is in memory.
    Held,
    /// All: each row's text is written again.
    Copied,
}

/// Bytes of all columns.
pub fn batch_bytes(batch: &RecordBatch, texts: Texts) -> usize {
    batch.columns().iter().map(|column| array_bytes(column, texts)).fold(0, usize::saturating_add)
}

/// Bytes of the widest row.
pub fn widest_row(batch: &RecordBatch, texts: Texts) -> usize {
    let rows = 0..batch.num_rows();
    rows.map(|row| batch_bytes(&batch.slice(row, 1), texts)).max().unwrap_or_default()
}

/// Bytes of the values of `array`, but for its nulls.
pub fn array_bytes(array: &dyn Array, texts: Texts) -> usize {
    let rows = array.len();
    match array.data_type() {
        DataType::Utf8View => views_bytes(array.as_string_view(), texts),
        DataType::BinaryView => views_bytes_of_binary(array.as_binary_view(), texts),
        DataType::Utf8 => spelt(array.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => spelt(array.as_string::<i64>().value_offsets()),
        DataType::Binary => spelt(array.as_binary::<i32>().value_offsets()),
        DataType::LargeBinary => spelt(array.as_binary::<i64>().value_offsets()),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            elements_bytes(list.value_offsets(), list.values(), texts)
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            elements_bytes(list.value_offsets(), list.values(), texts)
        }
        DataType::Map(..) => map_bytes(array.as_map(), texts),
        DataType::FixedSizeList(_, length) => {
            let length = usize::try_from(*length).unwrap_or_default();
            let list = array.as_fixed_size_list();
            // The values of a slice are cut with it.
            let values = list.values().slice(0, (rows * length).min(list.values().len()));
            array_bytes(&values, texts)
        }
        DataType::Struct(_) => {
            let columns = array.as_struct().columns().iter();
            columns.map(|column| array_bytes(column, texts)).fold(0, usize::saturating_add)
        }
        DataType::Dictionary(keys, _) => rows * keys.primitive_width().unwrap_or(VIEW_BYTES),
        DataType::Boolean => rows.div_ceil(8),
        DataType::Null => 0,
        other => match other.primitive_width() {
            Some(width) => rows * width,
            None => array.get_array_memory_size(),
        },
    }
}

/// Bytes of what views name the buffers of their texts by. A list that was put together of a thousand others' rows names all
/// buffers of theirs, and takes more for it than for views.
pub fn names_bytes(array: &dyn Array) -> usize {
    match array.data_type() {
        DataType::Utf8View => size_of_val(array.as_string_view().data_buffers()),
        DataType::BinaryView => size_of_val(array.as_binary_view().data_buffers()),
        DataType::List(_) => names_bytes(array.as_list::<i32>().values()),
        DataType::LargeList(_) => names_bytes(array.as_list::<i64>().values()),
        DataType::Map(..) => {
            array.as_map().entries().columns().iter().map(|column| names_bytes(column)).sum()
        }
        DataType::Struct(_) => array.as_struct().columns().iter().map(|column| names_bytes(column)).sum(),
        _ => 0,
    }
}

fn map_bytes(map: &MapArray, texts: Texts) -> usize {
    let (offsets, entries) = (map.value_offsets(), map.entries());
    let [begin, end] = ends(offsets);
    size_of_val(offsets) + array_bytes(&entries.slice(begin, end - begin), texts)
}

fn elements_bytes<O: Copy + TryInto<usize>>(offsets: &[O], values: &ArrayRef, texts: Texts) -> usize {
    let [begin, end] = ends(offsets);
    size_of_val(offsets) + array_bytes(&values.slice(begin, end - begin), texts)
}

/// Bytes of texts behind offsets, and of the offsets.
fn spelt<O: Copy + TryInto<usize>>(offsets: &[O]) -> usize {
    let [begin, end] = ends(offsets);
    size_of_val(offsets) + (end - begin)
}

/// Where the first begins and the last ends.
fn ends<O: Copy + TryInto<usize>>(offsets: &[O]) -> [usize; 2] {
    let place = |offset: Option<&O>| offset.and_then(|offset| (*offset).try_into().ok()).unwrap_or_default();
    [place(offsets.first()), place(offsets.last())]
}

fn views_bytes(array: &StringViewArray, texts: Texts) -> usize {
    array.len() * VIEW_BYTES + behind_views(array.views(), array.data_buffers(), texts)
}

fn views_bytes_of_binary(array: &BinaryViewArray, texts: Texts) -> usize {
    array.len() * VIEW_BYTES + behind_views(array.views(), array.data_buffers(), texts)
}

fn behind_views(views: &[u128], buffers: &[Buffer], texts: Texts) -> usize {
    let lengths = || {
        let lengths = views.iter().map(|view| ByteView::from(*view).length);
        lengths.filter(|length| *length > INLINE_BYTES_MAX).map(|length| length as usize).sum::<usize>()
    };
    match texts {
        Texts::Shared => 0,
        Texts::Copied => lengths(),
        Texts::Held => {
            let mut seen = HashSet::new();
            let once = buffers.iter().filter(|buffer| seen.insert(buffer.data_ptr()));
            lengths().min(once.map(Buffer::len).sum())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, ListArray, StringArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::compute::{concat, take};
    use arrow::datatypes::{Field, Int64Type};

    use super::*;

    /// One text of a hundred letters, three times.
    #[test]
    fn texts_behind_views_are_shared_held_or_copied() {
        let text = StringViewArray::from(vec!["x".repeat(100)]);
        let thrice = take(&text, &Int64Array::from(vec![0, 0, 0]), None).expect("three rows");
        let bytes = |texts| array_bytes(&thrice, texts);
        assert_eq!(bytes(Texts::Shared), 3 * 16);
        assert_eq!(bytes(Texts::Copied), 3 * (16 + 100));
        // Whatever room the one buffer has, it is less than three texts.
        let held = bytes(Texts::Held);
        assert!((3 * 16 + 100..3 * (16 + 100) + 1).contains(&held), "{held}");
    }

    /// Two lists of ten texts that were put together of ten arrays, each with its buffer of 24 bytes of name.
    #[test]
    fn the_names_of_all_buffers_weigh() {
        let rows = (0..10).map(|_| StringViewArray::from(vec!["x".repeat(100)])).collect::<Vec<_>>();
        let rows = rows.iter().map(|row| row as &dyn Array).collect::<Vec<_>>();
        let texts = concat(&rows).expect("ten rows");
        assert_eq!(names_bytes(&texts), 10 * 24);
        let field = Arc::new(Field::new_list_field(DataType::Utf8View, true));
        let lists = ListArray::new(field, OffsetBuffer::from_lengths([5, 5]), texts, None);
        assert_eq!(names_bytes(&lists), 10 * 24);
        assert_eq!(names_bytes(&Int64Array::from(vec![1])), 0);
    }

    #[test]
    fn a_slice_weighs_what_is_in_it() {
        let texts = StringArray::from(vec!["ab", "cdef", "g"]);
        assert_eq!(array_bytes(&texts.slice(1, 1), Texts::Copied), 2 * 4 + 4);
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([
            Some(vec![Some(1), Some(2)]),
            Some(vec![Some(3)]),
        ]);
        assert_eq!(array_bytes(&lists.slice(1, 1), Texts::Copied), 2 * 4 + 8);
        let columns: [(&str, ArrayRef); 2] =
            [("texts", Arc::new(texts.slice(0, 2))), ("lists", Arc::new(lists))];
        let batch = RecordBatch::try_from_iter(columns).expect("two rows");
        assert_eq!(widest_row(&batch, Texts::Copied), (8 + 2) + (8 + 16), "the first has two numbers");
    }
}
