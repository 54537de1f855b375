//! What has to be read of a line besides its stream and text.
//!
//! Attributes are most of a stored row, and most questions name none: who reads rows asks here first.

use std::collections::BTreeSet;

use crate::tree::log::{Assigned, Condition, Log, Named, Stage};

/// Which labels that are stored beside lines can change an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted<'q> {
    /// Any.
    All,
    /// Those.
    Names(BTreeSet<&'q str>),
}

impl<'q> Wanted<'q> {
    pub fn has(&self, name: &str) -> bool {
        match self {
            Wanted::All => true,
            Wanted::Names(names) => names.contains(name),
        }
    }

    /// With other names.
    #[must_use]
    pub fn and(mut self, others: impl IntoIterator<Item = &'q str>) -> Wanted<'q> {
        if let Wanted::Names(names) = &mut self {
            names.extend(others);
        }
        self
    }
}

/// What the stages of a query may look at. Parsers look at all names, as what they find is called otherwise where one is
/// there already; templates may name any.
pub fn wanted(log: &Log) -> Wanted<'_> {
    let mut names = BTreeSet::new();
    for stage in &log.stages {
        match stage {
            Stage::Lines(_) | Stage::Decolorize => {}
            Stage::Drop(named) | Stage::Keep(named) => names.extend(named.iter().map(Named::label)),
            Stage::Labels(condition) => of_condition(condition, &mut names),
            Stage::LabelFormat(assignments) => {
                for assignment in assignments {
                    let Assigned::Label(source) = &assignment.value else { return Wanted::All };
                    names.extend([source.as_str(), assignment.label.as_str()]);
                }
            }
            Stage::Parse(_) | Stage::LineFormat(_) => return Wanted::All,
        }
    }
    Wanted::Names(names)
}

fn of_condition<'q>(condition: &'q Condition, names: &mut BTreeSet<&'q str>) {
    match condition {
        Condition::And(left, right) | Condition::Or(left, right) => {
            of_condition(left, names);
            of_condition(right, names);
        }
        Condition::Text(matcher) => {
            names.insert(&matcher.name);
        }
        Condition::Quantity { label, .. } | Condition::Addresses { label, .. } => {
            names.insert(label);
        }
    }
}
