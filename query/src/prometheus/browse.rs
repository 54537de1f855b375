//! What series there are, without their samples: for editors, variables of dashboards and probes of features.

use std::collections::BTreeSet;

use meshlake_promql::{Error, Labels, Matcher};
use meshlake_schema::budget::Holding;

use super::asking::{Prometheus, asked};
use super::bounds::CUT;
use super::merged::Merged;
use super::selectors::sets_of;
use super::{EARLIEST, LATEST};
use crate::series::{Found, Metadata, Wanted};

/// Series, names or values of an answer to somebody who names no limit, or a higher one. Grafana names 40,000.
const FOUND_MAX: usize = 100_000;

/// Which series are asked for.
#[derive(Debug, Clone)]
pub struct Browse {
    /// Any of them has to match; none means every series.
    pub selectors: Vec<String>,
    /// Milliseconds since the epoch, both ends belong to it.
    pub from: i64,
    pub to: i64,
    pub limit: Option<usize>,
}

impl Browse {
    fn wanted(&self) -> Wanted<'static> {
        let (from, to) = (self.from.clamp(EARLIEST, LATEST), self.to.clamp(EARLIEST, LATEST));
        Wanted { matchers: &[], from, to, limit: self.limit.unwrap_or(FOUND_MAX).min(FOUND_MAX) }
    }
}

/// What was found, and what to say of it.
pub type Browsed<T> = (T, Vec<String>);

async fn browsed<T: Send + 'static>(
    prometheus: &Prometheus,
    tenant: &str,
    browse: Browse,
    ask: impl FnOnce(&Merged, &[Vec<Matcher>], Wanted<'_>) -> Result<Found<T>, Error> + Send + 'static,
) -> Result<Browsed<T>, Error> {
    asked(prometheus, tenant, None, move |at| {
        let mut held = Holding::new(at.budget.as_ref());
        let sets = sets_of(&browse.selectors, &mut held)?;
        let found = ask(&at.merged, &sets, browse.wanted())?;
        let warnings = if found.is_cut { vec![CUT.to_owned()] } else { Vec::new() };
        Ok((found.found, warnings))
    })
    .await
}

/// Label sets of series, sorted.
///
/// # Errors
/// [`Error::BadData`] for what is no selector; those of the sources, and of time, memory and places.
pub async fn series(
    prometheus: &Prometheus,
    tenant: &str,
    browse: Browse,
) -> Result<Browsed<BTreeSet<Labels>>, Error> {
    browsed(prometheus, tenant, browse, Merged::series).await
}

/// Names of labels, sorted.
///
/// # Errors
/// As [`series`].
pub async fn label_names(
    prometheus: &Prometheus,
    tenant: &str,
    browse: Browse,
) -> Result<Browsed<BTreeSet<String>>, Error> {
    browsed(prometheus, tenant, browse, Merged::label_names).await
}

/// Values of a label, sorted.
///
/// # Errors
/// As [`series`].
pub async fn label_values(
    prometheus: &Prometheus,
    tenant: &str,
    label: String,
    browse: Browse,
) -> Result<Browsed<BTreeSet<String>>, Error> {
    browsed(prometheus, tenant, browse, move |merged, sets, wanted| merged.label_values(&label, sets, wanted))
        .await
}

/// What is known of metrics beside their samples, sorted by name; of all, or of one.
///
/// # Errors
/// As [`series`].
pub async fn metadata(
    prometheus: &Prometheus,
    tenant: &str,
    metric: Option<String>,
) -> Result<BTreeSet<Metadata>, Error> {
    asked(prometheus, tenant, None, move |at| at.merged.metadata(metric.as_deref())).await
}
