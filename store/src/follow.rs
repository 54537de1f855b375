//! One tenant's rows of a table, as they become durable.
//!
//! Nothing is queued for a follower: it holds the number of the last record that it has seen, and reads the next
//! batch from the buffer when it is asked for one. So a slow follower costs no more than a fast one, holds no row
//! back from its flush, and learns which records it has missed: their rows are in files by then.

use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use meshlake_schema::Table;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::buffer::{Buffer, Step};
use crate::group::Lsn;
use crate::snapshot::{Own, ReadError};

/// Streams at the same time. Each wakes for every record and holds a batch at most, some 250 KB of spans. Guess,
/// not measured.
pub const FOLLOWERS_MAX: usize = 64;

/// Whose rows of which table are followed, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    /// Not a derived one: its rows are made at a flush.
    pub table: Table,
    /// Columns of the table's schema in memory, in the order in which they are to come.
    pub columns: Vec<String>,
    /// No row of another tenant comes.
    pub tenant: String,
    /// Rows of records above this one come; those at or below it do not.
    pub after: Lsn,
}

/// What a follower is told, in the order of records.
#[derive(Debug, Clone, PartialEq)]
pub enum Followed {
    /// The tenant's rows of records up to `through` that did not come before; never none.
    Rows { through: Lsn, rows: RecordBatch },
    /// Rows of records above `after` and up to `through` went to files before they were read. There may be none
    /// among them that are the tenant's.
    Missed { after: Lsn, through: Lsn },
}

/// Ends only when it is dropped, or with an error, which is a bug of ours.
///
/// cancel: a stream that is dropped has no effect on anything.
pub type FollowStream = BoxStream<'static, Result<Followed, ReadError>>;

/// `place` is given back when the stream is dropped.
pub(crate) fn follow(
    buffer: Arc<Buffer>,
    from: &Follow,
    place: OwnedSemaphorePermit,
) -> Result<FollowStream, ReadError> {
    if from.table.log_id().is_none() {
        return Err(ReadError(format!(
            "rows of {} are made at a flush and cannot be followed",
            from.table.name()
        )));
    }
    let own = Own::new(from.table, &from.tenant, &from.columns)?;
    let published = buffer.published();
    let follower = Follower { buffer, table: from.table, own, after: from.after, published, _place: place };
    let next = |mut follower: Follower| async { Some((follower.next().await?, follower)) };
    Ok(stream::unfold(follower, next).boxed())
}

