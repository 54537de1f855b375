//! An ack means that it is on disk: SIGKILL at a random moment under load, restart, and every acknowledged
//! request is there, whole and once; what was not acknowledged at most once; and the ledger balances.
//!
//! Every start checks what the life before it left. One life in eight is so short that it ends while the
//! server still starts, so a recovery is cut off too. The buffer is small: flushes and commits run all the
//! time, whenever the kill comes.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::harness::{BUSY_STORE, Server};
use crate::long_form::{Random, count, seed};
use crate::witness::Witness;

/// Lives of one data directory: enough for a checkpoint of each table, few enough that looking at all of
/// its rows stays quick.
const DIRECTORY_KILLS: u64 = 50;

/// Directories at a time: while one server starts, another is under load.
const LANES: u64 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn every_acked_request_is_there_once_after_kill_9() -> Result<()> {
    let (kills, seed) = (count("MESHLAKE_TEST_KILLS", 100), seed());
    let directories = kills.div_ceil(DIRECTORY_KILLS);
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| {
            tokio::spawn(async move {
                let mut sum = Seen::default();
                for directory in (lane..directories).step_by(LANES as usize) {
                    let left = kills - directory * DIRECTORY_KILLS;
                    let mut random = Random::new(seed, directory);
                    let seen = kill_again_and_again(left.min(DIRECTORY_KILLS), &mut random).await;
                    sum.add(seen.with_context(|| format!("directory {directory} of seed {seed}"))?);
                }
                anyhow::Ok(sum)
            })
        })
        .collect();
    let mut sum = Seen::default();
    for lane in lanes {
        sum.add(lane.await.context("a lane panicked")??);
    }
    println!("{kills} kills: {sum:?}");
    // Far below what a busy laptop does in the dev profile; a run below it proves nothing.
    ensure!(sum.requests_acked >= kills && sum.commits >= kills / 4, "too little happened: {sum:?}");
    Ok(())
}

/// What happened, to tell a proof from an idle run.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    requests_acked: u64,
    commits: u64,
}

impl Seen {
    fn add(&mut self, other: Seen) {
        self.requests_acked += other.requests_acked;
        self.commits += other.commits;
    }
}

/// One data directory through `kills` lives. It is kept for the post-mortem when something is wrong.
async fn kill_again_and_again(kills: u64, random: &mut Random) -> Result<Seen> {
    let dir = tempfile::tempdir()?;
    let mut seen = Seen::default();
    match lives(&dir.path().join("data"), kills, random, &mut seen).await {
        Ok(()) => Ok(seen),
        Err(error) => Err(error.context(format!("data and log are kept in {}", dir.keep().display()))),
    }
}

async fn lives(data: &Path, kills: u64, random: &mut Random, seen: &mut Seen) -> Result<()> {
    let mut witness = Witness::default();
    for kill in 0..kills {
        let starting = Server::spawn(&["run"], data, &BUSY_STORE)?;
        if random.below(8) == 0 {
            tokio::time::sleep(Duration::from_millis(random.below(500))).await;
            starting.kill().await?;
            continue;
        }
        let server = starting.ready().await.with_context(|| format!("start after kill {kill}"))?;
        witness.check(&server).await.with_context(|| format!("after kill {kill}"))?;
        let load = witness.begin(&server.addresses, Duration::ZERO);
        tokio::time::sleep(Duration::from_millis(50 + random.below(250))).await;
        seen.commits += server.metric("meshlake_commits_total").await? as u64;
        load.expect_a_fault();
        server.kill().await?;
        witness.end(load).await?;
    }
    let server = Server::start(data).await?;
    witness.check(&server).await.context("after the last kill")?;
    seen.requests_acked = witness.requests_acked;
    Ok(())
}
