//! The store dies, fails or is slow at each named point of its work (`store/src/fail_point.rs`); after a
//! restart every acknowledged request is there, whole and once, and the ledger balances.
//!
//! `MESHLAKE_TEST_FAIL_POINT_ROUNDS=50` is the long form: each round arms the points one hit later. Only a
//! death proves by itself that a point was reached, so the other actions rest on it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::harness::{BUSY_STORE, Server};
use crate::long_form::count;
use crate::witness::Witness;

/// Servers at the same time: each waits for the disk and for its flushes more than it computes.
const PARALLEL: usize = 6;

/// How long a server that does not die is loaded: dozens of flushes.
const LOAD: Duration = Duration::from_millis(1_500);

/// Pause of a sender per record before a stop: the load stays below what makes a flush due.
const STOP_PACE: Duration = Duration::from_millis(4);

/// By then a server comes to whatever point it is to come to; a slow machine needs a tenth of it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Commits of a life after which each busy table has files enough for a merge (16 in one window), also when
/// the life reaches over the end of a window.
const COMMITS_FOR_A_MERGE: f64 = 100.0;

/// Bytes in the log after which its first segment, of 64 MiB, is full.
const SEGMENT_FULL_BYTES: f64 = 70e6;

const KILL: &str = "return(kill)";
const DELAY: &str = "sleep(100)";
const ALL: &[&str] = &[KILL, "return(error)", DELAY];

/// After an fdatasync nothing is left that could fail before the sender is told.
const NO_ERROR: &[&str] = &[KILL, DELAY];

/// Full segments are what this test costs, and a stop that is late is no other than one that is not.
const NO_DELAY: &[&str] = &[KILL, "return(error)"];

/// What brings a server to a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Load on a new data directory; flushes all the time.
    Busy,
    /// As `Busy`, where the point is also passed while the tables or the log are made.
    FromTheStart,
    /// A data directory that an earlier life has left with a log to cut and files to merge.
    Second,
    /// Load until a segment is full.
    FullSegment,
    /// Load without a flush, then a stop in order, which flushes everything.
    Stop,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    name: &'static str,
    /// The hit that acts, in the first round.
    hit: u64,
    life: Life,
    actions: &'static [&'static str],
}

