//! What a fold is told before rows are added: how much it may hold, what of it is shown and listed.

use std::sync::Arc;

use meshlake_schema::{Budget, TimeRange};

use super::Fold;
use crate::cells::{SETTLED_BYTES_MAX, SETTLED_CELLS_MAX};
use crate::condense::Beyond;
use crate::drawing::Shown;
use crate::frame::Frame;
use crate::noted::{Notes, Wish};

/// Of the room for settled cells, what is taken where memory does not even suffice for that and one trace.
const LITTLE_SHARE: usize = 8;

impl Fold {
    /// Makes the picture of what the frame shows. All else is counted all the same, as far as it tells of that.
    #[must_use]
    pub fn framed(mut self, frame: Frame) -> Fold {
        self.frame = frame;
        self
    }

    /// Has room for as many cells as are settled together, and does so where there are more.
    #[must_use]
    pub fn settling(self, beyond: Beyond) -> Fold {
        self.bounded(SETTLED_CELLS_MAX, SETTLED_BYTES_MAX, beyond)
    }

    /// As [`Fold::settling`], for rows that do not fit otherwise: with little room for cells, and the ten seconds of a trace or of a
    /// request id by themselves, so that a trace of any number of spans is counted. Calls from one part to the next are on no
    /// edge; [`crate::Settled::is_cut`] tells.
    #[must_use]
    pub fn settling_in_little(mut self) -> Fold {
        self.is_sliced = true;
        self.bounded(
            SETTLED_CELLS_MAX / LITTLE_SHARE,
            SETTLED_BYTES_MAX / LITTLE_SHARE,
            Beyond::OthersOfNames,
        )
    }

    /// The same with room for so many, and for so many bytes of them.
    #[must_use]
    pub fn bounded(mut self, cells_max: usize, bytes_max: usize, beyond: Beyond) -> Fold {
        self.book.bound(cells_max, bytes_max, beyond);
        self
    }

    /// Tells apart only what is shown, as a fold of the same rows by node alone found out; all else is counted no finer than that.
    /// So the operations of one service by minute are answered however many others there are.
    #[must_use]
    pub fn showing(mut self, shown: Shown) -> Fold {
        self.book.show_only(shown.parties, shown.ends);
        self
    }

    /// Lists calls beside counting them: the newest, of each cell so many.
    #[must_use]
    pub fn listing(mut self, most: usize) -> Fold {
        self.book.notes = Notes::new(most, Wish::Newest);
        self
    }

    /// Lists calls as examples beside counting them: those that tell most, of each cell and kind of evidence so many.
    #[must_use]
    pub fn exemplifying(mut self, most: usize, wish: Wish) -> Fold {
        self.book.notes = Notes::new(most, wish);
        self
    }

    /// Counts calls that rows tell of at these times only, ascending and apart; at all others cells tell.
    #[must_use]
    pub fn fold_only(mut self, times: Vec<TimeRange>) -> Fold {
        self.book.fold_only(times);
        self
    }

    /// Takes the memory for rows from `budget`, before any are added, and ends when its time is up.
    #[must_use]
    pub fn within(mut self, budget: Arc<dyn Budget>) -> Fold {
        self.requests.take_from(Arc::clone(&budget));
        self.spans.take_from(Arc::clone(&budget));
        self.beside.take_from(Arc::clone(&budget));
        self.budget = Some(budget);
        self
    }

    /// Walks traces on so many threads at the same time, at least one.
    #[must_use]
    pub fn on_threads(mut self, threads: usize) -> Fold {
        self.threads = threads;
        self
    }
}
