//! Versions that are worse than the version that most calls of their service go to: a canary that should not be rolled out.
//!
//! The tests are those of [`super::versions`], corrected for the number of services looked at, so that a mesh of a hundred
//! services cries wolf no oftener than one of one. With many calls every difference is real, so that it has to matter as well: as
//! much as what is told of a whole service. The busiest version is what others are measured by, and never told of itself.
//! Limit: of a service one version, the worst.

use std::collections::{BTreeMap, BTreeSet};

use super::floors::{COMPARED_MIN, FAILED_MIN, SHARE_GRAVE, SHARE_MIN, SLOWER_MS, SLOWER_RATIO};
use super::versions::{Judged, Subset, versions};
use crate::statistics::ALPHA;
use crate::{Figures, NodeKind, Picture};

/// A version against the busiest of its service.
#[derive(Debug, Clone, PartialEq)]
pub struct WorseVersion {
    /// Id of the service.
    pub service: String,
    pub version: String,
    /// The busiest version.
    pub than: String,
    pub how: Worse,
}

/// What is worse: its own figure, and that of the busiest version.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Worse {
    /// Shares of calls that failed, 0..=1.
    Fails { share: f64, than_share: f64 },
    /// The 95th percentiles.
    Slower { p95_ms: f64, than_ms: f64 },
}

impl Worse {
    /// How bad, where 1 is grave, as of a whole service.
    pub(super) fn weight(self) -> f64 {
        match self {
            Worse::Fails { share, than_share } => (share - than_share) / SHARE_GRAVE,
            Worse::Slower { p95_ms, than_ms } => p95_ms / than_ms / (SLOWER_RATIO * 2.0),
        }
    }
}

/// The worst version of each service that has one, by id of the service. The picture is that of [`super::versions::question`].
pub fn worse_versions(picture: &Picture) -> Vec<WorseVersion> {
    let mut subsets: BTreeMap<&str, BTreeSet<_>> = BTreeMap::new();
    for cell in &picture.node_cells {
        let node = &picture.nodes[cell.node];
        if matches!(node.kind, NodeKind::Service | NodeKind::Gateway) {
            subsets.entry(&node.service).or_default().insert((&node.version, &node.workload));
        }
    }
    let compared: Vec<&str> =
        subsets.into_iter().filter(|(_, subsets)| subsets.len() > 1).map(|(service, _)| service).collect();
    compared.iter().filter_map(|service| worst(picture, service, compared.len())).collect()
}

fn worst(picture: &Picture, service: &str, services: usize) -> Option<WorseVersion> {
    let found = versions(picture, service, None);
    let than = found.baseline?;
    let base = found.subsets.iter().find(|subset| subset.name.as_deref() == Some(&than))?;
    let told = found.subsets.iter().filter_map(|subset| {
        let hows = how(subset, &base.figures, services).into_iter().flatten();
        let how = hows.max_by(|a, b| a.weight().total_cmp(&b.weight()))?;
        Some((subset.name.clone()?, how))
    });
    let (version, how) = told.max_by(|a, b| a.1.weight().total_cmp(&b.1.weight()))?;
    Some(WorseVersion { service: service.to_owned(), version, than, how })
}

