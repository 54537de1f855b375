//! Which stems of an index matchers ask for: a matcher is asked once a label's value, not once a stem.
//!
//! Numbers of pairs and classes hold as long as the index does, so that answers are remembered by number for one question. Where all
//! stems of a class that a file has are wanted, or none, which their labels tell together, no stem is looked at.

use std::collections::BTreeMap;

use meshlake_promql::Matcher;

use super::asked::{Asked, SPREAD};
use super::known::{ClassEntries, Index};
use super::stems::Shape;

/// What a pair means to matchers; that of a pair which was not looked at is [`Verdict::Unknown`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Verdict {
    #[default]
    Unknown,
    /// No matcher is of the label.
    Unasked,
    Refused,
    /// Asked for, and so is a series without the label.
    Passed,
    /// Asked for, and a series without the label is not.
    PassedAndNeeded,
}

/// Which stems of a class in a file have labels that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    None,
    /// Each has to be looked at.
    Some,
    All,
}

/// The matchers of one label.
#[derive(Debug)]
struct OfLabel<'a> {
    /// The label's number in the index; none if no series has it.
    name: Option<u32>,
    matchers: Vec<&'a Matcher>,
    /// Whether a series without the label is asked for.
    may_lack: bool,
}

/// The matchers of labels, by label.
#[derive(Debug)]
struct ByLabel<'a> {
    labels: Vec<OfLabel<'a>>,
    /// Labels that a series must have.
    needed: usize,
    verdicts: Vec<Verdict>,
}

impl<'a> ByLabel<'a> {
    fn of(matchers: impl Iterator<Item = &'a Matcher>, index: &Index) -> Self {
        let mut by_label: BTreeMap<&str, Vec<&Matcher>> = BTreeMap::new();
        matchers.for_each(|matcher| by_label.entry(&matcher.name).or_default().push(matcher));
        let of_label = |(name, matchers): (&str, Vec<&'a Matcher>)| OfLabel {
            name: index.text_number(name),
            may_lack: matches(&matchers, ""),
            matchers,
        };
        let labels: Vec<OfLabel<'a>> = by_label.into_iter().map(of_label).collect();
        let needed = labels.iter().filter(|label| !label.may_lack).count();
        ByLabel { labels, needed, verdicts: vec![Verdict::Unknown; index.pair_count()] }
    }

    /// Whether labels of a stem are asked for.
    fn has(&mut self, index: &Index, pairs: &[u32]) -> bool {
        if self.labels.is_empty() {
            return true;
        }
        let mut needed = 0;
        for pair in pairs {
            match self.verdict(index, *pair) {
                Verdict::Refused => return false,
                Verdict::PassedAndNeeded => needed += 1,
                Verdict::Unknown | Verdict::Unasked | Verdict::Passed => {}
            }
        }
        needed == self.needed
    }

    /// What is known of stems that have any of `pairs` and no others, and all of which have the labels `common`.
    fn which(&mut self, index: &Index, pairs: &[u32], common: &[u32]) -> Which {
        let mut met = vec![(false, false); self.labels.len()];
        for pair in pairs {
            let verdict = self.verdict(index, *pair);
            if verdict == Verdict::Unasked {
                continue;
            }
            let (name, _) = index.pair_numbers(*pair);
            let label = self.labels.iter().position(|label| label.name == Some(name));
            if let Some((passes, refuses)) = label.and_then(|at| met.get_mut(at)) {
                *passes |= verdict != Verdict::Refused;
                *refuses |= verdict == Verdict::Refused;
            }
        }
        let is_common = |label: &OfLabel<'_>| label.name.is_some_and(|name| common.contains(&name));
        let mut labels = self.labels.iter().zip(&met);
        if labels.clone().any(|(label, (passes, _))| !passes && (!label.may_lack || is_common(label))) {
            return Which::None;
        }
        let are_all = labels.all(|(label, (_, refuses))| !refuses && (label.may_lack || is_common(label)));
        if are_all { Which::All } else { Which::Some }
    }

    fn verdict(&mut self, index: &Index, pair: u32) -> Verdict {
        match self.verdicts[pair as usize] {
            Verdict::Unknown => self.judged(index, pair),
            known => known,
        }
    }

    fn judged(&mut self, index: &Index, pair: u32) -> Verdict {
        let (name, value) = (index.pair_numbers(pair).0, index.pair(pair).1);
        let verdict = match self.labels.iter().find(|label| label.name == Some(name)) {
            None => Verdict::Unasked,
            Some(label) if !matches(&label.matchers, value) => Verdict::Refused,
            Some(label) if label.may_lack => Verdict::Passed,
            Some(_) => Verdict::PassedAndNeeded,
        };
        self.verdicts[pair as usize] = verdict;
        verdict
    }
}

fn matches(matchers: &[&Matcher], value: &str) -> bool {
    matchers.iter().all(|matcher| matcher.matches(value))
}

/// Chooses stems for one question.
#[derive(Debug)]
pub struct Chooser<'a> {
    asked: &'a Asked<'a>,
    /// Of stems that are one series each.
    whole: ByLabel<'a>,
    /// Of stems whose series are told apart by labels that the stem does not have.
    spread: ByLabel<'a>,
    /// By class, whether some name of its series is asked for.
    names: Vec<Option<bool>>,
}

impl<'a> Chooser<'a> {
    pub fn new(asked: &'a Asked<'a>, index: &Index) -> Self {
        let of_labels = asked.of_labels();
        let unspread = of_labels.clone().filter(|matcher| !SPREAD.contains(&matcher.name.as_str()));
        Chooser {
            asked,
            spread: ByLabel::of(unspread, index),
            whole: ByLabel::of(of_labels, index),
            names: vec![None; index.class_count()],
        }
    }

    /// Which stems of a class in a file, of those that a file has, have series with labels that are asked for.
    pub fn which(&mut self, index: &Index, of_class: &ClassEntries<'_>) -> Which {
        match of_class.pairs() {
            Some((pairs, common)) => self.whole.which(index, pairs, common),
            None => Which::Some,
        }
    }

    /// Whether some series of the class may be asked for, by name.
    pub fn has_class(&mut self, index: &Index, class: u32) -> bool {
        let known = &mut self.names[class as usize];
        *known.get_or_insert_with(|| {
            let (family, endings) = (index.family(class), index.class(class).shape.endings());
            endings.iter().any(|ending| self.asked.has_name(&format!("{family}{ending}")))
        })
    }

    /// Whether some series of the stem may be asked for; of one that is one series, whether it is.
    pub fn has_stem(&mut self, index: &Index, stem: u32) -> bool {
        let class = index.class_of(stem);
        let by_label = match index.class(class).shape {
            Shape::Classic | Shape::Summary => &mut self.spread,
            Shape::Number | Shape::Native => &mut self.whole,
        };
        by_label.has(index, index.labels_of(stem)) && self.has_class(index, class)
    }
}
