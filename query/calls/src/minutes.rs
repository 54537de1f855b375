//! Which rows tell of a call: those of its minute and of the minutes around it, and no others.
//!
//! An answer may be made of cells that were settled long ago, or of rows, and must be the same. So what a call is found
//! to be must not depend on which other rows are read with it. Rows that belong together by their ids (a trace, the rows
//! of one request) are looked at for each minute of the clock, with those of the minute before and after; calls count
//! that start in it. Rows that lie in two minutes side by side at most look the same from both, so they are walked
//! once; only longer ones are walked minute by minute. What several such walks tell together (links, rows without ids,
//! connections) is joined over the minute before and after in turn, whence [`SETTLE_MARGIN_MINUTES`].
//!
//! Names are no exception: which service a name is depends on what else it is called, so in a walk it is told by the
//! parties of the rows of those minutes only. In an answer all its cells tell, whether they were read or folded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use meshlake_schema::{SETTLE_MARGIN_MINUTES, TimeRange, UnixNanos};

use crate::hashing::NumberMap;
use crate::party::{Parties, PartyId};
use crate::range::Range;
use crate::services::Services;

/// One minute of the clock, nanoseconds.
pub const MINUTE: i64 = 60_000_000_000;

const _: () = assert!(SETTLE_MARGIN_MINUTES == 2, "one for ids, one for what several of them tell together");

/// Parties of [`Services`] that are kept for scopes to come; some 300 bytes each. Scopes are few and come again for
/// every shard, but a range of days has thousands of them.
const PARTIES_KEPT_MAX: usize = 200_000;

/// Which minute of the clock a time lies in.
pub fn minute_of(time: i64) -> i64 {
    time.div_euclid(MINUTE)
}

/// When rows start that tell of the calls of a range.
pub fn rows_of(range: &Range) -> TimeRange {
    let first = minute_of(range.from().0).saturating_sub(SETTLE_MARGIN_MINUTES);
    let last = minute_of(range.to().0.saturating_sub(1)).saturating_add(SETTLE_MARGIN_MINUTES);
    let start = |minute: i64| UnixNanos(minute.saturating_mul(MINUTE));
    TimeRange { from: start(first), to: start(last.saturating_add(1)) }
}

/// Minutes in a row, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    pub first: i64,
    pub last: i64,
}

impl Scope {
    pub fn of(minute: i64) -> Scope {
        Scope { first: minute, last: minute }
    }

    /// A minute with the one before and after.
    pub fn around(minute: i64) -> Scope {
        Scope { first: minute.saturating_sub(1), last: minute.saturating_add(1) }
    }

    /// The minutes from the earliest to the latest of these times; none of no times.
    pub fn of_times(times: impl Iterator<Item = i64>) -> Option<Scope> {
        times.map(|time| Scope::of(minute_of(time))).reduce(Scope::joined)
    }

    #[must_use]
    pub fn joined(self, other: Scope) -> Scope {
        Scope { first: self.first.min(other.first), last: self.last.max(other.last) }
    }

    pub fn has(self, time: i64) -> bool {
        (self.first..=self.last).contains(&minute_of(time))
    }

    /// Whether every minute in it sees all of it.
    pub fn is_seen_whole(self) -> bool {
        self.last - self.first <= 1
    }
}

/// What counts of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counted {
    All,
    /// What starts in this minute.
    Minute(i64),
}

impl Counted {
    pub fn has(self, time: i64) -> bool {
        match self {
            Counted::All => true,
            Counted::Minute(minute) => minute_of(time) == minute,
        }
    }
}

/// The minutes in which what is found counts. Others are read for what they tell of these, and most rows there tell nothing.
#[derive(Debug, Clone, Default)]
pub struct CountedMinutes {
    /// Ascending and apart.
    minutes: Vec<Scope>,
}

impl CountedMinutes {
    /// The minutes of these times, which are ascending and apart.
    pub fn of(times: impl Iterator<Item = TimeRange>) -> CountedMinutes {
        let mut minutes: Vec<Scope> = Vec::new();
        for times in times.filter(|times| times.from < times.to) {
            let next =
                Scope { first: minute_of(times.from.0), last: minute_of(times.to.0.saturating_sub(1)) };
            match minutes.last_mut() {
                Some(last) if next.first <= last.last => *last = last.joined(next),
                _ => minutes.push(next),
            }
        }
        CountedMinutes { minutes }
    }

    /// Whether what is counted of a walk over `scope` lies in one of them, or at most `reach` minutes from one.
    pub fn are_met(&self, scope: Scope, counted: Counted, reach: i64) -> bool {
        let Scope { first, last } = match counted {
            Counted::All => scope,
            Counted::Minute(minute) => Scope::of(minute),
        };
        let next = self.minutes.partition_point(|minutes| minutes.last.saturating_add(reach) < first);
        self.minutes.get(next).is_some_and(|minutes| minutes.first.saturating_sub(reach) <= last)
    }
}

/// Rows that are looked at together, whose minutes they lie in, and what counts of them.
#[derive(Debug)]
pub struct Piece<T> {
    pub rows: Vec<T>,
    pub scope: Scope,
    pub counted: Counted,
}

