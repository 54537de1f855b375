//! When a rollout was, and what is before and after it.

use std::time::Duration;

use crate::Range;

/// How long after one instance came or went the next may do so in the same rollout: what a pod takes to start and become
/// ready. Guess, not measured.
const PAUSE_MAX: Duration = Duration::from_secs(120);

/// How long before the first instance came or went, and after the last, calls may be lost to it: longer than most calls
/// take, and than callers' proxies take to learn of an instance. Guess, not measured.
const MARGIN: Duration = Duration::from_secs(30);

/// How much before and after a rollout says what is usual.
const BASELINE: Duration = Duration::from_secs(600);

/// An instance came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// The bucket of its first call, or of its last.
    pub bucket: u16,
    pub is_coming: bool,
    /// Place among lives.
    pub life: usize,
}

/// Buckets from `first` on, before `end`; perhaps none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub first: u16,
    pub end: u16,
}

impl Period {
    pub fn has(&self, bucket: u16) -> bool {
        (self.first..self.end).contains(&bucket)
    }
}

/// One rollout. No period overlaps that in which another rollout was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Periods {
    /// In order of time.
    pub events: Vec<Event>,
    pub before: Period,
    pub during: Period,
    pub after: Period,
}

impl Periods {
    /// The rollouts that `events`, in order of time, are; in order of time. The range has a step.
    pub fn of(events: &[Event], range: &Range) -> Vec<Periods> {
        let buckets = |time: Duration| buckets(time, range);
        let count = count(range);
        let mut groups: Vec<(Vec<Event>, Period)> = Vec::new();
        for event in events {
            let first = event.bucket.saturating_sub(buckets(MARGIN));
            let end = (event.bucket + 1).saturating_add(buckets(MARGIN)).min(count);
            match groups.last_mut() {
                Some((held, during)) if is_soon(held, event, buckets(PAUSE_MAX)) || first < during.end => {
                    held.push(*event);
                    during.end = during.end.max(end);
                }
                _ => groups.push((vec![*event], Period { first, end })),
            }
        }
        let during: Vec<Period> = groups.iter().map(|(_, during)| *during).collect();
        let periods = groups.into_iter().enumerate().map(|(at, (events, own))| {
            let previous = at.checked_sub(1).map_or(0, |at| during[at].end);
            let next = during.get(at + 1).map_or(count, |next| next.first);
            let baseline = buckets(BASELINE);
            Periods {
                events,
                before: Period { first: own.first.saturating_sub(baseline).max(previous), end: own.first },
                after: Period { first: own.end, end: own.end.saturating_add(baseline).min(next) },
                during: own,
            }
        });
        periods.collect()
    }
}

fn is_soon(held: &[Event], event: &Event, pause: u16) -> bool {
    held.last().is_some_and(|last| event.bucket - last.bucket <= pause)
}

/// How many whole steps a time takes, at least one.
fn buckets(time: Duration, range: &Range) -> u16 {
    let step = range.step().unwrap_or(time).as_nanos().max(1);
    u16::try_from(time.as_nanos().div_ceil(step)).unwrap_or(u16::MAX)
}

/// How many buckets the range has.
pub fn count(range: &Range) -> u16 {
    let step = range.step().map_or(1, |step| step.as_nanos() as i64);
    let buckets = (range.to().0 - range.from().0).div_euclid(step);
    let rest = (range.to().0 - range.from().0).rem_euclid(step);
    u16::try_from(buckets + i64::from(rest > 0)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use meshlake_schema::UnixNanos;

    use super::*;

    /// An hour in steps of ten seconds.
    fn range() -> Range {
        let at = |second: i64| UnixNanos(second * 1_000_000_000);
        Range::new(at(36_000), at(39_600), Some(Duration::from_secs(10))).expect("not empty")
    }

    fn periods(buckets: &[u16]) -> Vec<[(u16, u16); 3]> {
        let event = |(life, bucket): (usize, &u16)| Event { bucket: *bucket, is_coming: true, life };
        let events: Vec<Event> = buckets.iter().enumerate().map(event).collect();
        let told = |periods: &Periods| {
            [periods.before, periods.during, periods.after].map(|period| (period.first, period.end))
        };
        Periods::of(&events, &range()).iter().map(told).collect()
    }

    /// 30 s are 3 steps, 120 s are 12, ten minutes are 60.
    #[test]
    fn what_comes_soon_after_is_one_rollout() {
        assert_eq!(periods(&[100, 112]), [[(37, 97), (97, 116), (116, 176)]]);
        let two = [[(37, 97), (97, 104), (104, 110)], [(104, 110), (110, 117), (117, 177)]];
        assert_eq!(periods(&[100, 113]), two);
    }

    #[test]
    fn periods_end_where_the_range_does() {
        assert_eq!(periods(&[2, 358]), [[(0, 0), (0, 6), (6, 66)], [(295, 355), (355, 360), (360, 360)]]);
        assert_eq!(periods(&[]), Vec::<[(u16, u16); 3]>::new());
    }
}
