//! Has the memory pool count what functions make, for as long as anything holds on to it.
//!
//! An operator tells the pool what it keeps; what its expressions have made in between nobody tells, and
//! eight hundred columns of `repeat(name, 1000)` are no operator's. So the buffers of a large result are
//! given an owner that holds the pool's word for them: they are counted until the last array that shares them
//! is dropped, wherever it has gone. An operator that keeps them counts them once more, which errs towards
//! refusing.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayData, ArrayRef, make_array};
use arrow::buffer::Buffer;
use bytes::Bytes;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::logical_expr::ColumnarValue;

/// How results are called where a memory error names the largest consumers.
const CONSUMER: &str = "results of functions";

/// A smaller result is not counted: 64 bytes a row of a batch. A statement has at most 5,000 tokens, which
/// are fewer than 1,000 calls, so that what nobody counts stays below half a gigabyte.
const COUNTED_BYTES_MIN: usize = 512 << 10;

/// `made`, counted where it is large. What it shares with `given` is counted already, or was read.
///
/// # Errors
/// The pool has no room for it.
pub fn charged(made: ArrayRef, given: &[ColumnarValue], pool: &Arc<dyn MemoryPool>) -> Result<ArrayRef> {
    let mut known = HashSet::new();
    for argument in given {
        if let ColumnarValue::Array(array) = argument {
            each_buffer(&array.to_data(), &mut |buffer| {
                known.insert(buffer.data_ptr());
            });
        }
    }
    let data = made.to_data();
    let (mut bytes, mut own) = (0, HashSet::new());
    each_buffer(&data, &mut |buffer| {
        if !known.contains(&buffer.data_ptr()) && own.insert(buffer.data_ptr()) {
            bytes += buffer.capacity();
        }
    });
    if bytes < COUNTED_BYTES_MIN {
        return Ok(made);
    }
    let reservation = MemoryConsumer::new(CONSUMER).register(pool);
    reservation.try_grow(bytes)?;
    let reservation = Arc::new(reservation);
    let owned = |buffer: &Buffer| match own.contains(&buffer.data_ptr()) && !buffer.is_empty() {
        true => Buffer::from(Bytes::from_owner(Counted {
            buffer: buffer.clone(),
            _reservation: Arc::clone(&reservation),
        })),
        false => buffer.clone(),
    };
    Ok(make_array(with_buffers(&data, &owned)?))
}

fn each_buffer(data: &ArrayData, see: &mut impl FnMut(&Buffer)) {
    data.buffers().iter().for_each(&mut *see);
    data.child_data().iter().for_each(|child| each_buffer(child, see));
}

fn with_buffers(data: &ArrayData, owned: &impl Fn(&Buffer) -> Buffer) -> Result<ArrayData> {
    let children = data.child_data().iter().map(|child| with_buffers(child, owned));
    let children = children.collect::<Result<Vec<_>>>()?;
    let buffers = data.buffers().iter().map(owned).collect();
    Ok(data.clone().into_builder().buffers(buffers).child_data(children).build()?)
}

struct Counted {
    buffer: Buffer,
    _reservation: Arc<MemoryReservation>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        self.buffer.as_slice()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, StringArray, StringViewArray};
    use arrow::datatypes::Int32Type;
    use datafusion::execution::memory_pool::GreedyMemoryPool;

    use super::*;

    fn pool(bytes: usize) -> Arc<dyn MemoryPool> {
        Arc::new(GreedyMemoryPool::new(bytes))
    }

    #[test]
    fn a_result_is_counted_until_the_last_that_shares_it_is_gone() {
        let pool = pool(4 << 20);
        let made: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(1 << 20), "yz".to_owned()]));
        let counted = charged(Arc::clone(&made), &[], &pool).expect("there is room");
        assert_eq!(&counted, &made);
        assert!(pool.reserved() >= 1 << 20, "{}", pool.reserved());
        let rest = counted.slice(1, 1);
        drop((counted, made));
        assert!(pool.reserved() >= 1 << 20, "a slice holds all of it");
        drop(rest);
        assert_eq!(pool.reserved(), 0);
    }

    #[test]
    fn what_finds_no_room_is_refused_and_what_is_small_is_not_counted() {
        let made = |bytes: usize| Arc::new(StringArray::from(vec!["x".repeat(bytes)])) as ArrayRef;
        assert!(charged(made(2 << 20), &[], &pool(1 << 20)).is_err());
        assert!(charged(made(COUNTED_BYTES_MIN / 2), &[], &pool(0)).is_ok());
    }

    #[test]
    fn texts_that_are_those_of_an_argument_are_not_counted_again() {
        let given: ArrayRef = Arc::new(StringViewArray::from(vec!["x".repeat(1 << 20)]));
        let made = charged(given.slice(0, 1), &[ColumnarValue::Array(Arc::clone(&given))], &pool(0));
        assert_eq!(made.expect("nothing is new").len(), 1);
    }

    #[test]
    fn lists_keep_their_values() {
        let values = (0..1 << 18).map(Some);
        let list = arrow::array::ListArray::from_iter_primitive::<Int32Type, _, _>([Some(values)]);
        let made: ArrayRef = Arc::new(list);
        let pool = pool(16 << 20);
        let counted = charged(Arc::clone(&made), &[], &pool).expect("there is room");
        assert_eq!(&counted, &made);
        // Who keeps the elements alone still holds them.
        let elements = Arc::clone(counted.as_list::<i32>().values());
        drop(counted);
        assert!(pool.reserved() >= 1 << 20);
        drop(elements);
        assert_eq!(pool.reserved(), 0);
    }
}