/// Cuts rows into pieces; rows of one `group` belong together. Rows of groups with one scope are one piece.
pub fn cut<T: Copy>(
    rows: Vec<T>,
    group: impl Fn(&T) -> u64,
    start: impl Fn(&T) -> i64,
) -> impl Iterator<Item = Piece<T>> {
    let mut scopes: NumberMap<u64, Scope> = NumberMap::default();
    for row in &rows {
        let own = Scope::of(minute_of(start(row)));
        scopes.entry(group(row)).and_modify(|scope| *scope = scope.joined(own)).or_insert(own);
    }
    let mut pieces: BTreeMap<(Scope, Counted), Vec<T>> = BTreeMap::new();
    let mut long: BTreeMap<u64, Vec<T>> = BTreeMap::new();
    for row in rows {
        let scope = scopes[&group(&row)];
        if scope.is_seen_whole() {
            pieces.entry((scope, Counted::All)).or_default().push(row);
        } else {
            long.entry(group(&row)).or_default().push(row);
        }
    }
    for rows in long.into_values() {
        for (minute, scope, seen) in by_minute(&rows, &start) {
            pieces.entry((scope, Counted::Minute(minute))).or_default().extend(seen);
        }
    }
    pieces.into_iter().map(|((scope, counted), rows)| Piece { rows, scope, counted })
}

/// Each minute that `rows` of one group lie in, with the rows that it sees and the minutes of those.
pub fn by_minute<T: Copy>(
    rows: &[T],
    start: impl Fn(&T) -> i64 + Copy,
) -> impl Iterator<Item = (i64, Scope, Vec<T>)> {
    let mut of_minute: BTreeMap<i64, Vec<T>> = BTreeMap::new();
    for row in rows {
        of_minute.entry(minute_of(start(row))).or_default().push(*row);
    }
    let minutes: Vec<i64> = of_minute.keys().copied().collect();
    minutes.into_iter().map(move |minute| {
        let around = Scope::around(minute);
        let seen: Vec<T> =
            of_minute.range(around.first..=around.last).flat_map(|(_, rows)| rows).copied().collect();
        let scope = Scope::of_times(seen.iter().map(start)).unwrap_or(Scope::of(minute));
        (minute, scope, seen)
    })
}

/// Whose words say which service a name is. What is counted from one kind of rows must not depend on whether the
/// other was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Words {
    Requests,
    Spans,
    Both,
}

impl Words {
    /// The kinds of rows.
    pub fn kinds(self) -> &'static [Words] {
        match self {
            Words::Requests => &[Words::Requests],
            Words::Spans => &[Words::Spans],
            Words::Both => &[Words::Requests, Words::Spans],
        }
    }
}

/// Which parties the rows of each minute name, and the services that they are among themselves.
#[derive(Debug, Default)]
pub struct NamesByMinute {
    /// By minute and kind of row: a bit for each party.
    seen: NumberMap<(i64, Words), Vec<u64>>,
    /// The minutes in which more parties are named since somebody looked.
    changed: BTreeSet<i64>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    services: NumberMap<(Scope, Words), Arc<Services>>,
    parties: usize,
}

impl Kept {
    fn keep(&mut self, is_kept: impl Fn(&Scope) -> bool) {
        self.services.retain(|(scope, _), _| is_kept(scope));
        self.parties = self.services.values().map(|services| services.len()).sum();
    }
}

impl NamesByMinute {
    /// Remembers that a row of this kind which starts at `time` names these.
    pub fn see(&mut self, kind: Words, time: i64, parties: [PartyId; 2]) {
        let minute = minute_of(time);
        let seen = self.seen.entry((minute, kind)).or_default();
        for place in parties.map(PartyId::index) {
            if seen.len() <= place / 64 {
                seen.resize(place / 64 + 1, 0);
            }
            let (word, bit) = (&mut seen[place / 64], 1 << (place % 64));
            if *word & bit == 0 {
                *word |= bit;
                self.changed.insert(minute);
            }
        }
    }

    /// The minutes in which more parties are named since the last look. What services those are is found out anew.
    pub fn take_changed(&mut self) -> BTreeSet<i64> {
        let changed = std::mem::take(&mut self.changed);
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        kept.keep(|scope| changed.range(scope.first..=scope.last).next().is_none());
        changed
    }

    /// Lets go of what was named in the minutes before this one.
    pub fn forget_before(&mut self, minute: i64) {
        self.seen.retain(|(seen, _), _| *seen >= minute);
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        kept.keep(|scope| scope.first >= minute);
    }

