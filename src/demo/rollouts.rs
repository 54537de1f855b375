//! Rolling restarts: every few minutes the pods of one service are replaced one after the other. One restart costs nothing, as it
//! should; the next kills each pod while the proxies that call it still believe in it; the third upgrades the proxies beside
//! them, at no cost. Then it begins anew.
//!
//! The schedule depends on how long the mesh has run and on nothing else, so that a seed still makes the same calls.
//! Limit: pods that are gone are kept track of, a few hundred bytes each.

use serde::Serialize;

use super::mesh::{PRODUCTPAGE, Replacement};

const SECOND: u64 = 1_000_000_000;

/// The service whose pods are replaced: the one that every call passes.
pub const SERVICE: &str = PRODUCTPAGE;

/// When the first restart begins, and how long after one begins the next does: long enough that minutes before and after
/// say what is usual, short enough for a demo.
const FIRST: u64 = 240 * SECOND;
const EVERY: u64 = 300 * SECOND;

/// How long after one pod the next is replaced: what a pod takes to start.
const BETWEEN_PODS: u64 = 20 * SECOND;

/// How long proxies send calls to a pod that is dead, where a restart costs something: time for its endpoint to be taken out
/// everywhere.
const DEAD_FOR: u64 = 6 * SECOND;

/// Pods of the service.
const PODS: u64 = 2;

/// What one restart after the other is, over and over.
const RESTARTS: [Replacement; 3] = [Replacement::Drained, Replacement::Killed, Replacement::Upgraded];

const _: () = assert!(FIRST >= 120 * SECOND && EVERY >= PODS * BETWEEN_PODS + 2 * 120 * SECOND);

/// What happens to the mesh at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The oldest pod of [`SERVICE`] makes way for a new one.
    Replace(Replacement),
    /// No proxy believes in the dead pod any more.
    Forget,
}

/// What is to happen.
#[derive(Debug, Clone, Default)]
pub struct Schedule {
    done: u64,
}

impl Schedule {
    /// What happens by `elapsed`, nanoseconds since the mesh began, and has not happened yet, in order.
    pub fn due(&mut self, elapsed: u64) -> Vec<Change> {
        let mut due = Vec::new();
        while time_of(self.done) <= elapsed {
            due.push(change(self.done));
            self.done += 1;
        }
        due
    }
}

/// Each pod of each restart is two changes.
fn time_of(change: u64) -> u64 {
    let (pod, is_forget) = (change / 2, change % 2 == 1);
    let (restart, place) = (pod / PODS, pod % PODS);
    FIRST + restart * EVERY + place * BETWEEN_PODS + if is_forget { DEAD_FOR } else { 0 }
}

fn change(change: u64) -> Change {
    let restart = change / (2 * PODS);
    let how = RESTARTS[restart as usize % RESTARTS.len()];
    if change % 2 == 1 { Change::Forget } else { Change::Replace(how) }
}

/// One restart as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RolloutTruth {
    pub service: String,
    pub kind: &'static str,
    /// Pods, in the order in which they were replaced.
    pub went: Vec<String>,
    pub came: Vec<String>,
    /// Calls that met a dead pod: the caller's proxy answered them with 503 and the flag UF.
    pub lost: u64,
}

/// Writes restarts down.
#[derive(Debug, Clone, Default)]
pub struct Rollouts {
    all: Vec<RolloutTruth>,
}

impl Rollouts {
    pub fn replaced(&mut self, node: &str, how: Replacement, old: &str, new: &str) {
        let is_next = self.all.last().is_none_or(|last| last.went.len() as u64 == PODS);
        if is_next {
            // By the names of the answer.
            let kind = match how {
                Replacement::Drained | Replacement::Killed => "restart",
                Replacement::Upgraded => "new_proxy_version",
            };
            let service = node.to_owned();
            self.all.push(RolloutTruth { service, kind, went: Vec::new(), came: Vec::new(), lost: 0 });
        }
        if let Some(last) = self.all.last_mut() {
            last.went.push(old.to_owned());
            last.came.push(new.to_owned());
        }
    }

    /// A call met a dead pod.
    pub fn lost(&mut self) {
        if let Some(last) = self.all.last_mut() {
            last.lost += 1;
        }
    }

    /// In order of time.
    pub fn truth(&self) -> Vec<RolloutTruth> {
        self.all.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_quiet_then_deadly_then_an_upgrade() {
        let mut schedule = Schedule::default();
        assert_eq!(schedule.due(240 * SECOND - 1), []);
        let quiet = Change::Replace(Replacement::Drained);
        assert_eq!(schedule.due(240 * SECOND), [quiet]);
        assert_eq!(schedule.due(266 * SECOND), [Change::Forget, quiet, Change::Forget]);
        let deadly = Change::Replace(Replacement::Killed);
        assert_eq!(schedule.due(600 * SECOND), [deadly, Change::Forget, deadly, Change::Forget]);
        let upgrade = Change::Replace(Replacement::Upgraded);
        assert_eq!(schedule.due(900 * SECOND), [upgrade, Change::Forget, upgrade, Change::Forget]);
        assert_eq!(schedule.due(1_140 * SECOND), [quiet]);
    }

    #[test]
    fn a_restart_is_as_many_pods_as_there_are() {
        let mut rollouts = Rollouts::default();
        let (drained, upgraded) = (Replacement::Drained, Replacement::Upgraded);
        for (how, old, new) in [(drained, "a", "c"), (drained, "b", "d"), (upgraded, "c", "e")] {
            rollouts.replaced("default/productpage", how, old, new);
            rollouts.lost();
        }
        let truth = rollouts.truth().into_iter();
        let told: Vec<_> = truth.map(|r| (r.kind, r.went.concat(), r.came.concat(), r.lost)).collect();
        let restart = |kind, went: &str, came: &str, lost| (kind, went.to_owned(), came.to_owned(), lost);
        assert_eq!(told, [restart("restart", "ab", "cd", 2), restart("new_proxy_version", "c", "e", 1)]);
    }
}
