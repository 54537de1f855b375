//! Which rows of a trace's tree are seen: all of them, or those that were searched for with what is above them; and none below a
//! span that is closed.

use std::collections::HashSet;

use meshlake_query::tree::Placed;

/// A row that is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its place in the tree.
    pub at: usize,
    /// It was searched for, and not only something below it.
    pub is_match: bool,
    /// Spans below it, seen or not.
    pub below: usize,
    /// What is below it is hidden.
    pub is_closed: bool,
}

/// The rows that are seen, in the tree's order. `matching` tells of each span, by its place among the spans, whether it was
/// searched for; `is_closed` whether it is closed.
pub fn visible(placed: &[Placed], matching: Option<&[bool]>, is_closed: impl Fn(usize) -> bool) -> Vec<Seen> {
    let below = below(placed);
    let wanted = matching.map(|matching| with_ancestors(placed, matching));
    let mut seen = Vec::new();
    let mut at = 0;
    while at < placed.len() {
        let is_match = matching.is_some_and(|matching| matching[placed[at].span]);
        if wanted.as_ref().is_some_and(|wanted| !wanted.contains(&at)) {
            at += 1;
            continue;
        }
        let is_closed = below[at] > 0 && is_closed(placed[at].span);
        seen.push(Seen { at, is_match, below: below[at], is_closed });
        at += 1 + if is_closed { below[at] } else { 0 };
    }
    seen
}

/// How many spans are below each.
fn below(placed: &[Placed]) -> Vec<usize> {
    let mut below = vec![0; placed.len()];
    let mut above: Vec<usize> = Vec::new();
    for at in 0..placed.len() {
        close(&mut above, &mut below, placed, placed[at].depth, at);
        above.push(at);
    }
    close(&mut above, &mut below, placed, 0, placed.len());
    below
}

/// Ends those that are at `depth` or deeper.
fn close(above: &mut Vec<usize>, below: &mut [usize], placed: &[Placed], depth: u32, at: usize) {
    while let Some(last) = above.pop_if(|last| placed[*last].depth >= depth) {
        below[last] = at - last - 1;
    }
}

fn with_ancestors(placed: &[Placed], matching: &[bool]) -> HashSet<usize> {
    let mut wanted = HashSet::new();
    let mut above: Vec<usize> = Vec::new();
    for (at, place) in placed.iter().enumerate() {
        while above.pop_if(|last| placed[*last].depth >= place.depth).is_some() {}
        above.push(at);
        if matching[place.span] {
            // What is above one that is wanted is wanted already.
            wanted.extend(
                above.iter().rev().copied().take_while(|at| !wanted.contains(at)).collect::<Vec<_>>(),
            );
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree by depths; spans are numbered as they are placed.
    fn placed(depths: &[u32]) -> Vec<Placed> {
        let place = |(span, depth): (usize, &u32)| Placed {
            span,
            depth: *depth,
            is_orphan: false,
            self_nanos: 0,
            critical_nanos: 0,
        };
        depths.iter().enumerate().map(place).collect()
    }

    fn places(seen: &[Seen]) -> Vec<usize> {
        seen.iter().map(|seen| seen.at).collect()
    }

    #[test]
    fn what_is_below_a_closed_span_is_hidden() {
        let placed = placed(&[0, 1, 2, 2, 1, 0, 1]);
        let all = visible(&placed, None, |_| false);
        assert_eq!(all.iter().map(|seen| seen.below).collect::<Vec<_>>(), [4, 2, 0, 0, 0, 1, 0]);
        assert_eq!(places(&visible(&placed, None, |span| span == 1)), [0, 1, 4, 5, 6]);
        assert_eq!(places(&visible(&placed, None, |span| span == 0 || span == 6)), [0, 5, 6]);
        assert_eq!(places(&visible(&placed, None, |_| true)), [0, 5]);
    }

    #[test]
    fn what_is_above_a_match_is_seen_with_it() {
        let placed = placed(&[0, 1, 2, 2, 1, 0, 1]);
        let matching = [false, false, false, true, false, false, true];
        let seen = visible(&placed, Some(&matching), |_| false);
        assert_eq!(places(&seen), [0, 1, 3, 5, 6]);
        assert_eq!(
            seen.iter().map(|seen| seen.is_match).collect::<Vec<_>>(),
            [false, false, true, false, true]
        );
        assert_eq!(visible(&placed, Some(&[false; 7]), |_| false), []);
    }
}
