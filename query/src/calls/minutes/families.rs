//! What is kept of minutes, by groupings, and what is known of each.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use meshlake_calls::settled::lines::LINES_MAX;
use meshlake_calls::{Digest, Lines, Question};
use meshlake_engine::Query;
use meshlake_schema::{SETTLE_MARGIN_MINUTES, UnixNanos};
use tokio::sync::Mutex as Turn;

use super::{first_running, times, version};
use crate::calls::LoadError;
use crate::calls::running::{self, Runs};

/// Groupings of which minutes are kept: what the pages of one mesh ask for.
pub const FAMILIES_MAX: usize = 8;

/// Minutes that are kept of one. Five or six are over and not settled where all goes well; more where late rows opened some.
pub const MINUTES_MAX: usize = 120;

/// Bytes that they take: at 1,500 edges told at both ends some 800 KB a minute, by estimate.
pub const FAMILY_BYTES_MAX: usize = 16 << 20;

/// Groupings whose running minutes are counted as their spans come, some 150 MB each at 50,000 a second.
const RUNNING_MAX: usize = 2;

/// How long one of them is not asked for before it makes room for another: pages ask every few seconds.
const RUNNING_IDLE: Duration = Duration::from_secs(60);

/// What is kept, of all tenants.
#[derive(Debug, Default)]
pub struct Kept {
    pub families: Mutex<Families>,
}

#[derive(Debug, Default)]
pub struct Families {
    pub by_key: HashMap<String, (u64, Arc<Turn<Family>>)>,
    uses: u64,
    /// Those whose running minutes are counted as their spans come, and when they were asked for last.
    running: Vec<(String, UnixNanos)>,
}

/// Minutes of one tenant that tell the same apart.
#[derive(Debug)]
pub struct Family {
    pub lines: Arc<RwLock<Lines>>,
    pub minutes: BTreeMap<i64, Known>,
    /// How many minutes around one told of it, the last time.
    pub margin: i64,
    runs: Runs,
}

impl Default for Family {
    fn default() -> Self {
        Family { lines: Arc::default(), minutes: BTreeMap::new(), margin: 1, runs: Runs::default() }
    }
}

/// The last records near a minute: in the minutes beside it, and in two of them on both sides.
pub type Version = [u64; SETTLE_MARGIN_MINUTES as usize];

#[derive(Debug)]
pub struct Known {
    pub version: Version,
    pub what: What,
}

#[derive(Debug)]
pub enum What {
    /// A question saw it so.
    Seen,
    /// It has too many cells.
    TooMuch,
    /// What it counts, told by the rows of so many minutes around.
    Counted(Arc<Digest>, Told),
}

/// What is known of the rows that told of minutes which were counted together.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// How many minutes around told of them.
    pub margin: i64,
    /// When the earliest of them starts.
    pub first_row: Option<UnixNanos>,
}

impl Known {
    /// Whether it is as it was.
    pub fn is_of(&self, version: &Version) -> bool {
        let margin = match self.what {
            What::Counted(_, told) => told.margin,
            What::Seen | What::TooMuch => SETTLE_MARGIN_MINUTES,
        };
        let at = (margin - 1) as usize;
        self.version[at] == version[at]
    }
}

impl Kept {
    /// Whether running minutes may be counted as their spans come: those of few groupings at a time, and of others once one of
    /// these was not asked for any more.
    pub fn may_run(&self, key: &str, now: UnixNanos) -> bool {
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, asked)) = families.running.iter_mut().find(|(known, _)| known == key) {
            *asked = now;
            return true;
        }
        if families.running.len() == RUNNING_MAX {
            let idle = families.running.iter().position(|(_, asked)| asked.plus(RUNNING_IDLE) < now);
            let Some(idle) = idle else { return false };
            let (key, _) = families.running.swap_remove(idle);
            if let Some((_, family)) = families.by_key.get(&key)
                && let Ok(mut family) = family.try_lock()
            {
                family.runs = Runs::default();
            }
        }
        families.running.push((key.to_owned(), now));
        true
    }

    pub fn family(&self, key: String) -> Arc<Turn<Family>> {
        // Each change is one insertion or removal.
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        families.uses += 1;
        let uses = families.uses;
        let (used, family) = families.by_key.entry(key).or_default();
        *used = uses;
        let family = Arc::clone(family);
        if families.by_key.len() > FAMILIES_MAX {
            let by_use = families.by_key.iter().map(|(key, (used, _))| (*used, key.clone()));
            if let Some((_, oldest)) = by_use.min() {
                families.by_key.remove(&oldest);
                families.running.retain(|(key, _)| *key != oldest);
            }
        }
        family
    }
}

