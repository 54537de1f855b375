//! Subsets of a service side by side: the canary against what it is to replace, and whether they really differ.
//!
//! Each subset is compared with the baseline, the busiest unless another is asked for, in errors and in latencies, as the
//! callee's side saw its calls; all p-values of an answer are corrected together. So an answer about subsets that are all
//! alike names a difference in 5 % of cases, however many there are. Limit: calls are taken for alike but for the subset; if
//! a route sends other requests to the canary than to the rest, that is what the answer tells.

use std::collections::{BTreeMap, BTreeSet};

use super::asked;
use super::verdict::{ERRORS_MARGIN, LATENCY_MARGIN, Verdict};
use crate::measure::Measure;
use crate::statistics::proportions::Proportion;
use crate::statistics::sample::Sample;
use crate::statistics::{Test, holm, latencies, proportions};
use crate::{By, Evidence, Figures, Grain, Picture, Question, Range, Source};

/// Most subsets of an answer, busiest first: more are not read side by side, and each makes the correction stricter for
/// all. Guess, not measured.
pub const SUBSETS_MAX: usize = 200;

/// What tells subsets apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubsetBy {
    Version,
    /// Where all calls have one version and several workloads.
    Workload,
}

impl SubsetBy {
    pub const fn name(self) -> &'static str {
        match self {
            SubsetBy::Version => "version",
            SubsetBy::Workload => "workload",
        }
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Versions {
    pub range: Range,
    /// Id of the service; `None` where nothing goes by the name.
    pub service: Option<String>,
    pub by: SubsetBy,
    /// The subset that the others are compared with.
    pub baseline: Option<String>,
    /// Busiest first.
    pub subsets: Vec<Subset>,
    pub warnings: Vec<String>,
}

/// A part of the service.
#[derive(Debug, Clone, PartialEq)]
pub struct Subset {
    /// `None` for calls that name no version.
    pub name: Option<String>,
    /// Of the calls of all subsets, 0..=1.
    pub share: f64,
    pub figures: Figures,
    pub evidence: Evidence,
    /// `None` for the baseline and for calls that name no version.
    pub comparison: Option<Comparison>,
}

/// What a subset is against the baseline.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub verdict: Verdict,
    /// By how much its share of errors is higher, -1..=1. `None` where there is nothing to compare.
    pub errors: Option<Judged>,
    /// By how much likelier its calls are the longer ones, -1..=1. `None` where too few were timed.
    pub latency: Option<Judged>,
}

/// A test and what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    pub verdict: Verdict,
    pub method: &'static str,
    pub test: Test,
    /// The p-value, corrected for all tests of the answer.
    pub p_adjusted: f64,
}

/// The question whose picture an answer is cut from.
pub fn question(range: Range, source: Source) -> Question {
    Question { range, by: By::Subset, grain: Grain::Node, source }
}

/// The subsets of a service, by id or by name. `baseline` names one of them.
pub fn versions(picture: &Picture, service: &str, baseline: Option<&str>) -> Versions {
    let (found, doubt) = asked::service(picture, service);
    let (by, parts) = found.as_deref().map_or((SubsetBy::Version, Vec::new()), |id| parts(picture, id));
    let mut warnings: Vec<String> = picture.warnings.iter().cloned().chain(doubt).collect();
    warnings.extend(cut(&parts));
    let parts = &parts[..parts.len().min(SUBSETS_MAX)];
    let base = match baseline {
        Some(name) => parts.iter().find(|part| part.name.as_deref() == Some(name)),
        None => parts.iter().find(|part| part.name.is_some()),
    };
    warnings.extend(baseline.filter(|_| base.is_none()).map(|name| {
        format!("no {} is called `{name}` in this range, so that nothing is compared", by.name())
    }));
    let unnamed = parts.iter().filter(|part| part.name.is_none() && parts.len() > 1);
    warnings.extend(unnamed.map(|part| {
        format!("{} calls name no {}; they are compared with nothing", part.measure.requests(), by.name())
    }));
    let comparisons = compared(base, parts);
    let all: f64 = parts.iter().map(|part| part.measure.requests()).sum();
    let seconds = picture.range.bucket_seconds(0);
    let subsets = parts.iter().zip(comparisons).map(|(part, comparison)| Subset {
        name: part.name.clone(),
        share: part.measure.requests() / all,
        figures: Figures::of(&part.measure, part.evidence, seconds),
        evidence: part.evidence,
        comparison,
    });
    Versions {
        range: picture.range,
        by,
        baseline: base.and_then(|part| part.name.clone()),
        subsets: subsets.collect(),
        service: found,
        warnings,
    }
}

