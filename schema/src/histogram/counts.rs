//! How much each bucket of a histogram holds, in as little memory as that takes.
//!
//! Settling holds a hundred thousand histograms at once. Most hold a few calls, whose latencies lie far apart; those of busy
//! cells fill most buckets of some octaves. One vector of 64 bits a bucket takes 2 KB for either. So a few counts are a
//! sorted list, and many lie side by side, in 32 bits until one needs more. Which it is depends on how much is held and
//! makes no difference to what is told.

use serde::{Deserialize, Serialize};

/// Buckets up to which a list is searched as quickly as a place is computed: 256 bytes.
const FEW: usize = 32;

/// Counts by index of a bucket. Indices are few enough for 16 bits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Counts {
    /// Ascending, each index once.
    Few(Vec<(i16, u32)>),
    /// From an index on; not empty.
    Narrow(i16, Vec<u32>),
    /// The same.
    Wide(i16, Vec<u64>),
}

impl Default for Counts {
    fn default() -> Self {
        Counts::Few(Vec::new())
    }
}

impl PartialEq for Counts {
    fn eq(&self, other: &Counts) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Counts {}

impl Counts {
    /// Adds to a bucket. A count beyond 64 bits is the most that they hold.
    pub fn add(&mut self, index: i16, count: u64) {
        while !self.is_added(index, count) {
            self.make_room(index, count);
        }
    }

    /// Index and count of each bucket that holds something, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (i16, u64)> + Clone {
        let few: &[(i16, u32)] = if let Counts::Few(counts) = self { counts } else { &[] };
        let (narrow_from, narrow): (i16, &[u32]) =
            if let Counts::Narrow(first, counts) = self { (*first, counts) } else { (0, &[]) };
        let (wide_from, wide): (i16, &[u64]) =
            if let Counts::Wide(first, counts) = self { (*first, counts) } else { (0, &[]) };
        let few = few.iter().map(|(index, count)| (*index, u64::from(*count)));
        let narrow = (narrow_from..).zip(narrow.iter().map(|count| u64::from(*count)));
        let wide = (wide_from..).zip(wide.iter().copied());
        few.chain(narrow).chain(wide).filter(|(_, count)| *count > 0)
    }

    /// Bytes that they take beside their own fields.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Counts::Few(counts) => counts.capacity() * size_of::<(i16, u32)>(),
            Counts::Narrow(_, counts) => counts.capacity() * size_of::<u32>(),
            Counts::Wide(_, counts) => counts.capacity() * size_of::<u64>(),
        }
    }

    /// Adds to a bucket if there is room as it is.
    fn is_added(&mut self, index: i16, count: u64) -> bool {
        let narrow = |held: u32| u64::from(held).checked_add(count).and_then(|sum| u32::try_from(sum).ok());
        match self {
            Counts::Few(counts) => match few_place(counts, index) {
                Ok(place) => narrow(counts[place].1).map(|sum| counts[place].1 = sum).is_some(),
                Err(place) => {
                    let (first, last) = (counts.first(), counts.last());
                    let span = first.zip(last).map_or(1, |(first, last)| span(first.0, last.0, index));
                    let Some(count) = narrow(0).filter(|_| is_few(counts.len() + 1, span)) else {
                        return false;
                    };
                    if counts.len() == counts.capacity() {
                        // A vector that doubled would take half as much again.
                        counts.reserve_exact(counts.len() / 4 + 2);
                    }
                    counts.insert(place, (index, count));
                    true
                }
            },
            Counts::Narrow(first, counts) => {
                let held = place(*first, index).and_then(|place| counts.get_mut(place));
                held.is_some_and(|held| narrow(*held).map(|sum| *held = sum).is_some())
            }
            Counts::Wide(first, counts) => {
                let held = place(*first, index).and_then(|place| counts.get_mut(place));
                held.map(|held| *held = held.saturating_add(count)).is_some()
            }
        }
    }

    /// Has room for so much more in a bucket, with all else as it is.
    fn make_room(&mut self, index: i16, count: u64) {
        let held = self.iter().find(|(held, _)| *held == index).map_or(0, |(_, count)| count);
        let is_wide = matches!(self, Counts::Wide(..)) || held.saturating_add(count) > u64::from(u32::MAX);
        let indices = self.iter().map(|(held, _)| held).chain([index]);
        let (first, last) = indices.fold((index, index), |(a, b), held| (a.min(held), b.max(held)));
        let (buckets, width) = (self.iter().count() + usize::from(held == 0), span(first, last, index));
        let narrow = |count: u64| u32::try_from(count).expect("what does not fit is wide");
        let place = |index: i16| usize::from(index.abs_diff(first));
        *self = if is_wide {
            let mut counts = vec![0; width];
            self.iter().for_each(|(index, count)| counts[place(index)] = count);
            Counts::Wide(first, counts)
        } else if is_few(buckets, width) {
            Counts::Few(self.iter().map(|(index, count)| (index, narrow(count))).collect())
        } else {
            let mut counts = vec![0; width];
            self.iter().for_each(|(index, count)| counts[place(index)] = narrow(count));
            Counts::Narrow(first, counts)
        };
    }
}

