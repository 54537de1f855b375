//! Which stems of an index matchers ask for: a matcher is asked once a label's value, not once a stem.
//!
//! Numbers of pairs and classes hold as long as the index does, so that answers are remembered by number for one question.

use std::collections::BTreeMap;

use meshlake_promql::Matcher;

use super::asked::{Asked, SPREAD};
use super::known::Index;
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

/// The matchers of labels, by label.
#[derive(Debug)]
struct ByLabel<'a> {
    matchers: BTreeMap<&'a str, Vec<&'a Matcher>>,
    /// Labels that a series must have.
    needed: usize,
    verdicts: Vec<Verdict>,
}

impl<'a> ByLabel<'a> {
    fn of(matchers: impl Iterator<Item = &'a Matcher>) -> Self {
        let mut by_label: BTreeMap<&str, Vec<&Matcher>> = BTreeMap::new();
        matchers.for_each(|matcher| by_label.entry(&matcher.name).or_default().push(matcher));
        let is_needed = |matchers: &&Vec<&Matcher>| !matches(matchers, "");
        let needed = by_label.values().filter(is_needed).count();
        ByLabel { matchers: by_label, needed, verdicts: Vec::new() }
    }

    /// Whether labels of a stem are asked for.
    fn has(&mut self, index: &Index, pairs: &[u32]) -> bool {
        if self.matchers.is_empty() {
            return true;
        }
        self.verdicts.resize(index.pair_count(), Verdict::Unknown);
        let mut needed = 0;
        for pair in pairs {
            let verdict = match self.verdicts[*pair as usize] {
                Verdict::Unknown => self.judged(index, *pair),
                known => known,
            };
            match verdict {
                Verdict::Refused => return false,
                Verdict::PassedAndNeeded => needed += 1,
                Verdict::Unknown | Verdict::Unasked | Verdict::Passed => {}
            }
        }
        needed == self.needed
    }

    fn judged(&mut self, index: &Index, pair: u32) -> Verdict {
        let (name, value) = index.pair(pair);
        let verdict = match self.matchers.get(&**name) {
            None => Verdict::Unasked,
            Some(of_label) if !matches(of_label, value) => Verdict::Refused,
            Some(of_label) if matches(of_label, "") => Verdict::Passed,
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
    pub fn new(asked: &'a Asked<'a>) -> Self {
        let of_labels = asked.of_labels();
        Chooser {
            asked,
            spread: ByLabel::of(of_labels.clone().filter(|m| !SPREAD.contains(&m.name.as_str()))),
            whole: ByLabel::of(of_labels),
            names: Vec::new(),
        }
    }

    /// Whether nothing is asked for but names.
    pub fn asks_names_only(&self) -> bool {
        self.whole.matchers.is_empty()
    }

    /// Whether some series of the class may be asked for, by name.
    pub fn has_class(&mut self, index: &Index, class: u32) -> bool {
        self.names.resize(index.class_count(), None);
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
