//! Settling: cells of settled windows and rows of open ones are all rows, each once, whatever came when, in which order
//! it was settled and what broke in between.
//!
//! The fold of these tests copies rows ([`copy::Copy`]). A minute is due three and a half minutes after its end, and open
//! when a row two minutes before or after it is not seen.

pub(super) mod copy;
mod late;
mod crashes;
mod kept;

use std::sync::Arc;

use meshlake_schema::Table;

use super::maintain::TestClock;
use super::*;
use crate::maintain::Effort;
use crate::minutes::MICROS_PER_MINUTE;
use crate::settle::Wanted;
use crate::test_rows::{rows, span_rows};
use copy::{Copy, answer, at, open_minutes, truth};

const MINUTE: i64 = MICROS_PER_MINUTE;
const FINE: [Table; 2] = [Table::Calls10s, Table::Calls1m];

/// A store with a clock, and a fold that is run by hand.
struct Settling {
    store: Store,
    clock: TestClock,
    fold: Arc<Copy>,
}

impl Settling {
    /// At so many minutes after midnight.
    async fn open(dir: &Path, minute: i64) -> Settling {
        let clock = TestClock::at(at(minute));
        let store = Store::open(config(dir), Arc::new(clock.clone())).await.expect("the store opens");
        Settling::of(store, clock)
    }

    fn of(mut store: Store, clock: TestClock) -> Settling {
        let fold = Arc::new(Copy::default());
        store.settle_with(Arc::clone(&fold) as _).expect("a thread");
        Settling { store, clock, fold }
    }

    async fn spans(&self, times: &[i64]) {
        append(&self.store, vec![span_rows(times)]).await.expect("durable");
    }

    async fn settle(&self, wanted: Wanted) {
        self.store.maintenance().settler().settle(wanted).await.expect("cells are made");
    }

    async fn snapshot(&self) -> Snapshot {
        self.store.reader().snapshot().await.expect("in this process")
    }

    /// Whether every table answers with every row once.
    async fn check(&self, when: &str) {
        let snapshot = self.snapshot().await;
        for table in Table::settled() {
            let truth = truth(&snapshot, table).await;
            assert_eq!(answer(&snapshot, table).await, truth, "{} {when}", table.name());
        }
    }

    async fn open_in(&self, table: Table) -> Vec<(i64, i64)> {
        open_minutes(&self.snapshot().await, table)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_that_are_over_are_settled_and_all_rows_are_answered() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let settling = Settling::open(dir.path(), 0).await;
    settling.spans(&[at(0), at(0) + 1, at(1), at(5)]).await;
    append(&settling.store, vec![rows(Table::Requests, &[at(1) + 7, at(9)])]).await.expect("durable");
    settling.check("before anything is settled").await;
    // Rows at 0, 1, 5 and 9 decide what the calls of the minutes up to two around them are.
    assert_eq!(settling.open_in(Table::Calls1m).await, [(-2, 12)]);
    assert_eq!(settling.open_in(Table::Calls10m).await, [(-10, 20)]);

    // 5 is due at 8:30, but not yet a second before; files and the buffer are settled alike.
    settling.store.flush_all().await.expect("flush");
    settling.clock.set(at(8) + MINUTE / 2 - 1_000_000);
    settling.settle(Wanted::Open).await;
    assert_eq!(settling.open_in(Table::Calls1m).await, [(5, 12)]);
    assert_eq!(
        settling.open_in(Table::Calls10m).await,
        [(0, 20)],
        "the ten minutes before midnight are settled"
    );
    settling.check("when the first five minutes are settled").await;
    settling.spans(&[at(7)]).await;
    settling.clock.set(at(20) + 4 * MINUTE);
    settling.settle(Wanted::Open).await;
    for table in Table::settled() {
        assert_eq!(settling.open_in(table).await, [], "{}", table.name());
    }
    settling.check("when all is settled").await;

    settling.store.maintenance().run(Effort::All).await.expect("merge");
    settling.check("when files of cells are merged").await;
    settling.store.close().await;
    let settling = Settling::open(dir.path(), 24).await;
    settling.check("after a restart").await;
    assert_eq!(settling.open_in(Table::Calls1m).await, []);
    assert_eq!(settling.fold.take_asked(), []);
    settling.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_of_too_many_cells_are_counted() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let settling = Settling::open(dir.path(), 30).await;
    settling.fold.cut.lock().expect("no panic").insert(3);
    settling.spans(&[at(3)]).await;
    settling.settle(Wanted::Open).await;
    // Once with the minutes, once with the ten of them.
    assert_eq!(settling.store.maintenance().settle_stats().windows_cut, 2);
    settling.store.close().await;
}

/// Rows near a minute and no call in it: it is settled all the same, and stays so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minute_without_calls_is_settled_and_stays_settled() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let settling = Settling::open(dir.path(), 30).await;
    settling.fold.silent.lock().expect("no panic").extend(0..30);
    for minute in [3, 10, 16] {
        settling.spans(&[at(minute)]).await;
        settling.settle(Wanted::Open).await;
    }
    assert_eq!(settling.open_in(Table::Calls1m).await, []);
    settling.store.maintenance().run(Effort::All).await.expect("merge");
    assert_eq!(settling.snapshot().await.files(Table::Calls1m).len(), 2, "one a window of 15 minutes");
    settling.store.close().await;
    let settling = Settling::open(dir.path(), 30).await;
    assert_eq!(settling.open_in(Table::Calls10s).await, []);
    // Late rows that are calls: their cells join the file that had none.
    settling.spans(&[at(4)]).await;
    assert_eq!(settling.open_in(Table::Calls10s).await, [(2, 7)]);
    settling.settle(Wanted::Open).await;
    settling.store.maintenance().run(Effort::All).await.expect("merge");
    let cells = times(&settling.snapshot().await, Table::Calls1m).await.0;
    assert_eq!(cells, [at(3), at(4)], "10 and 16 are not folded again");
    settling.store.close().await;
}

