//! What an instance received against an equal share of what its subset did, while it was there.
//!
//! An instance is there from the slice of its first call to that of its last. In a slice in which it came or went nobody
//! knows for how long it was there, so that its calls of that slice count for nothing, and others share the rest. Where
//! slices have too few calls to see that somebody came, all were there all the time.

use std::collections::BTreeMap;

use super::Instance;
use crate::statistics::spread::Count;

/// Calls an instance and slice on average from which a slice without any means that the instance was not there: by
/// chance it happens once in e^10 = 22,000.
const CALLS_A_SLICE_MIN: f64 = 10.0;

/// The count of each instance, in the order given; `None` of those that were alone, or not there for a whole slice.
pub(super) fn counts(instances: &[Instance<'_>]) -> Vec<Option<Count>> {
    let mut subsets: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, instance) in instances.iter().enumerate() {
        subsets.entry(&instance.node.id).or_default().push(at);
    }
    let mut counts = vec![None; instances.len()];
    for members in subsets.into_values().filter(|members| members.len() > 1) {
        of_subset(instances, &members, &mut counts);
    }
    counts
}

fn of_subset(instances: &[Instance<'_>], members: &[usize], counts: &mut [Option<Count>]) {
    let slices: Vec<BTreeMap<u16, f64>> = members.iter().map(|at| instances[*at].slices.clone()).collect();
    let all: f64 = slices.iter().flat_map(BTreeMap::values).sum();
    let used: usize = slices.iter().map(BTreeMap::len).sum();
    let slices: Vec<BTreeMap<u16, f64>> = if all / (used as f64) < CALLS_A_SLICE_MIN {
        slices.iter().map(|calls| BTreeMap::from([(0, calls.values().sum())])).collect()
    } else {
        slices
    };
    let ends = |calls: &BTreeMap<u16, f64>| Some((*calls.first_key_value()?.0, *calls.last_key_value()?.0));
    let lives: Vec<(u16, u16)> = slices.iter().filter_map(ends).collect();
    let first = lives.iter().map(|life| life.0).min().unwrap_or(0);
    let last = lives.iter().map(|life| life.1).max().unwrap_or(0);
    let is_there = |(came, went): (u16, u16), slice: u16| {
        (came < slice || came == first && slice == first) && (slice < went || went == last && slice == last)
    };
    let mut sums = vec![(0.0, 0.0, 0.0); members.len()];
    for slice in first..=last {
        let there: Vec<usize> = (0..lives.len()).filter(|at| is_there(lives[*at], slice)).collect();
        let calls = |at: usize| slices[at].get(&slice).copied().unwrap_or(0.0);
        let equal = there.iter().map(|at| calls(*at)).sum::<f64>() / there.len() as f64;
        for at in there.iter().filter(|_| there.len() > 1) {
            let (observed, expected, variance) = &mut sums[*at];
            *observed += calls(*at);
            *expected += equal;
            *variance += equal * (1.0 - 1.0 / there.len() as f64);
        }
    }
    for (at, (observed, expected, variance)) in members.iter().zip(sums).filter(|(_, sums)| sums.1 > 0.0) {
        counts[*at] = Some(Count { observed, expected, others: variance / expected });
    }
}
