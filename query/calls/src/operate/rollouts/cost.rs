//! Calls that a rollout cost: those to the service that were lost in it beyond what is usual.
//!
//! Lost is what its callers lost: errors, and refusals on the way, of the calls on the edges into the service. A try that a
//! proxy hid by another one is not lost, and a caller that went away lost nothing. What is usual is the share that was lost
//! before; where there are too few calls before, also after. So a service that always fails one call in a hundred is not
//! blamed on a rollout, and a call lost in it is counted, exactly, even where chance could have done it.

use std::collections::{BTreeMap, BTreeSet};

use super::periods::{Period, Periods};
use crate::Evidence;
use crate::detail::Detail;
use crate::entry::Entry;
use crate::measure::total;
use crate::parts::{Part, Parts};
use crate::statistics::proportions::{self, Proportion};
use crate::statistics::{ALPHA, holm};

/// Calls before and after that say what is usual: of fewer, one lost by chance is a hundredth.
const USUAL_CALLS_MIN: f64 = 100.0;

/// Most reasons of an answer, those that cost most first. Guess, not measured.
pub const REASONS_MAX: usize = 20;

/// What ended a call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason {
    /// Envoy's response flags by short name; where there are any, the codes are the proxy's own and left out.
    pub response_flags: Option<String>,
    pub response_code: Option<i64>,
    pub grpc_status: Option<i64>,
}

/// Whether a rollout cost anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostVerdict {
    /// No call was lost, or not more than are lost by chance where nothing happens.
    None,
    Some,
    /// Too few calls around it to say what is usual.
    NotEnough,
}

impl CostVerdict {
    pub const fn name(self) -> &'static str {
        match self {
            CostVerdict::None => "none",
            CostVerdict::Some => "some",
            CostVerdict::NotEnough => "not_enough",
        }
    }
}

/// Calls lost for one reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Loss {
    pub reason: Reason,
    pub before: f64,
    pub during: f64,
    pub after: f64,
    /// Of those during the rollout, more than usual, 0 and up; `None` where it is not known what is usual.
    pub beyond: Option<f64>,
}

/// What a rollout cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    pub verdict: CostVerdict,
    /// Calls to the service during the rollout, and those of them that were lost.
    pub calls: f64,
    pub lost: f64,
    /// How many would have been lost anyway, and how many more were; `None` where it is not known what is usual.
    pub usual: Option<f64>,
    pub beyond: Option<f64>,
    /// Of the test of both shares, corrected for all rollouts of the answer; `None` without one.
    pub p_value: Option<f64>,
    /// Those that cost most first, at most [`REASONS_MAX`].
    pub by: Vec<Loss>,
}

/// Calls on the edges into a service, and which of them were lost, by bucket.
#[derive(Default)]
pub struct Losses {
    calls: BTreeMap<u16, f64>,
    refused: BTreeMap<u16, f64>,
    lost: BTreeMap<(Reason, u16), f64>,
}

impl Losses {
    pub fn of(parts: &Parts, service: &str) -> Losses {
        let of_edges = || {
            let parts_of = parts
                .parts
                .iter()
                .filter(|part| matches!(part.entry, Entry::Edge | Entry::Refused) && part.source.is_some());
            parts_of.filter(|part| parts.nodes[part.target].service == service)
        };
        // Proxies and spans tell of the same calls: of each edge one of them is taken, proxies first.
        let edge = |part: &Part| (part.source, part.target);
        let by_proxies: BTreeSet<_> =
            of_edges().filter(|part| part.evidence == Evidence::Requests).map(edge).collect();
        let is_taken =
            |part: &&Part| part.evidence == Evidence::Requests || !by_proxies.contains(&edge(part));
        let mut losses = Losses::default();
        for part in of_edges().filter(is_taken) {
            losses.add(part);
        }
        losses
    }

    fn add(&mut self, part: &Part) {
        let (measure, bucket) = (&part.measure, part.bucket);
        *self.calls.entry(bucket).or_default() += measure.requests();
        let mut lost = measure.errors();
        if part.entry == Entry::Refused {
            *self.refused.entry(bucket).or_default() += measure.requests();
            // What is over a limit is an error of the client's, but the caller got nothing all the same.
            lost += measure.client_errors();
        }
        if lost > 0.0 {
            *self.lost.entry((reason(&part.detail), bucket)).or_default() += lost;
        }
    }

    /// Calls that never reached the service, by bucket.
    pub fn refused(&self) -> Vec<(u16, f64)> {
        self.refused.iter().map(|(bucket, calls)| (*bucket, *calls)).collect()
    }

