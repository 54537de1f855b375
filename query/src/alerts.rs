//! What Meshlake warns of about itself, worst first: what is lost, what is about to be, and what makes answers slow.
//!
//! All of it is judged by how things stand now, or stood in the last hour, so that a warning goes when its cause is gone: counts since
//! the start would stay until the next one; that the process which answers
//! has died is told until then, as it should never be. What came of a tenant's own records is told to that tenant; the rest is of the whole
//! collector, and names nobody. Limits: a collector that does not answer tells nothing of itself, and whoever asks hears that instead.

use std::time::Duration;

use meshlake_calls::Range;
use meshlake_calls::operate::floors::SHARE_GRAVE;
use meshlake_calls::operate::troubles::Lost;
use meshlake_engine::{Engine, QueryError, Status};

use crate::ledger::{self, Account};

/// For how long rejected records are told.
pub const LOOKED_BACK: Duration = Duration::from_secs(3_600);

/// How long a write to the log may take. A disk that is merely busy answers within seconds; senders give up after ten
/// (`OTEL_EXPORTER_OTLP_TIMEOUT`).
pub const AT_DISK_MAX: Duration = Duration::from_secs(10);

/// The share of the buffer in use from which it is told: flushes begin at half, and senders are refused when it is full.
pub const BUFFER_SHARE_MAX: f64 = 0.8;

/// The log's bytes for each byte that the buffer may take. It is cut as flushes end, and holds little more than what is buffered then;
/// one that is so many times as long is not cut, because a table cannot be flushed, and the next start reads all of it.
pub const LOG_BUFFERS_MAX: u64 = 4;

/// Free bytes for each byte at which nothing more is taken: the day on which somebody should look is before that.
pub const ROOM_SHARE_MIN: u64 = 4;

/// How late a minute may be settled. Rounds are a minute apart and may take another; from then on each question folds ten minutes of
/// rows more.
pub const BEHIND_MAX: Duration = Duration::from_secs(600);

/// A warning. Those that come first are worse.
#[derive(Debug, Clone, PartialEq)]
pub enum Alert {
    /// The log has given up: nothing more is taken until a restart.
    LogFailed,
    /// The disk is full: nothing more is taken until so many bytes are free.
    NoRoom { free_bytes: u64, wanted_bytes: u64 },
    /// Records of one kind are neither accepted nor rejected, or more than were received: ours to mend.
    Unbalanced { signal: String, source: String, received: u64, told: u64 },
    /// A write to the log has not come back for so long.
    DiskStalls { at_disk: Duration },
    /// Records that came in the last hour and were not stored.
    Rejected(Lost),
    /// The disk is nearly full.
    LittleRoom { free_bytes: u64, stops_at_bytes: u64 },
    /// Rows come faster than they become files; senders are refused when there is no room.
    BufferFull { bytes: u64, bytes_max: u64 },
    /// The log is not cut.
    LogLong { bytes: u64, bytes_max: u64 },
    /// Calls are counted later than they should be.
    SettlingBehind { behind: Duration },
    /// The process that answers has ended and was started again, so many times since the start.
    QueryEnded { restarts: u64, last_end: String },
}

impl Alert {
    /// Something is lost or refused now.
    pub fn is_grave(&self) -> bool {
        match self {
            Alert::LogFailed | Alert::NoRoom { .. } | Alert::Unbalanced { .. } | Alert::DiskStalls { .. } => {
                true
            }
            Alert::Rejected(lost) => lost.share() >= SHARE_GRAVE,
            _ => false,
        }
    }
}

/// What there is to warn a tenant of, worst first; `accounts` are that tenant's.
///
/// # Errors
/// Those of [`Engine::begin`] and of reading the ledger.
pub async fn alerts(
    engine: &Engine,
    tenant: &str,
    status: &Status,
    accounts: &[Account],
) -> Result<Vec<Alert>, QueryError> {
    let now = engine.clock().now();
    let range = Range::new(now.minus(LOOKED_BACK), now, None);
    let range = range.map_err(|error| QueryError::Internal(error.to_string()))?;
    let lost = ledger::lost(&engine.begin(tenant).await?, range).await?;
    let mut alerts = of_status(status);
    alerts.extend(accounts.iter().filter_map(unbalanced));
    alerts.extend(lost.into_iter().map(Alert::Rejected));
    alerts.sort_by_key(|alert| (!alert.is_grave(), rank(alert)));
    Ok(alerts)
}