    /// The services that parties of these minutes are; of others nothing may be asked.
    pub fn services(&self, scope: Scope, words: Words, parties: &Parties) -> Arc<Services> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(services) = kept.services.get(&(scope, words)) {
            return Arc::clone(services);
        }
        let minutes = words
            .kinds()
            .iter()
            .flat_map(|kind| (scope.first..=scope.last).map(move |minute| (minute, *kind)));
        let minutes: Vec<&[u64]> =
            minutes.filter_map(|minute| self.seen.get(&minute)).map(Vec::as_slice).collect();
        let is_seen = |party: PartyId| {
            let (word, bit) = (party.index() / 64, party.index() % 64);
            minutes.iter().any(|seen| seen.get(word).is_some_and(|word| word >> bit & 1 == 1))
        };
        let services = Arc::new(Services::resolve_among(parties, is_seen));
        kept.parties += services.len();
        if kept.parties > PARTIES_KEPT_MAX {
            *kept = Kept { parties: services.len(), ..Kept::default() };
        }
        kept.services.insert((scope, words), Arc::clone(&services));
        services
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::party::{Marks, PartyName};

    /// Pieces of (group, minute) rows as `scope counted rows`, sorted.
    fn pieces(rows: &[(u64, i64)]) -> Vec<String> {
        let told = cut(rows.to_vec(), |row| row.0, |row| row.1 * MINUTE).map(|piece| {
            let Piece { scope, counted, mut rows } = piece;
            rows.sort_unstable();
            format!("{}..{} {counted:?} {rows:?}", scope.first, scope.last)
        });
        told.collect()
    }

    /// From 10:00:50 to 10:01:10: minutes 0 and 1 of the hour, and two more on both sides.
    #[test]
    fn whole_minutes_are_read_and_two_around_them() {
        let at = |second: i64| UnixNanos(second * 1_000_000_000);
        let range = Range::new(at(36_050), at(36_070), None).expect("not empty");
        assert_eq!(rows_of(&range), TimeRange { from: at(35_880), to: at(36_240) });
        let minute = Range::new(at(36_000), at(36_060), None).expect("not empty");
        assert_eq!(rows_of(&minute), TimeRange { from: at(35_880), to: at(36_180) });
    }

    #[test]
    fn what_two_minutes_hold_is_looked_at_once() {
        let got = pieces(&[(1, 5), (1, 6), (2, 5), (3, 6), (3, 5), (2, 5)]);
        assert_eq!(got, ["5..5 All [(2, 5), (2, 5)]", "5..6 All [(1, 5), (1, 6), (3, 5), (3, 6)]"]);
    }

    #[test]
    fn what_is_longer_is_looked_at_from_each_of_its_minutes() {
        let got = pieces(&[(1, 5), (1, 7), (1, 6), (1, 20)]);
        assert_eq!(
            got,
            [
                "5..6 Minute(5) [(1, 5), (1, 6)]",
                "5..7 Minute(6) [(1, 5), (1, 6), (1, 7)]",
                "6..7 Minute(7) [(1, 6), (1, 7)]",
                "20..20 Minute(20) [(1, 20)]",
            ]
        );
    }

    #[test]
    fn what_counts_in_no_minute_that_is_asked_for_is_passed_over() {
        let times = |from: i64, to: i64| TimeRange { from: UnixNanos(from), to: UnixNanos(to) };
        // Minutes 5, 6 and 9; the ends are not of whole minutes.
        let asked = [
            times(5 * MINUTE + 1, 6 * MINUTE + 1),
            times(7 * MINUTE, 7 * MINUTE),
            times(9 * MINUTE, 10 * MINUTE),
        ];
        let minutes = CountedMinutes::of(asked.into_iter());
        let met = |first, last, reach| minutes.are_met(Scope { first, last }, Counted::All, reach);
        assert_eq!(
            [4, 5, 6, 7, 8, 9, 10].map(|minute| met(minute, minute, 0)),
            [false, true, true, false, false, true, false]
        );
        assert_eq!(
            [3, 4, 7, 8, 10, 11].map(|minute| met(minute, minute, 1)),
            [false, true, true, true, true, false]
        );
        assert!(met(7, 9, 0) && met(0, 100, 0) && !met(7, 8, 0));
        assert!(
            !minutes.are_met(Scope { first: 5, last: 8 }, Counted::Minute(7), 0),
            "only that minute counts"
        );
        let all = CountedMinutes::of([TimeRange::ALL].into_iter());
        assert!(all.are_met(Scope::of(0), Counted::All, 0) && all.are_met(Scope::of(0), Counted::All, 1));
    }

    #[test]
    fn a_name_means_what_the_rows_of_those_minutes_say() {
        let mut parties = Parties::default();
        let bare = PartyName { name: "api", ..PartyName::default() };
        let mut intern = |namespace| parties.intern(&PartyName { namespace, ..bare }, Marks::NONE);
        let [api, shop, bank] = [None, Some("shop"), Some("bank")].map(&mut intern);
        let mut names = NamesByMinute::default();
        names.see(Words::Spans, 0, [api, shop]);
        names.see(Words::Spans, MINUTE, [api, bank]);
        names.see(Words::Requests, 0, [api, bank]);
        let is_shops = |scope, words| {
            let services = names.services(scope, words, &parties);
            services.of(api) == services.of(shop)
        };
        let by_spans = Words::Spans;
        assert!(is_shops(Scope::of(0), by_spans));
        assert!(!is_shops(Scope { first: 0, last: 1 }, by_spans), "two namespaces know the name");
        assert!(!is_shops(Scope::of(1), by_spans));
        assert!(!is_shops(Scope::of(0), Words::Both));
    }
}