/// A subset while it is summed up.
struct Part {
    name: Option<String>,
    evidence: Evidence,
    measure: Measure,
}

/// The parts of a service, busiest first: by version, or by workload if only that differs.
fn parts(picture: &Picture, service: &str) -> (SubsetBy, Vec<Part>) {
    let cells = || {
        let cells = picture.node_cells.iter().map(|cell| (&picture.nodes[cell.node], cell));
        cells.filter(|(node, _)| node.service == service)
    };
    let count = |names: BTreeSet<&String>| names.len();
    let versions = count(cells().filter_map(|(node, _)| node.version.as_ref()).collect());
    let workloads = count(cells().filter_map(|(node, _)| node.workload.as_ref()).collect());
    let by = if versions < 2 && workloads > 1 { SubsetBy::Workload } else { SubsetBy::Version };
    let mut parts: BTreeMap<Option<String>, Part> = BTreeMap::new();
    for (node, cell) in cells() {
        let name = if by == SubsetBy::Version { &node.version } else { &node.workload };
        let part = parts.entry(name.clone()).or_insert_with(|| Part {
            name: name.clone(),
            evidence: cell.evidence,
            measure: Measure::default(),
        });
        part.evidence = part.evidence.min(cell.evidence);
        part.measure.merge(&cell.measure);
    }
    let mut parts: Vec<Part> = parts.into_values().collect();
    // Stable, so that of two alike the first by name leads.
    parts.sort_by_key(|part| std::cmp::Reverse(part.measure.requests_milli()));
    (by, parts)
}

fn cut(parts: &[Part]) -> Option<String> {
    let rest = parts.get(SUBSETS_MAX..).filter(|rest| !rest.is_empty())?;
    let calls: f64 = rest.iter().map(|part| part.measure.requests()).sum();
    let count = rest.len();
    Some(format!("only the {SUBSETS_MAX} busiest subsets are told of; {count} more have {calls} calls"))
}

/// What each part is against `base`, in the order given.
fn compared(base: Option<&Part>, parts: &[Part]) -> Vec<Option<Comparison>> {
    let Some(base) = base else { return parts.iter().map(|_| None).collect() };
    let of_base = Sample::of(&base.measure);
    let tests: Vec<Option<[Option<Test>; 2]>> = parts
        .iter()
        .map(|part| {
            let is_compared = part.name.is_some() && part.name != base.name;
            is_compared.then(|| {
                let sample = Sample::of(&part.measure);
                let errors = proportions::compare(Proportion::of(&of_base), Proportion::of(&sample));
                [errors, latencies::compare(&of_base.latency, &sample.latency)]
            })
        })
        .collect();
    let p_values: Vec<f64> = tests.iter().flatten().flatten().flatten().map(|test| test.p_value).collect();
    let mut adjusted = holm::adjusted(&p_values).into_iter();
    let mut judged = |test: Option<Test>, method, margin| {
        let test = test?;
        let p_adjusted = adjusted.next()?;
        Some(Judged { verdict: Verdict::of(&test, p_adjusted, margin), method, test, p_adjusted })
    };
    let of_part = |part: Option<[Option<Test>; 2]>| {
        let [errors, latency] = part?;
        let errors = judged(errors, proportions::METHOD, ERRORS_MARGIN);
        let latency = judged(latency, latencies::METHOD, LATENCY_MARGIN);
        let verdicts = errors.iter().chain(&latency).map(|judged| judged.verdict);
        Some(Comparison { verdict: Verdict::of_all(verdicts), errors, latency })
    };
    tests.into_iter().map(of_part).collect()
}

#[cfg(test)]
mod tests;
