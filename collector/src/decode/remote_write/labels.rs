//! Labels of a series: checked, in order, the name of the metric and of its target apart.
//!
//! Both specifications want labels sorted, each name once and none empty. Senders that keep labels in hash maps send them
//! in any order, which changes nothing about the series, so they are sorted here. A label with an empty value is in
//! Prometheus's data model the same as none. All else that is wrong would make another series of it, so that the series is
//! rejected.

use super::LABELS_MAX;
use crate::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::tally::RejectReason;

const METRIC_NAME: &[u8] = b"__name__";
const JOB: &str = "job";
const INSTANCE: &str = "instance";

/// A label as it lies in the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
}

/// Labels as they are being read. What is beyond the most that a series may have is not kept.
#[derive(Debug, Default)]
pub(super) struct LabelList<'a> {
    labels: Vec<Label<'a>>,
    /// Why they cannot be labels, where reading them has shown it.
    pub(super) broken: Option<RejectReason>,
}

impl<'a> LabelList<'a> {
    pub(super) fn clear(&mut self) {
        self.labels.clear();
        self.broken = None;
    }

    pub(super) fn push(&mut self, label: Label<'a>) {
        // One more for the name of the metric.
        if self.labels.len() > LABELS_MAX {
            self.broken = Some(RejectReason::TooManyLabels);
            return;
        }
        self.labels.push(label);
    }

    /// Proves that they are labels: text, each name once, none of them empty; leaves out those without a value, and
    /// sorts the others.
    ///
    /// # Errors
    /// Why they are not.
    pub(super) fn checked(&mut self) -> Result<&[Label<'a>], RejectReason> {
        if let Some(reason) = self.broken {
            return Err(reason);
        }
        if !self.labels.is_sorted_by(|a, b| a.name < b.name) {
            self.labels.sort_by_key(|label| label.name);
        }
        for (at, Label { name, value }) in self.labels.iter().enumerate() {
            let is_text = std::str::from_utf8(name).is_ok() && std::str::from_utf8(value).is_ok();
            let is_repeated = self.labels.get(at + 1).is_some_and(|next| next.name == *name);
            if name.is_empty() || is_repeated || !is_text {
                return Err(RejectReason::BadLabel);
            }
            if name.len() > KEY_BYTES_MAX || value.len() > VALUE_BYTES_MAX {
                return Err(RejectReason::LabelTooLong);
            }
        }
        self.labels.retain(|label| !label.value.is_empty());
        Ok(&self.labels)
    }
}

/// A series by its labels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity<'l, 'a> {
    pub(super) metric_name: &'a str,
    /// Empty where there is none.
    pub(super) job: &'a str,
    pub(super) instance: &'a str,
    before_name: &'l [Label<'a>],
    behind_name: &'l [Label<'a>],
}

impl<'l, 'a> Identity<'l, 'a> {
    /// # Errors
    /// Why the labels are those of no series.
    pub(super) fn of(labels: &'l mut LabelList<'a>) -> Result<Self, RejectReason> {
        let labels = labels.checked()?;
        let at = labels
            .binary_search_by_key(&METRIC_NAME, |label| label.name)
            .map_err(|_| RejectReason::MissingMetricName)?;
        let (before_name, behind_name) = (&labels[..at], &labels[at + 1..]);
        let mut identity =
            Identity { metric_name: text(labels[at].value), job: "", instance: "", before_name, behind_name };
        for (name, value) in identity.labels() {
            match name {
                JOB => identity.job = value,
                INSTANCE => identity.instance = value,
                _ => {}
            }
        }
        Ok(identity)
    }

    /// All but the name of the metric, in order.
    pub(super) fn labels(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'l, 'a> {
        let labels = self.before_name.iter().chain(self.behind_name);
        labels.map(|label| (text(label.name), text(label.value)))
    }
}

/// Bytes of a label that was checked.
pub(super) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("labels are checked before they are used")
}