const fn point(name: &'static str, hit: u64, life: Life, actions: &'static [&'static str]) -> Point {
    Point { name, hit, life, actions }
}

const POINTS: [Point; 26] = [
    point("before_wal_write", 20, Life::Busy, ALL),
    point("before_wal_sync", 20, Life::Busy, ALL),
    point("after_wal_sync", 20, Life::Busy, ALL),
    point("before_ack", 20, Life::Busy, NO_ERROR),
    point("after_ack", 20, Life::Busy, NO_ERROR),
    // The first segment is made at the start.
    point("before_seal", 1, Life::FromTheStart, ALL),
    point("before_seal", 2, Life::FullSegment, NO_DELAY),
    point("after_seal", 1, Life::FromTheStart, ALL),
    point("after_seal", 2, Life::FullSegment, NO_DELAY),
    point("before_parquet_put", 3, Life::Busy, ALL),
    point("after_parquet_put", 3, Life::Busy, ALL),
    // Each table's first entry is the first use of these, at the start.
    point("before_rename", 2, Life::FromTheStart, ALL),
    point("before_rename", 20, Life::Busy, ALL),
    point("before_directory_sync", 20, Life::Busy, ALL),
    point("after_directory_sync", 20, Life::Busy, ALL),
    point("before_commit", 3, Life::Busy, ALL),
    point("after_commit", 3, Life::Busy, ALL),
    point("before_cut", 1, Life::Second, ALL),
    point("after_cut", 1, Life::Second, ALL),
    point("before_merge_swap", 1, Life::Second, ALL),
    point("after_merge_swap", 1, Life::Second, ALL),
    point("before_vacuum", 1, Life::Second, ALL),
    point("before_parquet_put", 2, Life::Stop, NO_DELAY),
    point("after_parquet_put", 2, Life::Stop, NO_DELAY),
    point("before_commit", 2, Life::Stop, NO_DELAY),
    point("after_commit", 2, Life::Stop, NO_DELAY),
];

#[tokio::test(flavor = "multi_thread")]
async fn acked_requests_survive_a_failure_at_every_point() -> Result<()> {
    let rounds = count("MESHLAKE_TEST_FAIL_POINT_ROUNDS", 1);
    let cases = (0..rounds).flat_map(|round| {
        let of_point = move |point: Point| point.actions.iter().map(move |action| (round, point, *action));
        POINTS.into_iter().flat_map(of_point)
    });
    let first = FirstLife::lived().await.context("the first life")?;
    let first = &first;
    let run = |(round, point, action): (u64, Point, &'static str)| async move {
        let dir = tempfile::tempdir()?;
        let hits = point.hit + round;
        let armed = format!("{}={}*off->1*{action}", point.name, hits - 1);
        let data = dir.path().join("data");
        let survived = match point.life {
            Life::Second => survive(&data, point.life, &armed, hits, action, first.copied_to(&data)?).await,
            _ => survive(&data, point.life, &armed, hits, action, Witness::default()).await,
        };
        survived.map_err(|error| {
            error.context(format!("FAILPOINTS='{armed}'; data and log are kept in {}", dir.keep().display()))
        })
    };
    stream::iter(cases).map(run).buffer_unordered(PARALLEL).try_collect::<Vec<()>>().await.map(drop)
}

/// `hits` is how often the point is passed, the time that it acts included.
async fn survive(
    data: &Path,
    life: Life,
    armed: &str,
    hits: u64,
    action: &str,
    mut witness: Witness,
) -> Result<()> {
    let flush_age = if life == Life::Stop { "3600" } else { "1" };
    let mut environment = vec![("MESHLAKE_STORE__FLUSH_AGE_MAX_SECONDS", flush_age), ("FAILPOINTS", armed)];
    if !matches!(life, Life::FullSegment | Life::Stop) {
        environment.extend(BUSY_STORE);
    }
    match Server::spawn(&["run"], data, &environment)?.ready().await {
        Ok(server) if life == Life::Stop => until_stopped(server, action, &mut witness).await?,
        Ok(server) if action == KILL => until_death(server, hits, &mut witness).await?,
        Ok(server) => until_killed(server, life, hits, &mut witness).await?,
        // What it does at its start may fail, and ends it in order.
        Err(_) if matches!(life, Life::FromTheStart | Life::Second) && action != DELAY => {}
        Err(error) => return Err(error.context("start with the point armed")),
    }
    let server = Server::start(data).await.context("start again")?;
    witness.check(&server).await
}

/// A data directory with files to merge and a log to cut, and what is in it.
struct FirstLife {
    dir: tempfile::TempDir,
    witness: Witness,
}

impl FirstLife {
    async fn lived() -> Result<FirstLife> {
        let dir = tempfile::tempdir()?;
        let (data, mut witness) = (dir.path().join("data"), Witness::default());
        let server = Server::start_with(&["run"], &data, &BUSY_STORE).await?;
        let load = witness.begin(&server.addresses, Duration::ZERO);
        reaches(&server, "meshlake_commits_total", COMMITS_FOR_A_MERGE, 1).await?;
        load.expect_a_fault();
        server.kill().await?;
        witness.end(load).await?;
        // Looks at everything and leaves the files unmerged.
        let no_merge = [("FAILPOINTS", "before_merge_swap=return(error)")];
        let server = Server::start_with(&["run"], &data, &no_merge).await?;
        witness.check(&server).await?;
        server.kill().await?;
        Ok(FirstLife { dir, witness })
    }

    fn copied_to(&self, data: &Path) -> Result<Witness> {
        // cp keeps the holes of preallocated segments.
        let mut copy = std::process::Command::new("cp");
        let copied = copy.arg("-r").arg(self.dir.path().join("data")).arg(data).status()?;
        ensure!(copied.success(), "cp failed");
        Ok(self.witness.of_copy())
    }
}

/// Loads a server until the armed point kills it. What a server comes to once in a while takes as many times as long.
async fn until_death(server: Server, hits: u64, witness: &mut Witness) -> Result<()> {
    let load = witness.begin(&server.addresses, Duration::ZERO);
    load.expect_death();
    let timeout = TIMEOUT * u32::try_from(hits)?;
    ensure!(server.dies_within(timeout).await?, "the point was not reached");
    witness.end(load).await
}

/// Loads a server past the armed point, which must not stop it, and kills it.
async fn until_killed(server: Server, life: Life, hits: u64, witness: &mut Witness) -> Result<()> {
    let load = witness.begin(&server.addresses, Duration::ZERO);
    tokio::time::sleep(LOAD).await;
    if life == Life::FullSegment {
        let full_bytes = SEGMENT_FULL_BYTES * hits as f64;
        reaches(&server, "meshlake_wal_written_bytes_total", full_bytes, hits).await?;
    }
    server.check_ready().await.context("after the failure")?;
    load.expect_a_fault();
    server.kill().await?;
    witness.end(load).await?;
    ensure!(witness.requests_acked > 0, "nothing was acknowledged beside the failure");
    Ok(())
}

/// Loads a server, then stops it: it dies at the armed point, or ends in order with rows in its log.
async fn until_stopped(server: Server, action: &str, witness: &mut Witness) -> Result<()> {
    let load = witness.begin(&server.addresses, STOP_PACE);
    tokio::time::sleep(LOAD).await;
    load.stop();
    witness.end(load).await?;
    let commits = server.metric("meshlake_commits_total").await?;
    ensure!(commits == 0.0, "{commits} commits before the stop");
    let want = if action == KILL { None } else { Some(0) };
    let code = server.terminate().await?;
    ensure!(code == want, "the stop ends with {code:?}, not {want:?}");
    Ok(())
}

/// Waits until a number of `/metrics` is at least `want`, for `times` as long as for anything.
async fn reaches(server: &Server, metric: &str, want: f64, times: u64) -> Result<()> {
    let (begun, timeout) = (Instant::now(), TIMEOUT * u32::try_from(times)?);
    while server.metric(metric).await? < want {
        ensure!(begun.elapsed() < timeout, "{metric} does not reach {want}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
