//! Puts stems in the order of their labels, by numbers.
//!
//! An answer is in the order of labels. Of a hundred thousand series that have eleven labels each most are alike, so their texts
//! would be compared some million times; there are few different ones, which are put in order once, and then a series is a list of
//! their ranks.

use std::ops::Range;

use meshlake_promql::METRIC_NAME;

use super::index::Index;

/// Lists of ranks, which are in order as the labels are that they stand for, the name among them.
struct Keys {
    ranks: Vec<u32>,
    ends: Vec<usize>,
}

impl Keys {
    fn of(index: &Index, stems: &[u32]) -> Self {
        let ranks = Ranks::of(index, stems);
        let mut keys = Keys { ranks: Vec::new(), ends: Vec::with_capacity(stems.len()) };
        for stem in stems {
            let name = ranks.of_classes[index.class_of(*stem) as usize];
            let pairs = index.labels_of(*stem).iter().map(|pair| ranks.of_pairs[*pair as usize]);
            let begin = keys.ranks.len();
            keys.ranks.extend(pairs);
            let place = keys.ranks[begin..].partition_point(|rank| *rank < name);
            keys.ranks.insert(begin + place, name);
            keys.ends.push(keys.ranks.len());
        }
        keys
    }

    fn get(&self, at: usize) -> &[u32] {
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        let rows: Range<usize> = begin..self.ends[at];
        &self.ranks[rows]
    }
}

/// Ranks of labels among those of some stems, by the number of a pair, and of a class for its name; the same of labels that are
/// alike.
struct Ranks {
    of_pairs: Vec<u32>,
    of_classes: Vec<u32>,
}

impl Ranks {
    fn of(index: &Index, stems: &[u32]) -> Self {
        /// What is not among them, and before ranks are known what is.
        const NONE: u32 = 0;
        const SOME: u32 = 1;
        let mut of_pairs = vec![NONE; index.pair_count()];
        let mut of_classes = vec![NONE; index.class_count()];
        // A label, and whether it is a class's name, with the number.
        let mut all: Vec<(&str, &str, bool, usize)> = Vec::new();
        for stem in stems {
            let class = index.class_of(*stem) as usize;
            if std::mem::replace(&mut of_classes[class], SOME) == NONE {
                all.push((METRIC_NAME, index.family(index.class_of(*stem)), true, class));
            }
            for pair in index.labels_of(*stem) {
                if std::mem::replace(&mut of_pairs[*pair as usize], SOME) == NONE {
                    let (name, value) = index.pair(*pair);
                    all.push((name, value, false, *pair as usize));
                }
            }
        }
        all.sort_unstable();
        let (mut rank, mut before) = (NONE, None);
        for (name, value, is_class, number) in all {
            rank += u32::from(before.replace((name, value)) != Some((name, value)));
            let ranks = if is_class { &mut of_classes } else { &mut of_pairs };
            ranks[number] = rank;
        }
        Ranks { of_pairs, of_classes }
    }
}

/// The stems in the order of their labels.
pub fn in_order(index: &Index, stems: &[u32]) -> Vec<u32> {
    let keys = Keys::of(index, stems);
    let mut order: Vec<usize> = (0..stems.len()).collect();
    order.sort_unstable_by(|a, b| keys.get(*a).cmp(keys.get(*b)).then(a.cmp(b)));
    order.into_iter().map(|at| stems[at]).collect()
}
