//! Commits of cells that fail, or that do not tell, and processes that die around them.

use super::super::crash::{Failing, Failure, crashed, open_failing_at};
use super::super::golden::{copy_dir, golden};
use super::*;

/// The commit of `table` fails; the process dies then, or goes on. Every table answers with every row once.
async fn check_failed_commit(table: Table, failure: Failure) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let clock = TestClock::at(at(30));
    let (store, catalog): (Store, Arc<Failing>) = open_failing_at(dir.path(), Arc::new(clock.clone())).await;
    let settling = Settling::of(store, clock.clone());
    settling.spans(&[at(3), at(4), at(16)]).await;
    settling.settle(Wanted::Open).await;
    settling.spans(&[at(4) + 1]).await;
    settling.store.flush_all().await.expect("flush");
    catalog.fail_next(table, failure);
    let settler = Arc::clone(settling.store.maintenance().settler());
    settler.settle(Wanted::Open).await.expect_err("a commit fails");
    settling.check("after the failure").await;

    let copy = crashed(dir.path());
    let reopened = Settling::open(copy.path(), 30).await;
    reopened.check("after the crash").await;
    reopened.settle(Wanted::Open).await;
    reopened.check("when settled after the crash").await;
    assert_eq!(reopened.open_in(table).await, []);
    reopened.store.close().await;

    settling.settle(Wanted::Open).await;
    settling.check("when settled by the process that went on").await;
    assert_eq!(settling.open_in(table).await, []);
    settling.store.maintenance().run(Effort::All).await.expect("merge");
    settling.check("when merged").await;
    settling.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cells_whose_commit_fails_are_made_again() {
    for table in Table::settled() {
        for failure in [Failure::Before, Failure::BeforeUnknown, Failure::AfterUnknown] {
            check_failed_commit(table, failure).await;
        }
    }
}

/// Cells may count rows that are in the log alone. When the log is lost, new records must not take the numbers of those,
/// or their rows would pass for seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_that_a_fold_saw_are_not_used_again_when_the_log_is_lost() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let settling = Settling::open(dir.path(), 30).await;
    settling.spans(&[at(3)]).await;
    settling.spans(&[at(3) + 1]).await;
    settling.settle(Wanted::Open).await;
    settling.store.close().await;
    fs::remove_dir_all(dir.path().join("wal")).expect("remove");
    let settling = Settling::open(dir.path(), 30).await;
    assert_eq!(settling.open_in(Table::Calls1m).await, []);
    settling.spans(&[at(3) + 2]).await;
    assert_eq!(settling.open_in(Table::Calls1m).await, [(1, 6)], "the row is seen to be new");
    settling.store.close().await;
}

/// A file of cells that cannot be read keeps its own window from being settled anew, and no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_cells_that_is_gone_costs_its_window_only() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let settling = Settling::open(dir.path(), 60).await;
    settling.spans(&[at(3), at(33)]).await;
    settling.settle(Wanted::Open).await;
    let files = Arc::clone(settling.snapshot().await.files(Table::Calls1m));
    let broken = files.iter().find(|file| file.time_min_micros == at(3)).expect("a file of minute 3");
    fs::remove_file(dir.path().join(broken.path.as_ref())).expect("remove");
    settling.spans(&[at(4), at(34)]).await;
    let settler = Arc::clone(settling.store.maintenance().settler());
    settler.settle(Wanted::Open).await.expect_err("a file is missing");
    assert_eq!(settling.open_in(Table::Calls1m).await, [(2, 7)]);
    assert_eq!(settling.open_in(Table::Calls10s).await, []);
    settling.store.close().await;
}

/// A directory of format 1, which knows nothing of all this, is settled like any other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_an_old_directory_are_settled() {
    let dir = tempfile::tempdir().expect("temporary directory");
    copy_dir(&golden(), dir.path());
    let settling = Settling::open(dir.path(), 12 * 60).await;
    settling.check("before").await;
    assert_eq!(settling.open_in(Table::Calls1m).await, [(-2, 3)]);
    settling.settle(Wanted::Open).await;
    settling.check("after").await;
    for table in Table::settled() {
        assert_eq!(settling.open_in(table).await, [], "{}", table.name());
    }
    settling.spans(&[at(1)]).await;
    assert_eq!(settling.open_in(Table::Calls1m).await, [(-1, 4)]);
    settling.store.close().await;
}
