//! Exemplars that are sent apart from the samples of their series.
//!
//! Prometheus's log keeps samples and exemplars as entries of their own, and its sender makes of each a series of its own
//! with the same labels, mostly in one request. So the exemplars of series without samples are looked for first, and
//! stand on the row of the first sample of their series. Where a request has no sample of it, they get a row
//! without a value.

use std::collections::HashMap;

use super::exemplars::exemplars_of;
use super::labels::{Identity, LabelList};
use super::names::SeriesNames;
use super::series::{Payload, SAMPLES_FIELD};
use crate::protobuf::wire::{Fields, WireError};

/// The series of a payload that have exemplars and no samples.
#[derive(Debug, Default)]
pub(super) struct Orphans<'a> {
    /// Their messages in the order sent; `None` once their exemplars stand on a row.
    messages: Vec<Option<&'a [u8]>>,
    /// Where they are, by the id of the series. Those whose labels are broken are in none.
    by_series: HashMap<i64, Vec<usize>>,
}

impl<'a> Orphans<'a> {
    /// # Errors
    /// A payload that was not validated.
    pub(super) fn find(payload: &Payload<'a>) -> Result<Self, WireError> {
        let mut orphans = Orphans::default();
        let (mut names, mut labels) = (SeriesNames::default(), LabelList::default());
        for message in payload.series() {
            let message = message?;
            if !is_orphan(message, payload)? {
                continue;
            }
            payload.read_labels(message, &mut labels)?;
            if let Ok(identity) = Identity::of(&mut labels) {
                let at = orphans.messages.len();
                orphans.by_series.entry(names.series_id(&identity)).or_default().push(at);
            }
            orphans.messages.push(Some(message));
        }
        Ok(orphans)
    }

    /// Takes the exemplars of a series, of which there is a row now.
    ///
    /// # Errors
    /// A payload that was not validated.
    pub(super) fn take(
        &mut self,
        series_id: i64,
        payload: &Payload<'a>,
        exemplars: &mut Vec<&'a [u8]>,
    ) -> Result<(), WireError> {
        if self.messages.is_empty() {
            return Ok(());
        }
        for at in self.by_series.remove(&series_id).unwrap_or_default() {
            if let Some(message) = self.messages[at].take() {
                for exemplar in exemplars_of(message, payload) {
                    exemplars.push(exemplar?);
                }
            }
        }
        Ok(())
    }

    /// Those that stand on no row.
    pub(super) fn left(self) -> impl Iterator<Item = &'a [u8]> {
        self.messages.into_iter().flatten()
    }
}

fn is_orphan(message: &[u8], payload: &Payload<'_>) -> Result<bool, WireError> {
    let (exemplars, histograms) = (payload.version.exemplars_field(), payload.version.histograms_field());
    let mut has_exemplars = false;
    for field in Fields::new(message) {
        let (number, _) = field?;
        if number == SAMPLES_FIELD || number == histograms {
            return Ok(false);
        }
        has_exemplars |= number == exemplars;
    }
    Ok(has_exemplars)
}
