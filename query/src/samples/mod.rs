//! Received metrics as Prometheus's series: the source that PromQL is asked of.
//!
//! ```text
//! matchers -> stems (labels, once a stored series) -> rows (numbers only) -> points by label set -> samples
//! ```
//! Rows keep what senders sent, in OpenTelemetry's words; names, units and labels of Prometheus are made when a question is
//! asked, so that a rule which changes needs no rewriting of what is stored. What cannot be told as Prometheus tells it is said
//! in warnings, never left out in silence.
//!
//! Everything is read from one snapshot, so a question sees each sample once. Which series a file has is read once and known from
//! then on, so that names and labels cost what is in memory; only of the buffer they are read for each question.

mod select;
mod exemplars;
mod catalogue;
mod survey;
mod target_info;
mod collect;
mod reading;
mod choosing;
pub mod known;
mod names;
mod range;
mod asked;
mod stems;
mod naming;
mod error;

use std::collections::BTreeSet;
use std::sync::Arc;

use meshlake_engine::Query;
use meshlake_promql::{Error, Labels, Samples, Selected, Selection};
use tokio::runtime::Handle;

use known::Known;

use crate::series::{Exemplar, Found, Metadata, Source, Wanted};

pub use stems::PROMOTED;

/// Whether an attribute of that name can be a label.
pub fn can_be_label(attribute: &str) -> bool {
    naming::label::name(attribute).is_some()
}

/// The metrics of one snapshot. To be asked from a thread that may wait.
pub struct Stored {
    query: Query,
    known: Arc<Known>,
    /// Where what is waited for runs.
    runtime: Handle,
}

impl Stored {
    /// `known` is what the questions before learnt of the same snapshots' files.
    pub fn new(query: Query, known: Arc<Known>, runtime: Handle) -> Self {
        Stored { query, known, runtime }
    }
}

impl Samples for Stored {
    fn select(&self, selection: &Selection<'_>) -> Result<Selected, Error> {
        self.runtime.block_on(select::select(self, selection))
    }
}

impl Source for Stored {
    fn series(&self, wanted: &Wanted<'_>) -> Result<Found<Vec<Labels>>, Error> {
        self.runtime.block_on(catalogue::series(self, wanted))
    }

    fn label_names(&self, wanted: &Wanted<'_>) -> Result<Found<BTreeSet<String>>, Error> {
        self.runtime.block_on(catalogue::label_names(self, wanted))
    }

    fn label_values(&self, label: &str, wanted: &Wanted<'_>) -> Result<Found<BTreeSet<String>>, Error> {
        self.runtime.block_on(catalogue::label_values(self, label, wanted))
    }

    fn metadata(&self, metric: Option<&str>) -> Result<Vec<Metadata>, Error> {
        self.runtime.block_on(catalogue::metadata(self, metric))
    }

    fn exemplars(&self, wanted: &Wanted<'_>) -> Result<Found<Vec<(Labels, Vec<Exemplar>)>>, Error> {
        self.runtime.block_on(exemplars::exemplars(self, wanted))
    }
}

#[cfg(test)]
mod tests;
