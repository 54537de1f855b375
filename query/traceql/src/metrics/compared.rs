//! `compare()`: how often each value of each attribute is among the selected spans, and among the others.
//!
//! Attributes are those of spans and resources, and the intrinsics by which spans are told apart. Totals beside the counts
//! say how many spans have the attribute at all, so that shares can be told.

use std::collections::{BTreeMap, HashMap};

use super::lines::Line;
use crate::trace::Trace;
use crate::tree::{Field, Intrinsic, Scope};
use crate::value::{Key, Value};

const INTRINSICS: [Intrinsic; 6] = [
    Intrinsic::Name,
    Intrinsic::Kind,
    Intrinsic::Status,
    Intrinsic::StatusMessage,
    Intrinsic::RootName,
    Intrinsic::RootService,
];

/// Bytes of a value's entry beside its counts: guess, not measured.
const ENTRY_BYTES: usize = 160;

/// Counts by step.
type Counts = Vec<u64>;

/// Counts of the values of each attribute.
#[derive(Debug, Clone, Default)]
pub(super) struct Compared {
    baseline: BTreeMap<Field, HashMap<Key<'static>, Counts>>,
    selection: BTreeMap<Field, HashMap<Key<'static>, Counts>>,
}

impl Compared {
    /// Counts a span; gives bytes that this takes more.
    pub(super) fn add(
        &mut self,
        trace: &Trace<'_>,
        at: usize,
        is_selected: bool,
        step: usize,
        steps: usize,
    ) -> usize {
        let fields = if is_selected { &mut self.selection } else { &mut self.baseline };
        let mut bytes = 0;
        let mut count = |field: Field, value: Value<'_>| {
            if value == Value::Nil || value == Value::text("") {
                return;
            }
            let values = fields.entry(field).or_default();
            let counts = values.entry(Key(value.into_owned())).or_insert_with(|| {
                bytes += ENTRY_BYTES + steps * size_of::<u64>();
                vec![0; steps]
            });
            counts[step] += 1;
        };
        for intrinsic in INTRINSICS {
            let field = Field::intrinsic(intrinsic);
            let value = trace.field(&field, at);
            count(field, value);
        }
        for scope in [Scope::Span, Scope::Resource] {
            trace.spans.for_each_attribute(at, scope, &mut |key, value| {
                count(Field::attribute(scope, key), value);
            });
        }
        bytes
    }

    /// Adds the counts of other spans; gives bytes that this takes more.
    pub(super) fn merge(&mut self, other: Compared) -> usize {
        let mut bytes = 0;
        let sides = [(&mut self.baseline, other.baseline), (&mut self.selection, other.selection)];
        for (own, others) in sides {
            for (field, values) in others {
                let own = own.entry(field).or_default();
                for (value, counts) in values {
                    let held = own.entry(value).or_insert_with(|| {
                        bytes += ENTRY_BYTES + counts.len() * size_of::<u64>();
                        vec![0; counts.len()]
                    });
                    held.iter_mut().zip(counts).for_each(|(held, count)| *held += count);
                }
            }
        }
        bytes
    }

    /// For each attribute the series of its most frequent values, of its total, and of a note if there are more.
    pub(super) fn lines(self, values_max: usize) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut too_many: BTreeMap<Field, Counts> = BTreeMap::new();
        for (group, fields) in [("baseline", self.baseline), ("selection", self.selection)] {
            for (field, values) in fields {
                let total = sum(values.values());
                let is_more = values.len() > values_max;
                for (value, counts) in most_frequent(values, values_max) {
                    lines.push(line("__meta_type", group, &field, value.0, &counts));
                }
                lines.push(line("__meta_type", &format!("{group}_total"), &field, Value::Nil, &total));
                if is_more {
                    let held = too_many.entry(field).or_insert_with(|| vec![0; total.len()]);
                    held.iter_mut().zip(total).for_each(|(held, count)| *held += count);
                }
            }
        }
        for (field, total) in too_many {
            lines.push(line("__meta_error", "__too_many_values__", &field, Value::Nil, &total));
        }
        lines
    }
}

fn sum<'c>(counts: impl Iterator<Item = &'c Counts>) -> Counts {
    let mut total = Counts::new();
    for counts in counts {
        total.resize(counts.len(), 0);
        total.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
    }
    total
}

/// Of equally frequent ones those that come first in order.
fn most_frequent(values: HashMap<Key<'static>, Counts>, most: usize) -> Vec<(Key<'static>, Counts)> {
    let mut sorted: Vec<_> = values.into_iter().collect();
    sorted.sort_by(|(a, of_a), (b, of_b)| {
        let [a_count, b_count] = [of_a, of_b].map(|counts| counts.iter().sum::<u64>());
        b_count.cmp(&a_count).then_with(|| a.0.total_order(&b.0))
    });
    sorted.truncate(most);
    sorted
}

fn line(meta: &str, word: &str, field: &Field, value: Value<'static>, counts: &[u64]) -> Line {
    let word = Value::Text(word.to_owned().into());
    Line {
        labels: vec![(meta.to_owned(), word), (field.to_string(), value)],
        values: counts.iter().map(|count| Some(*count as f64)).collect(),
        exemplars: Vec::new(),
    }
}