/// The place of a kind in the list.
fn rank(alert: &Alert) -> u8 {
    match alert {
        Alert::LogFailed => 0,
        Alert::NoRoom { .. } => 1,
        Alert::Unbalanced { .. } => 2,
        Alert::DiskStalls { .. } => 3,
        Alert::Rejected(_) => 4,
        Alert::LittleRoom { .. } => 5,
        Alert::BufferFull { .. } => 6,
        Alert::LogLong { .. } => 7,
        Alert::SettlingBehind { .. } => 8,
        Alert::QueryEnded { .. } => 9,
    }
}

fn of_status(status: &Status) -> Vec<Alert> {
    let store = &status.store;
    let (space, wal) = (&store.space, &store.wal);
    let (bytes, bytes_max) = (store.buffer_bytes as u64, store.buffer_bytes_max as u64);
    let log_bytes_max = bytes_max.saturating_mul(LOG_BUFFERS_MAX);
    let is_little = space.free_bytes < space.free_bytes_min.saturating_mul(ROOM_SHARE_MIN);
    let ended = status.intake.as_ref().and_then(|intake| intake.query.as_ref());
    let ended = ended
        .filter(|query| query.restarts > 0)
        .map(|query| Alert::QueryEnded { restarts: query.restarts, last_end: query.last_end.clone() });
    let found = [
        wal.is_failed.then_some(Alert::LogFailed),
        (!space.has_room)
            .then_some(Alert::NoRoom { free_bytes: space.free_bytes, wanted_bytes: space.free_bytes_resume }),
        (wal.at_disk >= AT_DISK_MAX).then_some(Alert::DiskStalls { at_disk: wal.at_disk }),
        (space.has_room && is_little).then_some(Alert::LittleRoom {
            free_bytes: space.free_bytes,
            stops_at_bytes: space.free_bytes_min,
        }),
        (bytes as f64 > bytes_max as f64 * BUFFER_SHARE_MAX)
            .then_some(Alert::BufferFull { bytes, bytes_max }),
        (wal.wal.bytes > log_bytes_max)
            .then_some(Alert::LogLong { bytes: wal.wal.bytes, bytes_max: log_bytes_max }),
        (store.settle.behind > BEHIND_MAX).then_some(Alert::SettlingBehind { behind: store.settle.behind }),
        ended,
    ];
    found.into_iter().flatten().collect()
}

