//! Instances of a service that came and went, and what a rollout cost.
//!
//! ```text
//! lives     when each instance was called, and whether it really came or went
//! cost      calls lost in a rollout beyond what is usual, by what ended them
//! periods   when a rollout was, and what is before and after it
//! ```
//! Nothing tells of a rollout but the calls: an instance is there from the first call that it received to the last. So an
//! answer says of an instance that it came or went only where its silence could not be chance, and of a rollout what it
//! cost only where there is enough traffic before it to say what is usual. Limits: times are those of calls, on whole
//! steps; an instance that keeps its name over a restart is one, unless its version or its proxy's changed; [`LIVES_MAX`] and [`ROLLOUTS_MAX`].

mod lives;
mod cost;
mod periods;

use std::collections::BTreeSet;
use std::time::Duration;

use super::asked;
use crate::parts::Parts;
use crate::{By, Figures, Grain, PartsFrame, Picture, Question, Range, RangeError, Source, Told};
use meshlake_schema::UnixNanos;

use cost::Losses;
pub use cost::{Cost, CostVerdict, Loss, Reason};
pub use lives::Life;
use lives::Lives;
use periods::{Period, Periods};

/// Most instances of an answer, the last seen first.
pub const LIVES_MAX: usize = 1_000;

/// Most rollouts of an answer, newest first: a day of a restart every half an hour. Guess, not measured.
pub const ROLLOUTS_MAX: usize = 48;

/// Most instances that a rollout names as having come, and as having gone; all are counted.
pub const EVENTS_MAX: usize = 200;

/// How exactly times can be told, finest first: the widths of the cells that know instances, and an hour for weeks.
const STEPS: [Duration; 4] =
    [Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(600), Duration::from_secs(3_600)];

/// Steps of an answer: an hour by ten seconds, six by the minute. More would be more cells than an answer may have, with
/// some hundred instances.
const BUCKETS_MAX: i64 = 360;

/// Why instances came and went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutKind {
    /// As many came as went, of the same versions.
    Restart,
    /// Those that came are of other versions than those that went.
    NewVersion,
    /// They are of the same versions, and their proxies of other releases.
    NewProxyVersion,
    /// Some only came, or more than went.
    ScaleUp,
    ScaleDown,
}

impl RolloutKind {
    pub const fn name(self) -> &'static str {
        match self {
            RolloutKind::Restart => "restart",
            RolloutKind::NewVersion => "new_version",
            RolloutKind::NewProxyVersion => "new_proxy_version",
            RolloutKind::ScaleUp => "scale_up",
            RolloutKind::ScaleDown => "scale_down",
        }
    }
}

/// Instances that came and went one soon after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    pub kind: RolloutKind,
    /// Of the steps in which calls may have been lost to it: some time before the first instance came or went, to some
    /// time after the last.
    pub from: UnixNanos,
    pub to: UnixNanos,
    /// The first [`EVENTS_MAX`], in order of time, and how many there were.
    pub came: Vec<Life>,
    pub went: Vec<Life>,
    pub came_count: usize,
    pub went_count: usize,
    /// Of the service's received calls. `None` where no call was received.
    pub before: Option<Figures>,
    pub during: Option<Figures>,
    pub after: Option<Figures>,
    pub cost: Cost,
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollouts {
    pub range: Range,
    /// Id of the service; `None` where nothing goes by the name.
    pub service: Option<String>,
    /// Last seen first.
    pub instances: Vec<Life>,
    /// Newest first.
    pub rollouts: Vec<Rollout>,
    pub warnings: Vec<String>,
}

/// The range on whole steps, in the finest step with few enough of them, after the first `coarser` ones.
///
/// # Errors
/// Those of [`Range::new`], also for a range of more than two months.
pub fn range_of(from: UnixNanos, to: UnixNanos, coarser: usize) -> Result<Range, RangeError> {
    let length = i128::from(to.0) - i128::from(from.0);
    let fits = |step: &Duration| length <= i128::from(BUCKETS_MAX) * step.as_nanos() as i128;
    let first = STEPS.iter().position(fits).unwrap_or(STEPS.len() - 1);
    let step = STEPS[(first + coarser).min(STEPS.len() - 1)];
    let width = step.as_nanos() as i64;
    Range::new(UnixNanos(from.0.div_euclid(width) * width), to, Some(step))
}

