//! Calls by instance of a service: whether they are spread as turns would spread them, and which instances are odd.
//!
//! ```text
//! slices   an instance's calls against an equal share of those of its subset while it was there
//! ```
//! Instances are compared within their subset (version and workload), for a route splits traffic between subsets on purpose,
//! and only while they were there: one that was restarted got less and is not odd for it. Limits: [`INSTANCES_MAX`]
//! instances are told of; weights that a balancer was given are not known, so that an instance that is meant to get more is odd.

mod slices;

use std::collections::BTreeMap;
use std::time::Duration;

use meshlake_schema::UnixNanos;

use super::asked;
use crate::measure::Measure;
use crate::party::OTHER;
use crate::statistics::proportions::Proportion;
use crate::statistics::sample::Sample;
use crate::statistics::spread::{Count, Spread, spread};
use crate::statistics::{ALPHA, Test, holm, latencies, proportions};
use crate::{By, Evidence, Figures, Grain, NodeIdentity, Picture, Question, Range, RangeError, Source};

/// Most instances of an answer: the odd ones, then the busiest. Of a service with more than [`crate::cells::DETAILS_MAX`]
/// the busiest so many are compared.
pub const INSTANCES_MAX: usize = 1_000;

/// A share that differs from an equal one by this much is odd, if it is not by chance. Guess, not measured.
const SHARE_MARGIN: f64 = 0.2;

/// Fewest calls an instance on average from which the answer tells anything: by chance alone shares then differ by
/// [`SHARE_MARGIN`], as the standard deviation of a count of 25 is 5.
const CALLS_MIN: f64 = 25.0;

/// A difference of so large a share of errors makes an instance odd: one call in a hundred. Guess, not measured.
const ERRORS_MARGIN: f64 = 0.01;

/// The same of latencies, by Cliff's delta. Source: Romano et al. (2006): what is less is negligible.
const LATENCY_MARGIN: f64 = 0.147;

/// Calls of an instance while it was there, in slices of time: as many as still have enough calls to see when it came
/// and went, and few enough that a day of a thousand instances stays within the bound on cells.
const SLICES_MAX: i64 = 30;

/// Instances are told by minutes, the narrowest cells that are kept for days.
const MINUTE: Duration = Duration::from_secs(60);

/// Whether calls are spread evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    Even,
    Uneven,
    NotEnough,
}

impl Balance {
    pub const fn name(self) -> &'static str {
        match self {
            Balance::Even => "even",
            Balance::Uneven => "uneven",
            Balance::NotEnough => "not_enough",
        }
    }
}

/// Why an instance is odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Odd {
    Busy,
    Idle,
    Failing,
    Slow,
}

impl Odd {
    pub const fn name(self) -> &'static str {
        match self {
            Odd::Busy => "busy",
            Odd::Idle => "idle",
            Odd::Failing => "failing",
            Odd::Slow => "slow",
        }
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Balanced {
    pub range: Range,
    /// Id of the service; `None` where nothing goes by the name.
    pub service: Option<String>,
    pub verdict: Balance,
    /// `None` where no subset has two instances to compare.
    pub spread: Option<Spread>,
    /// Standard deviation of the shares against equal ones, 0 where all are equal. `None` as above.
    pub variation: Option<f64>,
    /// Busiest first.
    pub instances: Vec<InstanceRow>,
    pub warnings: Vec<String>,
}

/// An instance.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceRow {
    pub name: String,
    pub version: Option<String>,
    pub workload: Option<String>,
    pub figures: Figures,
    pub evidence: Evidence,
    /// Of the calls of all instances, 0..=1.
    pub share: f64,
    /// Its calls against an equal share of those of its subset while it was there: 1 is equal. `None` where it was not
    /// there for long enough, or alone.
    pub relative: Option<f64>,
    pub odd: Vec<Odd>,
}

/// The question whose picture an answer is cut from, in slices of whole minutes; the range is widened to them.
///
/// # Errors
/// A range that cannot be widened.
pub fn question(range: Range, source: Source) -> Result<Question, RangeError> {
    let minute = MINUTE.as_nanos() as i64;
    let (from, to) = (range.from().0.div_euclid(minute), (range.to().0 - 1).div_euclid(minute) + 1);
    let minutes = (to - from).max(1);
    let step = u32::try_from((minutes + SLICES_MAX - 1) / SLICES_MAX).unwrap_or(u32::MAX);
    let at = |minutes: i64| minutes.checked_mul(minute).map(UnixNanos).ok_or(RangeError::TooFar);
    let range = Range::new(at(from)?, at(to)?, Some(MINUTE * step))?;
    Ok(Question { range, by: By::Subset, grain: Grain::Instance, source })
}

