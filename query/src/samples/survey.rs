//! Goes over all stems that have rows in a time, for names and labels of series without their samples.
//!
//! Of a stem that is one series it is asked once whether it is wanted. Of one that is several it is asked once a class, bounds
//! and sums, since a million histograms have few bounds; the few that have a label of their own by the name of one which tells
//! series apart are asked one by one.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use meshlake_promql::{Error, value_text};
use meshlake_schema::{Budget, TimeRange};

use super::asked::{Asked, SPREAD};
use super::choosing::{Chooser, Which};
use super::known::{Entries, Entry, Index};
use super::stems::Shape;

/// Entries between two looks at the time.
const ENTRIES_PER_LOOK: usize = 1 << 16;

/// One of the series of a stem: its ending, and the label that tells it apart.
pub type OneOf = (&'static str, Option<(&'static str, String)>);

/// What is the same in stems whose series are asked for alike: class, marks, whether there are sums.
type Alike = (u32, u32, bool);

/// The stems of one question.
pub struct Survey<'a> {
    asked: &'a Asked<'a>,
    range: TimeRange,
    entries: &'a [Arc<Entries>],
    budget: &'a dyn Budget,
    series: HashMap<Alike, Rc<Vec<OneOf>>>,
    /// By pair, whether it is of a label that tells series apart.
    is_spread: Vec<Option<bool>>,
}

impl<'a> Survey<'a> {
    pub fn new(
        asked: &'a Asked<'a>,
        range: TimeRange,
        entries: &'a [Arc<Entries>],
        budget: &'a dyn Budget,
    ) -> Self {
        Survey { asked, range, entries, budget, series: HashMap::new(), is_spread: Vec::new() }
    }

    /// Calls `told` with the stems that have series which are asked for, and with those series, until it says that it is
    /// enough; with a stem once for each list of its marks.
    ///
    /// # Errors
    /// When the time is up.
    pub fn each(&mut self, index: &Index, told: impl FnMut(&Entry, &[OneOf]) -> bool) -> Result<(), Error> {
        self.each_but(index, |_, _| false, told)
    }

    /// The same, but for stems that `whole` takes together: all of a class that a file has, each one series that is asked
    /// for. It is called with the class and the labels that any of them has, pairs by number.
    ///
    /// # Errors
    /// As [`Survey::each`].
    pub fn each_but(
        &mut self,
        index: &Index,
        mut whole: impl FnMut(u32, &[u32]) -> bool,
        mut told: impl FnMut(&Entry, &[OneOf]) -> bool,
    ) -> Result<(), Error> {
        let mut chooser = Chooser::new(self.asked, index);
        let mut seen = vec![false; index.stem_count()];
        let mut seen_spread = HashSet::new();
        let itself: [OneOf; 1] = [("", None)];
        let (entries, range) = (self.entries, self.range);
        let mut asked: Vec<&[Entry]> = Vec::new();
        for of_class in entries.iter().flat_map(|entries| entries.by_class()) {
            if !chooser.has_class(index, of_class.class) {
                continue;
            }
            let is_taken = match (chooser.which(index, &of_class), of_class.pairs()) {
                (Which::None, _) => true,
                (Which::All, Some((pairs, _))) => of_class.are_within(range) && whole(of_class.class, pairs),
                _ => false,
            };
            if !is_taken {
                asked.push(of_class.entries);
            }
        }
        for (number, entry) in asked.into_iter().flatten().enumerate() {
            if number % ENTRIES_PER_LOOK == 0 {
                self.budget.check_time()?;
            }
            if !entry.is_within(range) {
                continue;
            }
            let is_first = match entry.marks {
                Some(marks) => seen_spread.insert((entry.stem, marks, entry.has_sum)),
                None => !std::mem::replace(&mut seen[entry.stem as usize], true),
            };
            if !is_first || !chooser.has_stem(index, entry.stem) {
                continue;
            }
            let goes_on = match entry.marks {
                None => told(entry, &itself),
                Some(marks) => {
                    let series = self.series_of(index, entry, marks);
                    series.is_empty() || told(entry, &series)
                }
            };
            if !goes_on {
                break;
            }
        }
        Ok(())
    }

    fn series_of(&mut self, index: &Index, entry: &Entry, marks: u32) -> Rc<Vec<OneOf>> {
        let class = index.class_of(entry.stem);
        if index.labels_of(entry.stem).iter().any(|pair| self.is_spread(index, *pair)) {
            let stem = index.stem(entry.stem);
            let mut series = series(index, class, marks, entry.has_sum);
            series.retain(|(ending, more)| {
                let more = more.as_ref().map(|(label, value)| (*label, value.as_str()));
                self.asked.has_series(&stem, ending, more)
            });
            return Rc::new(series);
        }
        let asked = self.asked;
        let known = self.series.entry((class, marks, entry.has_sum)).or_insert_with(|| {
            let mut series = series(index, class, marks, entry.has_sum);
            series.retain(|(ending, more)| {
                let more = more.as_ref().map(|(label, value)| (*label, value.as_str()));
                asked.has_series_of(index.family(class), |_| "", ending, more)
            });
            Rc::new(series)
        });
        Rc::clone(known)
    }

    fn is_spread(&mut self, index: &Index, pair: u32) -> bool {
        self.is_spread.resize(index.pair_count(), None);
        let known = &mut self.is_spread[pair as usize];
        *known.get_or_insert_with(|| SPREAD.contains(&&**index.pair(pair).0))
    }
}

/// The series of a stem: their endings, and the labels that tell them apart.
fn series(index: &Index, class: u32, marks: u32, has_sum: bool) -> Vec<OneOf> {
    let (label, ending, infinite) = match index.class(class).shape {
        Shape::Classic => ("le", "_bucket", Some("+Inf".to_owned())),
        _ => ("quantile", "", None),
    };
    let own = index.marks(marks).filter(|mark| infinite.is_none() || *mark != f64::INFINITY);
    let told = own.map(value_text).collect::<Vec<_>>().into_iter().chain(infinite);
    let mut series: Vec<OneOf> = told.map(|value| (ending, Some((label, value)))).collect();
    series.push(("_count", None));
    series.extend(has_sum.then_some(("_sum", None)));
    series
}
