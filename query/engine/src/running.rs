//! What is planned and run now: the first to be ended when memory is short, and what to go on without when it does not end.
//!
//! An entry lives as long as its work, which is longer than anybody may wait for it: a step of a plan, or of planning,
//! ends only by itself. Until then it keeps its place among the concurrent queries and its thread. Nearly all of them end
//! within milliseconds. One that has not after [`STUCK_TIME`] is left behind: it loses its place and is told of in the log, and who has
//! the threads makes others. Limits: it keeps its core and its memory for as long as it takes; nothing can end a thread.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use crate::error::QueryError;
use crate::stop::Stop;

/// How long after it was stopped work may go on. A step may sort a gigabyte or hand over a table of groups, and a machine be
/// under load. Guess, not measured.
const STUCK_TIME: Duration = Duration::from_secs(10);

/// All work of one engine.
#[derive(Debug, Default)]
pub struct Running(Mutex<Works>);

#[derive(Debug, Default)]
struct Works {
    /// By the order in which they began.
    works: BTreeMap<u64, Work>,
    begun: u64,
}

#[derive(Debug)]
struct Work {
    stop: Stop,
    holds: Holds,
    is_left_behind: bool,
}

/// What work keeps from others.
#[derive(Debug)]
pub enum Holds {
    /// Its place, while it is planned, for a plan has a thread of its own.
    Place(Option<Arc<OwnedSemaphorePermit>>),
    /// Threads, by their number.
    Threads(u64),
}

/// Work goes on until this is dropped.
#[derive(Debug)]
pub struct Entry {
    running: Arc<Running>,
    number: u64,
}

impl Running {
    /// Enters work that `stop` stops.
    pub fn enter(self: &Arc<Self>, stop: &Stop, holds: Holds) -> Entry {
        let mut works = self.works();
        let number = works.begun;
        works.begun += 1;
        works.works.insert(number, Work { stop: stop.clone(), holds, is_left_behind: false });
        Entry { running: Arc::clone(self), number }
    }

    /// Ends the oldest work that may still go on, for the reason `why`, and says what it is. The oldest, because what takes
    /// much has mostly taken long.
    pub fn end_oldest(&self, why: &QueryError) -> Option<Stop> {
        let works = self.works();
        let mut stops = works.works.values().map(|work| &work.stop);
        let oldest = stops.find(|stop| stop.stopped_for().is_none())?.clone();
        drop(works);
        oldest.end(why.clone());
        Some(oldest)
    }

    /// Leaves behind what does not end, and says which threads are lost with it.
    pub fn leave_stuck(&self) -> Vec<u64> {
        self.leave_stuck_after(STUCK_TIME)
    }

    fn leave_stuck_after(&self, time: Duration) -> Vec<u64> {
        let mut lost = Vec::new();
        for work in self.works().works.values_mut().filter(|work| !work.is_left_behind) {
            let Some(stopped_for) = work.stop.stopped_for().filter(|stopped| *stopped >= time) else {
                continue;
            };
            work.is_left_behind = true;
            let (what, is_planned) = (work.stop.what(), matches!(work.holds, Holds::Place(_)));
            tracing::warn!(what, is_planned, ?stopped_for, "a query was stopped and goes on");
            match &mut work.holds {
                Holds::Place(place) => *place = None,
                Holds::Threads(number) => lost.push(*number),
            }
        }
        lost
    }

    /// How many threads, at least, were left behind with what still goes on. What waits on threads behind a step that keeps them
    /// is counted with it.
    pub fn left_behind(&self) -> usize {
        let works = self.works();
        let left_behind = || works.works.values().filter(|work| work.is_left_behind);
        let planned = left_behind().filter(|work| matches!(work.holds, Holds::Place(_))).count();
        let threads = left_behind().filter_map(|work| match work.holds {
            Holds::Threads(number) => Some(number),
            Holds::Place(_) => None,
        });
        planned + threads.collect::<BTreeSet<_>>().len()
    }

    /// What a panic leaves behind is whole: entries come and go in one step.
    fn works(&self) -> MutexGuard<'_, Works> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let ended = self.running.works().works.remove(&self.number);
        if let Some(ended) = ended.filter(|work| work.is_left_behind) {
            let (what, stopped_for) = (ended.stop.what(), ended.stop.stopped_for());
            tracing::warn!(what, ?stopped_for, "a query that was left behind has ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    fn short() -> QueryError {
        QueryError::Memory("short".to_owned())
    }

    #[test]
    fn the_oldest_that_goes_on_is_ended() {
        let (running, stops) = (Arc::new(Running::default()), [(); 3].map(|()| Stop::default()));
        let mut entries: Vec<_> = stops.iter().map(|stop| running.enter(stop, Holds::Threads(0))).collect();
        stops[0].stop();
        assert!(running.end_oldest(&short()).is_some());
        assert_eq!(stops[1].check().map_err(QueryError::from), Err(short()));
        assert!(stops[2].check().is_ok());
        entries.pop();
        assert!(running.end_oldest(&short()).is_none(), "nothing goes on that was not stopped");
    }

    #[test]
    fn what_does_not_end_loses_its_place_and_its_threads_once() {
        let (running, places) = (Arc::new(Running::default()), Arc::new(Semaphore::new(1)));
        let place = Arc::clone(&places).try_acquire_owned().expect("it is free");
        let (planned, run, other) = (Stop::default(), Stop::default(), Stop::default());
        let planning = running.enter(&planned, Holds::Place(Some(Arc::new(place))));
        let _both = [(); 2].map(|()| running.enter(&run, Holds::Threads(7)));
        let _other = running.enter(&other, Holds::Threads(8));
        planned.stop();
        run.stop();
        assert!(running.leave_stuck().is_empty(), "it has had no time");
        assert_eq!((places.available_permits(), running.left_behind()), (0, 0));
        assert_eq!(running.leave_stuck_after(Duration::ZERO), [7, 7]);
        assert_eq!((places.available_permits(), running.left_behind()), (1, 2), "a planner and threads");
        assert!(running.leave_stuck_after(Duration::ZERO).is_empty());
        drop(planning);
        assert_eq!((places.available_permits(), running.left_behind()), (1, 1));
    }

    #[test]
    fn a_place_is_free_once_its_work_has_ended() {
        let (running, places) = (Arc::new(Running::default()), Arc::new(Semaphore::new(1)));
        let place = Arc::clone(&places).try_acquire_owned().expect("it is free");
        drop(running.enter(&Stop::default(), Holds::Place(Some(Arc::new(place)))));
        assert_eq!(places.available_permits(), 1);
    }
}