/// A minute's cells are made once, however often a round looks; both fine tables in one fold, the coarse one after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_settled_window_is_not_folded_again() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let settling = Settling::open(dir.path(), 14).await;
    settling.spans(&[at(4)]).await;
    settling.settle(Wanted::Open).await;
    let want = vec![(2..7, FINE.to_vec()), (0..10, vec![Table::Calls10m])];
    assert_eq!(settling.fold.take_asked(), want);
    settling.settle(Wanted::Open).await;
    assert_eq!(settling.fold.take_asked(), []);
    let stats = settling.store.maintenance().settle_stats();
    assert_eq!((stats.windows, stats.windows_anew, stats.minutes_settled, stats.commits), (6, 0, 5, 3));
    assert_eq!((stats.minutes_open, stats.behind, stats.failures), (0, std::time::Duration::ZERO, 0));
    settling.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_that_cannot_be_folded_wait_and_keep_no_other_from_its_cells() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let settling = Settling::open(dir.path(), 14).await;
    settling.fold.broken.lock().expect("no panic").insert(3);
    settling.spans(&[at(4)]).await;
    let settler = Arc::clone(settling.store.maintenance().settler());
    settler.settle(Wanted::Round { with_late: true }).await.expect_err("a minute is broken");
    assert_eq!(settling.open_in(Table::Calls1m).await, [(2, 7)], "they were folded together");
    settler.settle(Wanted::Round { with_late: true }).await.expect_err("a minute is broken");
    assert_eq!(settling.open_in(Table::Calls1m).await, [(3, 4)], "one by one all others are settled");
    settling.check("with one minute open").await;
    settling.fold.take_asked();
    settler.settle(Wanted::Round { with_late: true }).await.expect("the broken one waits");
    assert_eq!(settling.fold.take_asked(), []);
    assert_eq!(settling.store.maintenance().settle_stats().failures, 3, "one of them of ten minutes");
    settling.fold.broken.lock().expect("no panic").clear();
    settling.clock.set(at(14) + MINUTE);
    settler.settle(Wanted::Round { with_late: true }).await.expect("it is mended");
    assert_eq!(settling.open_in(Table::Calls1m).await, []);
    settling.check("when it is mended").await;
    settling.store.close().await;
}