/// How many coarser steps there are than the finest that fits; see [`range_of`].
pub const COARSER_MAX: usize = STEPS.len() - 1;

/// The question whose picture tells of instances.
pub fn question(range: Range, source: Source) -> Question {
    Question { range, by: By::Version, grain: Grain::InstanceAndProxy, source }
}

/// The question whose parts tell of lost calls.
pub fn losses_question(range: Range, source: Source) -> Question {
    Question { range, by: By::Service, grain: Grain::Told(Told::FLAGS.with(Told::CODE)), source }
}

/// The parts that tell of lost calls of a service, by id or by name.
pub fn losses_wanted(service: &str) -> PartsFrame {
    PartsFrame { server: Some(service.to_owned()), without_latencies: true, ..PartsFrame::default() }
}

/// Instances and rollouts of a service, by id or by name. `picture` and `parts` are of one snapshot and range, by the
/// questions above.
pub fn rollouts(picture: &Picture, parts: &Parts, service: &str) -> Rollouts {
    let (found, doubt) = asked::service(picture, service);
    let mut warnings: Vec<String> = picture.warnings.iter().cloned().chain(doubt).collect();
    let Some(id) = found.as_deref() else {
        return Rollouts {
            range: picture.range,
            service: None,
            instances: vec![],
            rollouts: vec![],
            warnings,
        };
    };
    let steps = |range: &Range| (range.from(), range.to(), range.step());
    let losses = if steps(&parts.range) == steps(&picture.range) {
        Losses::of(parts, id)
    } else {
        warnings.push("what was lost is kept in other steps of time than instances are".to_owned());
        Losses::default()
    };
    let lives = Lives::of(picture, id, &losses.refused());
    warnings.extend(lives.warnings());
    let events = lives.events();
    let mut periods = Periods::of(&events, &picture.range);
    if periods.len() > ROLLOUTS_MAX {
        let older = periods.len() - ROLLOUTS_MAX;
        warnings.push(format!("{older} older rollouts are not shown"));
        periods.drain(..older);
    }
    let costs = losses.costs(&periods);
    let told = periods.iter().zip(costs).rev();
    let rollouts = told.map(|(periods, cost)| rollout(&lives, periods, cost, &picture.range)).collect();
    let instances = lives.newest(&mut warnings);
    Rollouts { range: picture.range, service: found, instances, rollouts, warnings }
}

fn rollout(lives: &Lives, periods: &Periods, cost: Cost, range: &Range) -> Rollout {
    let of = |is_coming: bool| {
        let events = periods.events.iter().filter(move |event| event.is_coming == is_coming);
        events.map(|event| lives.life(event.life)).collect::<Vec<Life>>()
    };
    let (came, went) = (of(true), of(false));
    let figures = |period: &Period| lives.figures(period, range);
    Rollout {
        kind: kind(&came, &went),
        from: range.bucket_start(periods.during.first),
        to: end_of(range, periods.during.end),
        came_count: came.len(),
        went_count: went.len(),
        before: figures(&periods.before),
        during: figures(&periods.during),
        after: figures(&periods.after),
        came: came.into_iter().take(EVENTS_MAX).collect(),
        went: went.into_iter().take(EVENTS_MAX).collect(),
        cost,
    }
}

/// Where the last of the buckets before `end` ends.
fn end_of(range: &Range, end: u16) -> UnixNanos {
    range.bucket_start(end).min(range.to())
}

fn kind(came: &[Life], went: &[Life]) -> RolloutKind {
    let versions = |lives: &[Life]| lives.iter().map(|life| life.version.clone()).collect::<BTreeSet<_>>();
    // A release that is not told is no other release.
    let releases =
        |lives: &[Life]| lives.iter().filter_map(|life| life.proxy_version.clone()).collect::<BTreeSet<_>>();
    let are_both = !came.is_empty() && !went.is_empty();
    if are_both && versions(came) != versions(went) {
        return RolloutKind::NewVersion;
    }
    let (new, old) = (releases(came), releases(went));
    if !new.is_empty() && !old.is_empty() && new != old {
        return RolloutKind::NewProxyVersion;
    }
    match came.len().cmp(&went.len()) {
        std::cmp::Ordering::Equal => RolloutKind::Restart,
        std::cmp::Ordering::Greater => RolloutKind::ScaleUp,
        std::cmp::Ordering::Less => RolloutKind::ScaleDown,
    }
}

#[cfg(test)]
mod tests;