/// In what a subset is worse than the busiest, by so much that it matters.
fn how(subset: &Subset, base: &Figures, services: usize) -> [Option<Worse>; 2] {
    let Some(comparison) = &subset.comparison else { return [None, None] };
    let is_real = |judged: &Option<Judged>| {
        judged
            .as_ref()
            .is_some_and(|judged| judged.test.effect > 0.0 && judged.p_adjusted * (services as f64) < ALPHA)
    };
    let own = &subset.figures;
    let (share, than_share) = (own.error_ratio, base.error_ratio);
    let fails = own.errors >= FAILED_MIN && share - than_share >= SHARE_MIN;
    let are_many = own.requests >= COMPARED_MIN && base.requests >= COMPARED_MIN;
    let slower = own.p95_ms.zip(base.p95_ms).filter(|(p95_ms, than_ms)| {
        are_many && *p95_ms >= than_ms * SLOWER_RATIO && p95_ms - than_ms >= SLOWER_MS
    });
    [
        (fails && is_real(&comparison.errors)).then_some(Worse::Fails { share, than_share }),
        slower
            .filter(|_| is_real(&comparison.latency))
            .map(|(p95_ms, than_ms)| Worse::Slower { p95_ms, than_ms }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Request, SERVED, picture_of};
    use crate::{By, Grain, Source};

    /// `count` calls of a version of `service`, the first `errors` of which failed.
    fn calls(
        service: &'static str,
        version: &'static str,
        count: usize,
        errors: usize,
        millis: i64,
    ) -> Vec<Request> {
        let outcome = |at| if at < errors { "error" } else { "ok" };
        let destination = ("default", service);
        let call = |at| Request { destination, version, millis, outcome: outcome(at), ..SERVED };
        (0..count).map(call).collect()
    }

    fn told(rows: &[Vec<Request>]) -> Vec<String> {
        let picture = picture_of(&rows.concat(), &[], Source::Auto, By::Subset, Grain::Node);
        let worse = worse_versions(&picture).into_iter().map(|found| match found.how {
            Worse::Fails { share, than_share } => {
                format!(
                    "{} {} fails {share} not {than_share} of {}",
                    found.service, found.version, found.than
                )
            }
            Worse::Slower { p95_ms, than_ms } => {
                let (p95, than) = (p95_ms.round(), than_ms.round());
                format!("{} {} takes {p95} not {than} of {}", found.service, found.version, found.than)
            }
        });
        worse.collect()
    }

    /// v2 is a little slower than v1, and v3 far slower than both: one line, about v3.
    #[test]
    fn the_worst_version_of_a_service_is_told() {
        let rows = [
            calls("b", "v1", 500, 0, 10),
            calls("b", "v2", 400, 0, 20),
            calls("b", "v3", 100, 0, 400),
            calls("c", "v1", 300, 0, 10),
            calls("c", "v2", 100, 20, 10),
        ];
        assert_eq!(
            told(&rows),
            ["default/b v3 takes 400 not 10 of v1", "default/c v2 fails 0.2 not 0 of v1"]
        );
    }

    #[test]
    fn a_version_that_is_better_than_the_busiest_is_no_trouble() {
        assert!(told(&[calls("b", "v1", 500, 50, 400), calls("b", "v2", 100, 0, 10)]).is_empty());
    }

    #[test]
    fn what_is_real_has_to_matter_too() {
        // 4 ms more, of ever so many calls; half as slow again and 5 ms more.
        assert!(told(&[calls("b", "v1", 900, 0, 6), calls("b", "v2", 800, 0, 10)]).is_empty());
        assert_eq!(told(&[calls("b", "v1", 900, 0, 10), calls("b", "v2", 800, 0, 16)]).len(), 1);
        // 99 calls, and 100.
        assert!(told(&[calls("b", "v1", 900, 0, 10), calls("b", "v2", 99, 0, 90)]).is_empty());
        assert_eq!(told(&[calls("b", "v1", 900, 0, 10), calls("b", "v2", 100, 0, 90)]).len(), 1);
        // Two failures of two calls.
        assert!(told(&[calls("b", "v1", 900, 0, 10), calls("b", "v2", 2, 2, 10)]).is_empty());
    }

    #[test]
    fn one_call_one_version_and_nothing_are_not_enough() {
        assert!(told(&[]).is_empty());
        assert!(told(&[calls("b", "v1", 900, 900, 10)]).is_empty());
        assert!(told(&[calls("b", "v1", 1, 0, 10), calls("b", "v2", 1, 1, 900)]).is_empty());
    }
}
