//! What columns of every kind need: which rows are null, where each row's elements end, and the shape of
//! a list of structs.
//!
//! Arrow's null and offset builders allocate for columns that never hold a null and finish with the spare
//! capacity inside the array; these allocate at the first null and keep their memory from one group to the next.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBufferBuilder, ListArray, PrimitiveArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Fields};
use meshlake_schema::Kind;

/// Which rows of a column are null. Nothing is allocated until the first null.
#[derive(Debug, Default)]
pub struct Validity {
    rows: usize,
    bits: Option<BooleanBufferBuilder>,
}

impl Validity {
    /// `rows` rows, none of them null so far.
    pub(crate) fn all_valid(rows: usize) -> Self {
        Validity { rows, bits: None }
    }

    #[inline]
    pub(crate) fn push(&mut self, valid: bool) {
        if !valid && self.bits.is_none() {
            let mut bits = BooleanBufferBuilder::new(self.rows + 1);
            bits.append_n(self.rows, true);
            self.bits = Some(bits);
        }
        if let Some(bits) = &mut self.bits {
            bits.append(valid);
        }
        self.rows += 1;
    }

    /// Pushes the same for `rows` rows at once.
    pub(crate) fn push_n(&mut self, valid: bool, rows: usize) {
        if rows == 0 {
            return;
        }
        self.push(valid);
        if let Some(bits) = &mut self.bits {
            bits.append_n(rows - 1, valid);
        }
        self.rows += rows - 1;
    }

    /// Takes the nulls of all rows, `None` when no row is null, and starts over.
    pub(crate) fn finish(&mut self) -> Option<NullBuffer> {
        self.rows = 0;
        self.bits.take().map(|mut bits| NullBuffer::new(bits.finish()))
    }
}

/// List offsets (a leading zero, then the end of each row); leaves `ends` empty with its capacity.
pub(crate) fn offsets_from_ends(ends: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let mut offsets = Vec::with_capacity(ends.len() + 1);
    offsets.push(0);
    offsets.append(ends);
    OffsetBuffer::new(ScalarBuffer::from(offsets))
}

/// The element field and struct fields of a list-of-struct kind (events, links, exemplars, quantiles).
fn list_of_struct(kind: Kind) -> (Arc<Field>, Fields) {
    let DataType::List(element) = kind.hot_type() else {
        unreachable!("{kind:?} is no list");
    };
    let DataType::Struct(fields) = element.data_type().clone() else {
        unreachable!("{kind:?} is no list of structs");
    };
    (element, fields)
}

/// Where the elements of each row end, for columns of lists.
#[derive(Debug, Default)]
pub struct ListEnds {
    ends: Vec<i32>,
    nulls: Validity,
}

impl ListEnds {
    /// Ends a row; `elements` is the number of elements pushed so far over all rows.
    #[inline]
    pub fn end_row(&mut self, elements: usize) {
        self.ends.push(i32::try_from(elements).expect("a group has fewer list elements than 2^31"));
        self.nulls.push(true);
    }

    /// Ends a row that has no list at all.
    pub fn end_null_row(&mut self) {
        self.ends.push(self.ends.last().copied().unwrap_or_default());
        self.nulls.push(false);
    }

    /// Joins rows and their elements, one array per field of the struct, to a column of `kind`.
    pub fn finish_structs(&mut self, kind: Kind, elements: Vec<ArrayRef>) -> ArrayRef {
        let (element, fields) = list_of_struct(kind);
        let structs = StructArray::try_new(fields, elements, None)
            .expect("the fields are pushed together, in the order and types of their kind");
        self.finish_list(element, Arc::new(structs))
    }

    fn finish_list(&mut self, element: Arc<Field>, elements: ArrayRef) -> ArrayRef {
        let offsets = offsets_from_ends(&mut self.ends);
        let list = ListArray::try_new(element, offsets, elements, self.nulls.finish());
        Arc::new(list.expect("rows end where their elements do"))
    }
}

/// A column of lists of numbers: `Kind::Int64List`, `Kind::Float64List`.
#[derive(Debug)]
pub struct NumberListColumn<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    rows: ListEnds,
}

impl<T: ArrowPrimitiveType> Default for NumberListColumn<T> {
    fn default() -> Self {
        NumberListColumn { values: Vec::new(), rows: ListEnds::default() }
    }
}

impl<T: ArrowPrimitiveType> NumberListColumn<T> {
    /// Pushes one row.
    pub fn push(&mut self, numbers: &[T::Native]) {
        self.values.extend_from_slice(numbers);
        self.rows.end_row(self.values.len());
    }

    /// Pushes a row without a list.
    pub fn push_null(&mut self) {
        self.rows.end_null_row();
    }

    /// Takes all rows as an array and leaves the column empty.
    pub fn finish(&mut self) -> ArrayRef {
        let values = PrimitiveArray::<T>::new(ScalarBuffer::from(self.values.clone()), None);
        self.values.clear();
        let element = Arc::new(Field::new("element", T::DATA_TYPE, false));
        self.rows.finish_list(element, Arc::new(values))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array as _, AsArray as _, Int64Array};
    use arrow::datatypes::{Float64Type, Int64Type};

    use super::*;

    #[test]
    fn number_lists_have_the_tables_type() {
        let mut column = NumberListColumn::<Int64Type>::default();
        column.push(&[1, 2]);
        column.push(&[]);
        let array = column.finish();
        assert_eq!(array.data_type(), &Kind::Int64List.hot_type());
        assert_eq!(
            array.as_list::<i32>().value(0).as_primitive::<Int64Type>(),
            &Int64Array::from(vec![1, 2])
        );
        assert_eq!(array.as_list::<i32>().value(1).len(), 0);
        let empty = NumberListColumn::<Float64Type>::default().finish();
        assert_eq!(empty.data_type(), &Kind::Float64List.hot_type());
    }

    #[test]
    fn a_null_row_takes_no_elements() {
        let mut rows = ListEnds::default();
        rows.end_row(1);
        rows.end_null_row();
        let numbers = || -> ArrayRef { Arc::new(arrow::array::Float64Array::from(vec![0.5])) };
        let array = rows.finish_structs(Kind::Quantiles, vec![numbers(), numbers()]);
        assert_eq!(array.data_type(), &Kind::Quantiles.hot_type());
        assert_eq!((array.len(), array.is_null(0), array.is_null(1)), (2, false, true));
    }

    #[test]
    fn the_first_null_comes_after_any_number_of_rows() {
        let mut validity = Validity::default();
        validity.push_n(true, 3);
        validity.push_n(false, 2);
        validity.push(true);
        let nulls = validity.finish().expect("two rows are null");
        assert_eq!(nulls.iter().collect::<Vec<_>>(), [true, true, true, false, false, true]);
        assert!(validity.finish().is_none(), "finishing starts over");
    }
}