fn unbalanced(account: &Account) -> Option<Alert> {
    let told = account.accepted + account.rejected.values().sum::<u64>();
    (told != account.received).then(|| Alert::Unbalanced {
        signal: account.signal.clone(),
        source: account.source.clone(),
        received: account.received,
        told,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use meshlake_engine::{EngineConfig, QueryStatus};
    use meshlake_fixture::SnapshotBuilder;
    use meshlake_schema::SystemClock;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// Of a collector on whose disk a GiB is free, that stops at 256 MiB and buffers 100 MiB at most.
    async fn calm() -> Status {
        let reader = SnapshotBuilder::new().reader();
        let engine =
            Engine::new(reader, EngineConfig::default(), Arc::new(SystemClock)).expect("no directory");
        let mut status = engine.status().await.expect("a fixed snapshot tells");
        status.store.buffer_bytes_max = 100 << 20;
        let space = &mut status.store.space;
        (space.free_bytes, space.free_bytes_min, space.free_bytes_resume) =
            (1_024 * MIB, 256 * MIB, 320 * MIB);
        status.intake.get_or_insert_default().query =
            Some(QueryStatus { is_serving: true, ..QueryStatus::default() });
        status
    }

    async fn told(change: impl FnOnce(&mut Status)) -> Vec<Alert> {
        let mut status = calm().await;
        change(&mut status);
        of_status(&status)
    }

    async fn one(change: fn(&mut Status)) -> Alert {
        let mut told = told(change).await;
        assert_eq!(told.len(), 1, "{told:?}");
        told.remove(0)
    }

    #[tokio::test]
    async fn nothing_is_told_at_the_bounds() {
        let at_the_bounds = told(|status| {
            status.store.buffer_bytes = 80 << 20;
            status.store.wal.wal.bytes = 400 * MIB;
            status.store.wal.at_disk = AT_DISK_MAX - Duration::from_nanos(1);
            status.store.settle.behind = BEHIND_MAX;
        })
        .await;
        assert_eq!(at_the_bounds, []);
    }

    #[tokio::test]
    async fn each_is_told_beyond_its_bound() {
        assert_eq!(one(|status| status.store.wal.is_failed = true).await, Alert::LogFailed);
        let full = one(|status| status.store.space.has_room = false).await;
        assert_eq!(full, Alert::NoRoom { free_bytes: 1_024 * MIB, wanted_bytes: 320 * MIB });
        let stalls = one(|status| status.store.wal.at_disk = AT_DISK_MAX).await;
        assert_eq!(stalls, Alert::DiskStalls { at_disk: AT_DISK_MAX });
        let little = one(|status| status.store.space.free_bytes -= 1).await;
        assert_eq!(little, Alert::LittleRoom { free_bytes: 1_024 * MIB - 1, stops_at_bytes: 256 * MIB });
        let full = one(|status| status.store.buffer_bytes = (80 << 20) + 1).await;
        assert_eq!(full, Alert::BufferFull { bytes: 80 * MIB + 1, bytes_max: 100 * MIB });
        let long = one(|status| status.store.wal.wal.bytes = 400 * MIB + 1).await;
        assert_eq!(long, Alert::LogLong { bytes: 400 * MIB + 1, bytes_max: 400 * MIB });
        let behind = one(|status| status.store.settle.behind = BEHIND_MAX + Duration::from_secs(1)).await;
        assert_eq!(behind, Alert::SettlingBehind { behind: Duration::from_secs(601) });
        let ended = one(|status| {
            let query =
                QueryStatus { restarts: 2, last_end: "signal 6".to_owned(), ..QueryStatus::default() };
            status.intake.get_or_insert_default().query = Some(query);
        })
        .await;
        assert_eq!(ended, Alert::QueryEnded { restarts: 2, last_end: "signal 6".to_owned() });
    }

    #[test]
    fn an_account_that_does_not_add_up_is_told() {
        let account = |received, accepted, rejected: u64| Account {
            signal: "logs".to_owned(),
            source: "loki_push".to_owned(),
            received,
            accepted,
            rejected: [("too_old".to_owned(), rejected)].into(),
            ..Account::default()
        };
        assert_eq!(unbalanced(&account(10, 7, 3)), None);
        for (received, accepted, rejected, told) in [(10, 7, 2, 9), (10, 7, 4, 11)] {
            let found = unbalanced(&account(received, accepted, rejected)).expect("it does not add up");
            let (signal, source) = ("logs".to_owned(), "loki_push".to_owned());
            assert_eq!(found, Alert::Unbalanced { signal, source, received, told });
            assert!(found.is_grave());
        }
    }

    /// One of twenty records is the share from which it is grave.
    #[test]
    fn what_was_rejected_is_grave_by_its_share() {
        let lost = |records| {
            Alert::Rejected(Lost {
                signal: "traces".to_owned(),
                source: "otlp_grpc".to_owned(),
                reason: "bad_id".to_owned(),
                records,
                received: 100,
            })
        };
        assert_eq!([4, 5].map(|records| lost(records).is_grave()), [false, true]);
        assert!(rank(&lost(5)) < rank(&Alert::QueryEnded { restarts: 1, last_end: String::new() }));
    }
}