/// Where an index is, or belongs, as a binary search tells. Most lists have no gaps and then the place is known; a search
/// takes five steps for nearly every call that is counted.
fn few_place(counts: &[(i16, u32)], index: i16) -> Result<usize, usize> {
    let guessed = counts.first().and_then(|(first, _)| place(*first, index));
    let is_there = |place: &usize| counts.get(*place).is_some_and(|(held, _)| *held == index);
    let found = guessed.filter(is_there).map(Ok);
    found.unwrap_or_else(|| counts.binary_search_by_key(&index, |(held, _)| *held))
}

/// Whether so many of `span` buckets are better kept as a list, at twice the bytes each.
fn is_few(buckets: usize, span: usize) -> bool {
    buckets <= FEW || 2 * buckets <= span
}

/// Buckets from the first to the last of these, both included.
fn span(first: i16, last: i16, index: i16) -> usize {
    usize::from(last.max(index).abs_diff(first.min(index))) + 1
}

fn place(first: i16, index: i16) -> Option<usize> {
    index.checked_sub(first).and_then(|place| usize::try_from(place).ok())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn of(buckets: impl IntoIterator<Item = (i16, u64)>) -> Counts {
        let mut counts = Counts::default();
        buckets.into_iter().for_each(|(index, count)| counts.add(index, count));
        counts
    }

    fn kind(counts: &Counts) -> &'static str {
        match counts {
            Counts::Few(_) => "few",
            Counts::Narrow(..) => "narrow",
            Counts::Wide(..) => "wide",
        }
    }

    /// 8 bytes of each of a list, 4 of each side by side, 8 where one does not fit into 32 bits.
    #[test]
    fn counts_take_what_they_need() {
        let side_by_side = |count: i16| (0..count).map(|index| (index, 1));
        for (buckets, want) in [
            (of(side_by_side(FEW as i16)), ("few", 32 * 8)),
            (of(side_by_side(FEW as i16 + 1)), ("narrow", 33 * 4)),
            (of((0..100).map(|index| (2 * index, 1)).chain([(199, 1)])), ("narrow", 200 * 4)),
            (of([(-1, 1), (2_047, 1)]), ("few", 2 * 8)),
            (of([(-1, 1), (2_047, 1 << 32)]), ("wide", 2_049 * 8)),
        ] {
            let (kind, bytes) = (kind(&buckets), buckets.heap_bytes());
            assert_eq!(kind, want.0);
            assert!(bytes >= want.1 && bytes <= want.1 * 5 / 4 + 16, "{kind}: {bytes} of {}", want.1);
        }
        let spread = of((0..100).map(|index| (3 * index, 1)));
        assert_eq!(kind(&spread), "few", "a hundred of three hundred");
    }

    #[test]
    fn a_far_bucket_makes_a_list_of_what_lay_side_by_side() {
        let mut counts = of((0..40).map(|index| (index, 7)));
        assert_eq!(kind(&counts), "narrow");
        counts.add(2_000, 1);
        assert_eq!(kind(&counts), "few");
        assert!(counts.iter().eq((0..40).map(|index| (index, 7)).chain([(2_000, 1)])));
    }

    #[test]
    fn what_fits_into_32_bits_is_narrow_to_the_last() {
        let full = u64::from(u32::MAX);
        for (add, want) in [(0, full), (1, full + 1)] {
            let few = of([(5, full), (5, add)]);
            assert_eq!((few.iter().collect::<Vec<_>>(), kind(&few) == "wide"), (vec![(5, want)], add > 0));
            let many = of((0..50).map(|index| (index, full)).chain([(5, add)]));
            assert_eq!((many.iter().nth(5), kind(&many) == "wide"), (Some((5, want)), add > 0));
        }
        let most = of([(5, u64::MAX), (5, 1)]);
        assert!(most.iter().eq([(5, u64::MAX)]));
    }

    /// Against a map, whatever the order: ten thousand counts of a generator of numbers (Knuth's constants for MMIX).
    #[test]
    fn counts_are_those_of_a_map() {
        let mut number = 1_u64;
        let mut next = || {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            number >> 33
        };
        for width in [3, 60, 300, 2_049] {
            let (mut counts, mut map) = (Counts::default(), BTreeMap::new());
            for step in 0..2_500 {
                let (index, count) = ((next() % width) as i16 - 1, next() << (step / 200));
                counts.add(index, count);
                *map.entry(index).or_insert(0_u64) += count;
                if step % 50 == 0 {
                    assert!(counts.iter().eq(map.clone().into_iter().filter(|of| of.1 > 0)), "{width}");
                }
            }
            let backwards = of(map.into_iter().rev());
            assert_eq!(backwards, counts);
        }
    }
}
