//! Traces by how long they took, as bars whose ends are 1, 2 and 5 times a power of ten: durations of a mesh spread over decades,
//! and bars of one width in time would have all of them in the first.

use maud::{Markup, html};
use meshlake_query::traceql::FoundTrace;

use crate::duration;
use crate::ui::asked::Asked;
use crate::ui::bars::{Bar, Bars};

/// The bars of some traces.
pub fn bars(asked: &Asked, traces: &[FoundTrace]) -> Markup {
    let words = &asked.words().explore;
    let counted = counted(traces.iter().map(|trace| (trace.duration_nano, is_failed(trace))));
    let bar = |(low, high, counts): &(i64, i64, [u64; 2])| {
        let (min, max) = (duration::told(*low), duration::told(*high));
        Bar {
            href: asked.here(&[("min", Some(&min)), ("max", Some(&max))]),
            name: format!("{min} – {max}"),
            counts: counts.to_vec(),
        }
    };
    let told = |at: usize| counted.get(at).map(|(low, ..)| duration::told(*low)).unwrap_or_default();
    let end = counted.last().map(|(_, high, _)| duration::told(*high)).unwrap_or_default();
    let bars = Bars {
        title: words.durations,
        meaning: words.durations_mean,
        of: asked.words().duration,
        bands: vec![("ok", "good"), (words.failed, "bad")],
        bars: counted.iter().map(bar).collect(),
        ends: [told(0), told(counted.len() / 2), end].map(|end| html! { (end) }),
        range: ["min", "max"],
    };
    bars.draw(asked)
}

pub fn is_failed(trace: &FoundTrace) -> bool {
    trace.services.values().any(|stats| stats.errors > 0)
}

/// From the bar of the shortest to that of the longest: its ends, and traces that did not fail and that did.
fn counted(durations: impl Iterator<Item = (i64, bool)>) -> Vec<(i64, i64, [u64; 2])> {
    let durations: Vec<(i64, bool)> = durations.map(|(nanos, failed)| (nanos.max(0), failed)).collect();
    let Some(longest) = durations.iter().map(|(nanos, _)| *nanos).max() else { return Vec::new() };
    let shortest = durations.iter().map(|(nanos, _)| *nanos).min().unwrap_or_default();
    let edges = edges();
    let first = edges.partition_point(|edge| *edge <= shortest).saturating_sub(1).min(edges.len() - 2);
    let last = edges.partition_point(|edge| *edge <= longest).min(edges.len() - 1);
    let mut bars: Vec<(i64, i64, [u64; 2])> =
        edges[first..=last].windows(2).map(|pair| (pair[0], pair[1], [0; 2])).collect();
    for (nanos, failed) in durations {
        let at = bars.partition_point(|(low, ..)| *low <= nanos).saturating_sub(1);
        if let Some((_, _, counts)) = bars.get_mut(at) {
            counts[usize::from(failed)] += 1;
        }
    }
    bars
}

/// 0, a microsecond, and on by 1, 2, 5 up to what 64 bits hold.
fn edges() -> Vec<i64> {
    let powers = (3..=18).map(|power| 10_i64.pow(power));
    let steps =
        powers.flat_map(|power| [1, 2, 5].into_iter().filter_map(move |step| power.checked_mul(step)));
    [0].into_iter().chain(steps).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: i64 = 1_000_000;

    #[test]
    fn bars_reach_from_the_shortest_to_the_longest() {
        let got = counted([(3 * MILLI, false), (2 * MILLI, true), (14 * MILLI, false)].into_iter());
        let want = [
            (2 * MILLI, 5 * MILLI, [1, 1]),
            (5 * MILLI, 10 * MILLI, [0, 0]),
            (10 * MILLI, 20 * MILLI, [1, 0]),
        ];
        assert_eq!(got, want);
        assert_eq!(counted([].into_iter()), []);
        assert_eq!(counted([(0, false), (-5, false)].into_iter()), [(0, 1_000, [2, 0])]);
        let longest = counted([(i64::MAX, false)].into_iter());
        assert_eq!(longest.iter().map(|(.., counts)| counts[0]).sum::<u64>(), 1);
    }
}
