//! Series that are counted from calls: a source of samples over one snapshot.
//!
//! ```text
//! exemplars calls whose traces are stored
//! catalogue names, labels and label sets without samples
//! select    matchers -> series, with the samples or counts that a question needs
//! timeline  what was counted of one series, when
//! loading   which ten minutes are read of which cells, and what is folded from rows
//! chunks    ten minutes, decoded once and kept
//! index     label sets of a range, each once, by number
//! grid      how finely a question looks, and when its samples are
//! ```
//! A counter of calls has no samples in the store. Functions of change ask how many calls there were between two instants,
//! which cells tell; only who asks for bare samples is given some, on a grid of ten seconds, counted from midnight.
//! A series is there from the ten minutes of its first call to the end of the UTC day: as long as the process would run
//! that counts it, as far as anybody can tell. What differs from scraped counters is in `docs/promql.md`.

mod exemplars;
mod catalogue;
mod select;
mod timeline;
mod loading;
pub mod chunks;
mod index;
mod grid;

use std::collections::BTreeSet;
use std::sync::Arc;

use meshlake_calls::series::metrics::{ABOUT, METRICS};
use meshlake_engine::Query;
use meshlake_promql::{Error, Labels, Samples, Selected, Selection};
use tokio::runtime::Handle;

use crate::calls::LoadError;
use crate::series::{Exemplified, Found, Metadata, Source, Wanted, unread};

use self::chunks::Chunks;

/// The series of one tenant's calls.
pub struct Counted {
    query: Query,
    chunks: Arc<Chunks>,
    runtime: Handle,
}

impl Counted {
    /// Over the snapshot of `query`. What it reads is kept in `chunks`, which other questions share; it reads on `runtime`
    /// while the thread that asks waits, which may be none of the runtime's own but one for blocking work.
    pub fn new(query: Query, chunks: Arc<Chunks>, runtime: Handle) -> Self {
        Counted { query, chunks, runtime }
    }

    fn wait<T>(&self, work: impl Future<Output = Result<T, LoadError>>) -> Result<T, Error> {
        self.runtime.block_on(work).map_err(|error| told(&error))
    }
}

impl Samples for Counted {
    fn select(&self, selection: &Selection<'_>) -> Result<Selected, Error> {
        select::select(self, selection)
    }
}

impl Source for Counted {
    fn series(&self, wanted: &Wanted<'_>) -> Result<Found<Vec<Labels>>, Error> {
        catalogue::series(self, wanted)
    }

    fn label_names(&self, wanted: &Wanted<'_>) -> Result<Found<BTreeSet<String>>, Error> {
        catalogue::label_names(self, wanted)
    }

    fn label_values(&self, label: &str, wanted: &Wanted<'_>) -> Result<Found<BTreeSet<String>>, Error> {
        catalogue::label_values(self, label, wanted)
    }

    fn metadata(&self, metric: Option<&str>) -> Result<Vec<Metadata>, Error> {
        if !self.wait(loading::has_calls(&self.query))? {
            return Ok(Vec::new());
        }
        let is_asked = |name: &str| metric.is_none_or(|metric| metric == name);
        let about = ABOUT.iter().filter(|about| is_asked(about.metric));
        let told = about.map(|about| Metadata {
            metric: about.metric.to_owned(),
            kind: about.kind,
            help: about.help.to_owned(),
            unit: about.unit.to_owned(),
        });
        Ok(told.collect())
    }

    fn exemplars(&self, wanted: &Wanted<'_>) -> Result<Found<Vec<Exemplified>>, Error> {
        exemplars::exemplars(self, wanted)
    }
}

/// Whether this source has a metric of that name, whatever calls there were.
pub fn has_metric(name: &str) -> bool {
    METRICS.iter().any(|metric| metric.name == name)
}

fn told(error: &LoadError) -> Error {
    match error {
        LoadError::Query(error) => unread(error),
        LoadError::TooManyCells(_) => Error::Execution(error.told()),
    }
}

#[cfg(test)]
mod tests;
