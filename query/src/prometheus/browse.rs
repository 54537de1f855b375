//! What series there are, without their samples: for editors, variables of dashboards and probes of features.

use std::collections::BTreeSet;

use meshlake_promql::{Error, Labels, Matcher};

use super::asking::{Prometheus, asked};
use super::bounds::CUT;
use super::{EARLIEST, LATEST};
use crate::series::{Found, Metadata, Wanted};

/// Series, names or values of an answer to somebody who names no limit, or a higher one. Grafana names 40,000.
const FOUND_MAX: usize = 100_000;

/// Which series are asked for.
#[derive(Debug, Clone)]
pub struct Browse {
    /// Any of them has to match, of each all matchers; none means every series.
    pub sets: Vec<Vec<Matcher>>,
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

fn told<T>(found: Found<T>) -> Browsed<T> {
    let warnings = if found.is_cut { vec![CUT.to_owned()] } else { Vec::new() };
    (found.found, warnings)
}

/// Label sets of series, sorted.
///
/// # Errors
/// Those of the sources, and of time and places.
pub async fn series(
    prometheus: &Prometheus,
    tenant: &str,
    browse: Browse,
) -> Result<Browsed<BTreeSet<Labels>>, Error> {
    asked(prometheus, tenant, None, move |at| Ok(told(at.merged.series(&browse.sets, browse.wanted())?)))
        .await
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
    asked(prometheus, tenant, None, move |at| Ok(told(at.merged.label_names(&browse.sets, browse.wanted())?)))
        .await
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
    asked(prometheus, tenant, None, move |at| {
        Ok(told(at.merged.label_values(&label, &browse.sets, browse.wanted())?))
    })
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