/// An instance while it is summed up.
pub(super) struct Instance<'a> {
    node: &'a NodeIdentity,
    name: &'a str,
    evidence: Evidence,
    measure: Measure,
    /// Calls by slice, as many as they are observations: sampled ones are fewer.
    slices: BTreeMap<u16, f64>,
}

/// The instances of a service, by id or by name.
pub fn balance(picture: &Picture, service: &str) -> Balanced {
    let (found, doubt) = asked::service(picture, service);
    let mut warnings: Vec<String> = picture.warnings.iter().cloned().chain(doubt).collect();
    let (instances, left) = found.as_deref().map_or_else(Default::default, |id| instances(picture, id));
    warnings.extend(left.warnings());
    let counts = slices::counts(&instances);
    let compared: Vec<Count> = counts.iter().flatten().copied().collect();
    let subsets: std::collections::BTreeSet<&str> = instances
        .iter()
        .zip(&counts)
        .filter(|(_, count)| count.is_some())
        .map(|(instance, _)| instance.node.id.as_str())
        .collect();
    let spread = spread(compared.iter().copied(), compared.len().saturating_sub(subsets.len()));
    let variation = variation(&compared);
    let odd = odd_ones(&instances, &counts);
    let verdict = verdict(&compared, spread, variation);
    if instances.len() > INSTANCES_MAX {
        let more = instances.len() - INSTANCES_MAX;
        warnings.push(format!(
            "only {INSTANCES_MAX} instances are told of, the odd ones and the busiest; {more} more are counted"
        ));
    }
    let is_told = told(&odd);
    let all = instances.iter().map(|instance| instance.measure.requests()).sum::<f64>() + left.not_told_apart;
    let seconds = (picture.range.observed_to().0 - picture.range.observed_from().0) as f64 / 1e9;
    let rows = instances.iter().zip(counts).zip(odd).zip(is_told).filter(|(_, is_told)| *is_told);
    let instances = rows.map(|(((instance, count), odd), _)| InstanceRow {
        name: instance.name.to_owned(),
        version: instance.node.version.clone(),
        workload: instance.node.workload.clone(),
        figures: Figures::of(&instance.measure, instance.evidence, seconds.max(1.0)),
        evidence: instance.evidence,
        share: instance.measure.requests() / all,
        relative: count.map(|count| count.observed / count.expected),
        odd,
    });
    let instances = instances.collect();
    Balanced { range: picture.range, service: found, verdict, spread, variation, instances, warnings }
}

/// Calls of the service that are of no instance in the answer.
#[derive(Default)]
struct Left {
    unnamed: f64,
    /// Of instances that are too many to be told apart.
    not_told_apart: f64,
}

impl Left {
    fn warnings(&self) -> impl Iterator<Item = String> {
        let Left { unnamed, not_told_apart } = self;
        let unnamed =
            (*unnamed > 0.0).then(|| format!("{unnamed} calls name no instance; they are not told of"));
        let others = (*not_told_apart > 0.0).then(|| {
            format!("{not_told_apart} calls are of instances that are not told apart; the others are compared with one another alone")
        });
        unnamed.into_iter().chain(others)
    }
}

/// Which instances, busiest first, are told of: [`INSTANCES_MAX`], those first that are odd.
fn told(odd: &[Vec<Odd>]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..odd.len()).collect();
    order.sort_by_key(|at| odd[*at].is_empty());
    let mut is_told = vec![false; odd.len()];
    order.into_iter().take(INSTANCES_MAX).for_each(|at| is_told[at] = true);
    is_told
}