struct Follower {
    buffer: Arc<Buffer>,
    table: Table,
    own: Own,
    /// The last record that was seen.
    after: Lsn,
    published: watch::Receiver<Lsn>,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    async fn next(&mut self) -> Option<Result<Followed, ReadError>> {
        loop {
            // What is published after this look wakes the wait below.
            self.published.mark_unchanged();
            let after = self.after;
            match self.buffer.step(self.table, after) {
                Step::InFiles { through } => {
                    self.after = through;
                    return Some(Ok(Followed::Missed { after, through }));
                }
                Step::Rows(hot) => {
                    self.after = hot.lsn_last;
                    match self.own.rows(&hot.batch) {
                        Ok(Some(rows)) => return Some(Ok(Followed::Rows { through: hot.lsn_last, rows })),
                        Ok(None) => {}
                        Err(error) => return Some(Err(error)),
                    }
                }
                Step::Wait { through } => {
                    self.after = after.max(through);
                    self.published.changed().await.ok()?;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Wake};

    use arrow::array::AsArray as _;
    use arrow::datatypes::TimestampMicrosecondType;
    use futures::FutureExt as _;
    use meshlake_schema::PerTable;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::catalog::Committed;
    use crate::test_rows::{ledger_rows, rows};

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    fn buffer() -> Arc<Buffer> {
        Arc::new(Buffer::new(PerTable::default()))
    }

    /// The ledger's rows are all of one tenant, `same`.
    fn ledger(buffer: &Buffer, lsn: Lsn, times: &[i64]) {
        let changes: Vec<(i64, i64)> = times.iter().map(|time| (*time, 1)).collect();
        buffer.publish(lsn, vec![ledger_rows(&changes)]);
    }

    fn following(buffer: &Arc<Buffer>, after: Lsn) -> FollowStream {
        let (table, tenant) = (Table::Ledger, "same".to_owned());
        let from = Follow { table, columns: vec!["time".to_owned()], tenant, after };
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("one place");
        follow(Arc::clone(buffer), &from, place).expect("a column of the ledger")
    }

    /// `Ok` times up to a record, or `Err` what was missed.
    type Seen = Result<(Lsn, Vec<i64>), (Lsn, Lsn)>;

    /// What comes at once; none while the stream waits.
    fn now(stream: &mut FollowStream) -> Option<Seen> {
        let followed = stream.next().now_or_never()?.expect("it never ends").expect("no bug");
        Some(match followed {
            Followed::Missed { after, through } => Err((after, through)),
            Followed::Rows { through, rows } => {
                let times = rows.column(0).as_primitive::<TimestampMicrosecondType>();
                Ok((through, times.values().to_vec()))
            }
        })
    }

    #[test]
    fn rows_come_once_as_they_are_published() {
        let buffer = buffer();
        ledger(&buffer, 1, &[10]);
        let mut stream = following(&buffer, 0);
        assert_eq!(now(&mut stream), Some(Ok((1, vec![10]))));
        assert_eq!(now(&mut stream), None);
        ledger(&buffer, 2, &[20, 21]);
        buffer.publish(3, vec![rows(Table::Logs, &[0])]);
        assert_eq!(now(&mut stream), Some(Ok((2, vec![20, 21]))));
        assert_eq!(now(&mut stream), None, "other tables' rows are not followed");
    }

    #[test]
    fn a_follower_is_woken() {
        let buffer = buffer();
        let mut stream = following(&buffer, 0);
        let woken = Arc::new(Woken::default());
        let waker = Arc::clone(&woken).into();
        assert!(stream.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
        assert!(!woken.0.load(Ordering::Relaxed));
        ledger(&buffer, 1, &[10]);
        assert!(woken.0.load(Ordering::Relaxed));
    }

    /// Sixteen single rows become one batch; who has seen nine of the records gets the other seven.
    #[test]
    fn rows_of_a_batch_joined_since_come_once() {
        let buffer = buffer();
        for lsn in 1..=9 {
            ledger(&buffer, lsn, &[lsn as i64]);
        }
        let mut stream = following(&buffer, 0);
        for lsn in 1..=9 {
            assert_eq!(now(&mut stream), Some(Ok((lsn, vec![lsn as i64]))));
        }
        for lsn in 10..=16 {
            ledger(&buffer, lsn, &[lsn as i64]);
        }
        assert_eq!(buffer.snapshot()[Table::Ledger].hot.len(), 1, "they are joined");
        assert_eq!(now(&mut stream), Some(Ok((16, (10..=16).collect()))));
        assert_eq!(now(&mut following(&buffer, 15)), Some(Ok((16, vec![16]))));
    }

    #[test]
    fn what_went_to_files_before_it_was_read_is_told() {
        let buffer = buffer();
        ledger(&buffer, 1, &[10]);
        let mut stream = following(&buffer, 0);
        assert_eq!(now(&mut stream), Some(Ok((1, vec![10]))));
        ledger(&buffer, 2, &[20]);
        buffer.swap(Table::Ledger, Committed { watermark: 2, ..Committed::default() });
        ledger(&buffer, 3, &[30]);
        assert_eq!(now(&mut stream), Some(Err((1, 2))));
        assert_eq!(now(&mut stream), Some(Ok((3, vec![30]))));
    }

    #[test]
    fn what_went_to_files_after_it_was_read_is_no_news() {
        let buffer = buffer();
        ledger(&buffer, 1, &[10]);
        let mut stream = following(&buffer, 0);
        assert_eq!(now(&mut stream), Some(Ok((1, vec![10]))));
        buffer.publish(2, vec![rows(Table::Logs, &[0])]);
        assert_eq!(now(&mut stream), None);
        buffer.swap(Table::Ledger, Committed { watermark: 2, ..Committed::default() });
        assert_eq!(now(&mut stream), None);
    }

    #[test]
    fn another_tenants_rows_do_not_come() {
        let buffer = buffer();
        let from = |table: Table, column: &str| Follow {
            table,
            columns: vec![column.to_owned()],
            tenant: "tenant-1".to_owned(),
            after: 0,
        };
        let place = || Arc::new(Semaphore::new(1)).try_acquire_owned().expect("one place");
        let mut stream =
            follow(Arc::clone(&buffer), &from(Table::Logs, "time"), place()).expect("a column of logs");
        // Row i is of tenant-(i % 3).
        buffer.publish(1, vec![rows(Table::Logs, &[10])]);
        buffer.publish(2, vec![rows(Table::Logs, &[20, 21])]);
        assert_eq!(now(&mut stream), Some(Ok((2, vec![21]))));
        for (wrong, want) in [
            (from(Table::Traces, "time"), "cannot be followed"),
            (from(Table::Logs, "times"), "no column times"),
        ] {
            let error = follow(Arc::clone(&buffer), &wrong, place()).err().expect("it is refused");
            assert!(error.to_string().contains(want), "{error}");
        }
    }
}
