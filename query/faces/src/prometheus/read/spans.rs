//! Filled buckets as spans, which is how they stand on wires and in chunks.
//!
//! Source: <https://prometheus.io/docs/specs/native_histograms/#spans>: the first offset is the index of the first bucket,
//! each further one the number of empty buckets since the span before.

/// Offsets and lengths.
pub type Spans = Vec<(i32, u32)>;

/// The spans of buckets that are sorted by index.
pub fn spans(buckets: &[(i32, f64)]) -> Spans {
    let mut spans = Spans::new();
    let mut next = 0;
    for (index, _) in buckets {
        match spans.last_mut() {
            Some((_, length)) if *index == next => *length += 1,
            // From zero to the first one.
            _ => spans.push((index.wrapping_sub(next), 1)),
        }
        next = index.wrapping_add(1);
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_count_the_empty_buckets_between_them() {
        let check = |indexes: &[i32], want: &[(i32, u32)]| {
            let buckets: Vec<(i32, f64)> = indexes.iter().map(|index| (*index, 1.0)).collect();
            assert_eq!(spans(&buckets), want, "{indexes:?}");
        };
        check(&[], &[]);
        check(&[0, 1], &[(0, 2)]);
        check(&[-3, -2, 1, 2, 3, 7], &[(-3, 2), (2, 3), (3, 1)]);
    }
}
