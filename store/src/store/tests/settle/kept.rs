//! For how long cells are kept, and what becomes of those whose rows are gone.

use meshlake_schema::{TimeRange, UnixNanos};

use super::*;
use crate::maintain::MaintainConfig;
use crate::retain::Retention;

const DAY: i64 = 24 * 60;

fn with_retention(dir: &Path, change: impl FnOnce(&mut Retention)) -> StoreConfig {
    let mut retention = Retention::default();
    change(&mut retention);
    StoreConfig { maintain: MaintainConfig { is_automatic: false, retention }, ..config(dir) }
}

async fn open_with(config: StoreConfig, minute: i64) -> Settling {
    let clock = TestClock::at(at(minute));
    let store = Store::open(config, Arc::new(clock.clone())).await.expect("the store opens");
    Settling::of(store, clock)
}

async fn cells(settling: &Settling, table: Table) -> Vec<i64> {
    times(&settling.snapshot().await, table).await.0
}

/// Rows of the first day are dropped, their cells stay, and a row that comes for that day later does not make them
/// fewer: also when the configuration keeps rows for longer from then on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cells_stay_when_their_rows_are_dropped_and_are_never_made_less() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let spans_days =
        |days| move |retention: &mut Retention| retention.days[Table::Spans.index()] = Some(days);
    let settling = open_with(with_retention(dir.path(), spans_days(1)), 3 * DAY).await;
    settling.spans(&[at(5), at(DAY), at(DAY + 5), at(2 * DAY + 5)]).await;
    settling.store.flush_all().await.expect("flush");
    settling.settle(Wanted::Open).await;
    let all = [at(5), at(DAY), at(DAY + 5), at(2 * DAY + 5)];
    assert_eq!(cells(&settling, Table::Calls1m).await, all);
    settling.store.maintenance().run(Effort::All).await.expect("drop");
    assert_eq!(times(&settling.snapshot().await, Table::Spans).await.0, all[1..]);
    settling.store.close().await;

    let settling = open_with(with_retention(dir.path(), spans_days(30)), 3 * DAY).await;
    // The first minutes of the second day have lost the margin before them.
    settling.spans(&[at(6), at(DAY + 1), at(DAY + 6)]).await;
    // Minute 8 was never settled and cannot be any more: its rows are answered for as long as they are there.
    assert_eq!(settling.open_in(Table::Calls1m).await, [(8, 9), (DAY + 2, DAY + 9)]);
    settling.settle(Wanted::Open).await;
    settling.store.maintenance().rederive(TimeRange::ALL).await.expect("make anew");
    let want = [at(5), at(DAY), at(DAY + 5), at(DAY + 6), at(2 * DAY + 5)];
    assert_eq!(cells(&settling, Table::Calls1m).await, want);
    assert_eq!(
        cells(&settling, Table::Calls10m).await[..3],
        [at(0), at(DAY), at(DAY)],
        "that window is frozen"
    );
    let late = settling.snapshot().await.frozen_late(Table::Calls10m, TimeRange::ALL);
    // The last window of the first day has the second day's first rows in its margin.
    assert_eq!(minutes(&late), [(0, 10), (DAY - 10, DAY + 10)], "and tells so");
    settling.store.close().await;
}

fn minutes(times: &[TimeRange]) -> Vec<(i64, i64)> {
    let minute = |time: UnixNanos| (time.micros() - at(0)).div_euclid(60_000_000);
    times.iter().map(|times| (minute(times.from), minute(times.to))).collect()
}

/// Three days with a row each. Cells of a minute are kept for a day, as rows are; those of ten seconds for an hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_wider_cells_tell_is_told() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let config = with_retention(dir.path(), |retention| {
        for table in [Table::Spans, Table::Requests, Table::Calls1m] {
            retention.days[table.index()] = Some(1);
        }
        retention.calls_10s_hours = Some(1);
    });
    let settling = open_with(config, 3 * DAY).await;
    settling.spans(&[at(5), at(DAY + 5), at(2 * DAY + 5)]).await;
    settling.store.flush_all().await.expect("flush");
    settling.settle(Wanted::Open).await;
    let only_wider = async |table, range| minutes(&settling.snapshot().await.only_wider(table, range));
    assert_eq!(only_wider(Table::Calls10s, TimeRange::ALL).await, [], "rows are still there");
    settling.store.maintenance().run(Effort::All).await.expect("drop");
    assert_eq!(cells(&settling, Table::Calls10m).await, [at(0), at(DAY), at(2 * DAY)]);
    // The second day's rows are kept, but for the margin of its first minutes nothing is told anew.
    assert_eq!(only_wider(Table::Calls1m, TimeRange::ALL).await, [(0, 10)]);
    assert_eq!(only_wider(Table::Calls10m, TimeRange::ALL).await, [], "there is no wider one");
    let range = |from, to| TimeRange { from: UnixNanos(at(from) * 1_000), to: UnixNanos(at(to) * 1_000) };
    assert_eq!(only_wider(Table::Calls1m, range(9, DAY)).await, [(0, 10)], "whole windows");
    assert_eq!(only_wider(Table::Calls1m, range(10, 3 * DAY)).await, []);
    settling.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_table_of_cells_is_kept_for_its_own_time() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let settling = Settling::open(dir.path(), 9 * DAY).await;
    // A row a day, so that no date stands alone, and one seven hours before the last.
    let last = 8 * DAY + 12 * 60;
    let days: Vec<i64> = (0..9).map(|day| at(day * DAY + 12 * 60)).collect();
    settling.spans(&days).await;
    settling.spans(&[at(last - 7 * 60), at(last - 5 * 60)]).await;
    settling.store.flush_all().await.expect("flush");
    settling.settle(Wanted::Open).await;
    let want_10s = [at(last - 5 * 60), at(last)];
    assert_eq!(cells(&settling, Table::Calls10s).await, want_10s, "older ones are not even made");
    assert_eq!(cells(&settling, Table::Calls1m).await[0], days[1], "seven days before the newest date");
    assert_eq!(cells(&settling, Table::Calls10m).await[0], days[0]);
    settling.check("which a table that is not kept does not change").await;

    // A day later all but the newest have left the finer tables.
    let next = at(last + DAY);
    settling.clock.set(at(10 * DAY));
    settling.spans(&[next]).await;
    settling.store.flush_all().await.expect("flush");
    settling.store.maintenance().run(Effort::All).await.expect("drop and settle");
    assert_eq!(cells(&settling, Table::Calls10s).await, [next]);
    assert_eq!(cells(&settling, Table::Calls1m).await[0], days[2]);
    assert_eq!(cells(&settling, Table::Calls10m).await[0], days[0]);
    settling.check("when cells were dropped").await;
    settling.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cells_are_made_anew_in_a_range_and_nowhere_else() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let settling = Settling::open(dir.path(), 60).await;
    settling.spans(&[at(3), at(23), at(24), at(43)]).await;
    settling.settle(Wanted::Open).await;
    settling.fold.take_asked();
    let range = TimeRange { from: UnixNanos(at(23) * 1_000 + 1), to: UnixNanos(at(25) * 1_000) };
    settling.store.maintenance().rederive(range).await.expect("make anew");
    let want = vec![(23..25, FINE.to_vec()), (20..30, vec![Table::Calls10m])];
    assert_eq!(settling.fold.take_asked(), want);
    settling.check("after some were made anew").await;
    settling.store.maintenance().rederive(TimeRange::ALL).await.expect("make anew");
    settling.check("after all were").await;
    assert_eq!(settling.store.maintenance().settle_stats().windows_anew, 2 + 1 + 16 + 3);
    settling.store.close().await;
}