    /// What each of these rollouts cost.
    pub fn costs(&self, rollouts: &[Periods]) -> Vec<Cost> {
        let bases: Vec<Option<Base>> = rollouts.iter().map(|periods| self.base(periods)).collect();
        let p_values: Vec<Option<f64>> = rollouts
            .iter()
            .zip(&bases)
            .map(|(periods, base)| self.p_value(base.as_ref()?, &periods.during))
            .collect();
        let known: Vec<f64> = p_values.iter().flatten().copied().collect();
        let mut adjusted = holm::adjusted(&known).into_iter();
        let costs = rollouts.iter().zip(bases).zip(p_values).map(|((periods, base), p_value)| {
            let p_value = p_value.and_then(|_| adjusted.next());
            self.cost(periods, base.as_ref(), p_value)
        });
        costs.collect()
    }

    /// What is usual around a rollout; none where there are too few calls.
    fn base(&self, periods: &Periods) -> Option<Base> {
        let before = Base { periods: vec![periods.before] };
        let both = Base { periods: vec![periods.before, periods.after] };
        [before, both].into_iter().find(|base| base.calls(self) >= USUAL_CALLS_MIN)
    }

    fn cost(&self, periods: &Periods, base: Option<&Base>, p_value: Option<f64>) -> Cost {
        let (calls, lost) = (self.calls(&periods.during), self.lost(&periods.during));
        let usual = |lost_usually: f64, base: &Base| lost_usually / base.calls(self) * calls;
        let usual_lost = base.map(|base| usual(base.lost(self), base));
        let is_more =
            p_value.is_some_and(|p_value| p_value < ALPHA) && usual_lost.is_some_and(|usual| lost > usual);
        let verdict = match (base, calls > 0.0) {
            (_, true) if lost == 0.0 => CostVerdict::None,
            (Some(_), true) if is_more => CostVerdict::Some,
            (Some(_), true) => CostVerdict::None,
            _ => CostVerdict::NotEnough,
        };
        let mut by: Vec<Loss> = self
            .reasons(periods)
            .into_iter()
            .map(|reason| {
                let of = |period: &Period| self.lost_for(&reason, period);
                let during = of(&periods.during);
                let beyond = base.map(|base| {
                    let usually = total(base.periods.iter().map(of));
                    (during - usual(usually, base)).max(0.0)
                });
                let (before, after) = (of(&periods.before), of(&periods.after));
                Loss { before, during, after, beyond, reason }
            })
            .collect();
        let rank = |loss: &Loss| loss.beyond.unwrap_or(loss.during);
        by.sort_by(|a, b| rank(b).total_cmp(&rank(a)).then_with(|| a.reason.cmp(&b.reason)));
        by.truncate(REASONS_MAX);
        let beyond = usual_lost.map(|usual| (lost - usual).max(0.0));
        Cost { verdict, calls, lost, usual: usual_lost, beyond, p_value, by }
    }

    fn p_value(&self, base: &Base, during: &Period) -> Option<f64> {
        let proportion = |lost: f64, calls: f64| Proportion {
            errors: (lost.round() as u64).min(calls.round() as u64),
            calls: calls.round() as u64,
        };
        let usual = proportion(base.lost(self), base.calls(self));
        let found = proportions::compare(usual, proportion(self.lost(during), self.calls(during)));
        found.map(|test| test.p_value)
    }

    fn reasons(&self, periods: &Periods) -> BTreeSet<Reason> {
        let all = [&periods.before, &periods.during, &periods.after];
        let lost = self.lost.keys().filter(|(_, bucket)| all.iter().any(|period| period.has(*bucket)));
        lost.map(|(reason, _)| reason.clone()).collect()
    }

    fn calls(&self, period: &Period) -> f64 {
        total(self.calls.range(period.first..period.end.max(period.first)).map(|(_, calls)| *calls))
    }

    fn lost(&self, period: &Period) -> f64 {
        total(self.lost.iter().filter(|((_, bucket), _)| period.has(*bucket)).map(|(_, lost)| *lost))
    }

    fn lost_for(&self, reason: &Reason, period: &Period) -> f64 {
        let lost = self.lost.iter().filter(|((of, bucket), _)| of == reason && period.has(*bucket));
        total(lost.map(|(_, lost)| *lost))
    }
}

/// When it is as usual.
struct Base {
    periods: Vec<Period>,
}

impl Base {
    fn calls(&self, losses: &Losses) -> f64 {
        total(self.periods.iter().map(|period| losses.calls(period)))
    }

    fn lost(&self, losses: &Losses) -> f64 {
        total(self.periods.iter().map(|period| losses.lost(period)))
    }
}

fn reason(detail: &str) -> Reason {
    let Detail { response_flags, response_code, grpc_status, .. } = Detail::read(detail);
    let flags = response_flags.map(str::to_owned);
    match flags {
        Some(_) => Reason { response_flags: flags, response_code: None, grpc_status: None },
        None => Reason { response_flags: None, response_code, grpc_status },
    }
}
