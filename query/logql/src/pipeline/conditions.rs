//! Conditions on labels.
//!
//! A value that does not read as what it is compared with is a mistake of the line (`LabelFilterErr`), which passes: nobody said
//! that it is not wanted. Of a line with a mistake no addresses are asked.

use super::labels::LabelSet;
use crate::matching::quantity;
use crate::tree::log::{Condition, Quantity};

/// Whether a line with these labels passes.
pub fn passes(condition: &Condition, labels: &mut LabelSet<'_>) -> bool {
    match condition {
        Condition::And(left, right) => passes(left, labels) && passes(right, labels),
        Condition::Or(left, right) => passes(left, labels) || passes(right, labels),
        Condition::Text(matcher) => matcher.matches(labels.get(&matcher.name).unwrap_or_default()),
        Condition::Quantity { label, comparison, value } => {
            let Some(text) = labels.get(label) else { return false };
            let (found, wanted) = match value {
                Quantity::Number(number) => (text.parse().ok(), *number),
                Quantity::Nanos(nanos) => (quantity::nanos(text).map(|nanos| nanos as f64), *nanos as f64),
                Quantity::Bytes(bytes) => (quantity::bytes(text), *bytes),
            };
            match found {
                Some(found) => comparison.holds(found, wanted),
                None => {
                    let details = format!("{label}: {text:?} does not read as what it is compared with");
                    labels.fail("LabelFilterErr", details);
                    true
                }
            }
        }
        Condition::Addresses { label, is_negated, addresses } => {
            if labels.has_error() {
                return true;
            }
            labels.get(label).is_some_and(|value| addresses.has(value) != *is_negated)
        }
    }
}