/// The instances of a service, busiest first, and which calls are of none of them.
fn instances<'a>(picture: &'a Picture, service: &str) -> (Vec<Instance<'a>>, Left) {
    let mut instances: BTreeMap<(usize, &str), Instance<'a>> = BTreeMap::new();
    let mut left = Left::default();
    for cell in picture.node_cells.iter().filter(|cell| picture.nodes[cell.node].service == service) {
        let name = match cell.detail.as_deref() {
            Some(OTHER) => {
                left.not_told_apart += cell.measure.requests();
                continue;
            }
            Some(name) => name,
            None => {
                left.unnamed += cell.measure.requests();
                continue;
            }
        };
        let instance = instances.entry((cell.node, name)).or_insert_with(|| Instance {
            node: &picture.nodes[cell.node],
            name,
            evidence: cell.evidence,
            measure: Measure::default(),
            slices: BTreeMap::new(),
        });
        instance.evidence = instance.evidence.min(cell.evidence);
        instance.measure.merge(&cell.measure);
        *instance.slices.entry(cell.bucket).or_default() += cell.measure.requests();
    }
    let mut instances: Vec<Instance<'a>> = instances.into_values().collect();
    // One share for all: calls are compared with calls, and only how far they are apart by chance depends on it.
    let mut whole = Measure::default();
    instances.iter().for_each(|instance| whole.merge(&instance.measure));
    let slices = instances.iter_mut().flat_map(|instance| instance.slices.values_mut());
    slices.for_each(|calls| *calls *= whole.effective_share());
    instances.sort_by_key(|instance| std::cmp::Reverse(instance.measure.requests_milli()));
    (instances, left)
}

/// Root of the mean square of how far counts are from equal shares, in shares.
fn variation(counts: &[Count]) -> Option<f64> {
    let squares: f64 = counts.iter().map(|count| (count.observed / count.expected - 1.0).powi(2)).sum();
    (counts.len() > 1).then(|| (squares / counts.len() as f64).sqrt())
}

fn verdict(counts: &[Count], spread: Option<Spread>, variation: Option<f64>) -> Balance {
    let (Some(spread), Some(variation)) = (spread, variation) else { return Balance::NotEnough };
    let mean = counts.iter().map(|count| count.expected).sum::<f64>() / counts.len() as f64;
    match (mean >= CALLS_MIN, spread.p_value < ALPHA && variation >= SHARE_MARGIN / 2.0) {
        (false, _) => Balance::NotEnough,
        (true, true) => Balance::Uneven,
        (true, false) => Balance::Even,
    }
}

/// What is odd of each instance, in the order given; all p-values are corrected together.
fn odd_ones(instances: &[Instance<'_>], counts: &[Option<Count>]) -> Vec<Vec<Odd>> {
    let samples: Vec<Sample> = instances.iter().map(|instance| Sample::of(&instance.measure)).collect();
    let mut wholes: BTreeMap<&str, Measure> = BTreeMap::new();
    for instance in instances {
        wholes.entry(&instance.node.id).or_default().merge(&instance.measure);
    }
    let wholes: BTreeMap<&str, Sample> =
        wholes.into_iter().map(|(id, measure)| (id, Sample::of(&measure))).collect();
    // At which instance, how likely it is by chance, and what it would be called.
    let mut found: Vec<(usize, f64, Option<Odd>)> = Vec::new();
    for (at, (instance, sample)) in instances.iter().zip(&samples).enumerate() {
        if let Some(count) = counts[at].filter(|count| count.expected >= CALLS_MIN) {
            let relative = count.observed / count.expected - 1.0;
            let word = if relative > 0.0 { Odd::Busy } else { Odd::Idle };
            found.push((at, count.p_value(), (relative.abs() >= SHARE_MARGIN).then_some(word)));
        }
        let rest = wholes[instance.node.id.as_str()].without(sample);
        let errors = proportions::compare(Proportion::of(&rest), Proportion::of(sample));
        let latency = latencies::compare(&rest.latency, &sample.latency);
        let judged = |test: Test, margin, word| (at, test.p_value, (test.effect >= margin).then_some(word));
        found.extend(errors.map(|test| judged(test, ERRORS_MARGIN, Odd::Failing)));
        found.extend(latency.map(|test| judged(test, LATENCY_MARGIN, Odd::Slow)));
    }
    let p_values: Vec<f64> = found.iter().map(|(_, p_value, _)| *p_value).collect();
    let mut odd = vec![Vec::new(); instances.len()];
    for ((at, _, word), p_adjusted) in found.into_iter().zip(holm::adjusted(&p_values)) {
        odd[at].extend(word.filter(|_| p_adjusted < ALPHA));
    }
    odd
}

#[cfg(test)]
mod tests;