impl Family {
    /// What is told of the minutes that run. Those of them that are over by now are kept.
    pub async fn running(
        &mut self,
        query: &Query,
        question: &Question,
        width: Duration,
    ) -> Result<Option<running::Told>, LoadError> {
        let first = first_running(self.margin, query.began());
        let Family { runs, margin, lines, .. } = self;
        let Some(told) = running::told(query, question, runs, first, margin, lines).await? else {
            return Ok(None);
        };
        self.margin = told.margin;
        let records = query
            .last_records(times(told.first_minute - SETTLE_MARGIN_MINUTES, first + SETTLE_MARGIN_MINUTES));
        for minute in told.first_minute..first {
            let version = version(&records, minute);
            if self.counted(minute, &version).is_none() {
                let digest = Arc::new(told.digest.within(&[times(minute, minute)]).widened(width));
                let what = What::Counted(digest, Told { margin: told.margin, first_row: told.first_row });
                self.minutes.insert(minute, Known { version, what });
            }
        }
        Ok(Some(told))
    }

    /// Whether a minute is to be counted. What changed since it was looked for last may change again, and is only remembered.
    pub fn looks_for(&mut self, minute: i64, version: Version) -> bool {
        match self.minutes.get_mut(&minute) {
            Some(known) if known.is_of(&version) => matches!(known.what, What::Seen),
            Some(known) => {
                *known = Known { version, what: What::Seen };
                false
            }
            None => true,
        }
    }

    pub fn counted(&self, minute: i64, version: &Version) -> Option<(Arc<Digest>, Told)> {
        let known = self.minutes.get(&minute).filter(|known| known.is_of(version))?;
        match &known.what {
            What::Counted(digest, told) => Some((Arc::clone(digest), *told)),
            What::Seen | What::TooMuch => None,
        }
    }

    /// Keeps what was counted of a run of minutes; those without a cell have an empty digest.
    pub fn keep(
        &mut self,
        run: &[i64],
        counted: Option<(Told, Vec<(i64, Digest)>)>,
        version: impl Fn(i64) -> Version,
    ) {
        let Some((told, digests)) = counted else {
            let too_much = |minute: &i64| (*minute, Known { version: version(*minute), what: What::TooMuch });
            self.minutes.extend(run.iter().map(too_much));
            return;
        };
        self.margin = told.margin;
        let mut digests: HashMap<i64, Digest> = digests.into_iter().collect();
        for minute in run {
            let digest = Arc::new(digests.remove(minute).unwrap_or_default());
            let what = What::Counted(digest, told);
            self.minutes.insert(*minute, Known { version: version(*minute), what });
        }
    }

    /// Lets go of the oldest minutes where there are too many, and of all where their names are.
    pub fn make_room(&mut self) {
        let bytes = |known: &Known| match &known.what {
            What::Counted(digest, _) => digest.bytes(),
            What::Seen | What::TooMuch => 0,
        };
        let mut left: usize = self.minutes.values().map(bytes).sum();
        while self.minutes.len() > MINUTES_MAX || left > FAMILY_BYTES_MAX {
            let Some((_, known)) = self.minutes.pop_first() else { break };
            left -= bytes(&known);
        }
        let lines = self.lines.read().unwrap_or_else(PoisonError::into_inner);
        let names = lines.len().max(lines.details_len());
        drop(lines);
        if names > LINES_MAX / 2 {
            *self = Family::default();
        }
    }
}
