//! The power goes off under load: what was acknowledged is there after the file system has been mounted
//! again, whole and once.
//!
//! The data directory is on an ext4 file system of its own, in a file, and `FS_IOC_SHUTDOWN` is the cut: from
//! that moment on nothing reaches the device any more, and what was only in the kernel's memory is lost. The
//! three modes differ in what is written at the last moment: everything, the journal, or nothing.
//! A kill -9 cannot show this, for there the kernel goes on writing.
//!
//! Needs root and loop devices; says so and does nothing without. What a real disk may do beyond (write parts
//! of what was not synced, in any order) is what the simulated disk of the store's tests is for.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::harness::{BUSY_STORE, Server};
use crate::long_form::{Random, count, seed};
use crate::witness::Witness;

/// Cuts of one file system, for the reason of a data directory's kills: looking at all rows stays quick.
const VOLUME_CUTS: u64 = 25;

/// File systems at a time: while one server starts, another is under load.
const LANES: u64 = 2;

/// The size of a file system, bytes. The file is sparse; the write-ahead log reserves 64 MiB at a time.
const VOLUME_BYTES: u64 = 4 << 30;

/// Issues the ioctl FS_IOC_SHUTDOWN (linux/fs.h: _IOR('X', 125, __u32)) on a mount point. In Python, because
/// an ioctl is unsafe code in Rust, which this project has none of.
const CUT: &str = "
import fcntl, os, struct, sys
mount = os.open(sys.argv[1], os.O_RDONLY)
fcntl.ioctl(mount, 0x8004587d, struct.pack('I', int(sys.argv[2])))
";

/// What is written in the last moment: 0 everything (`FS_GOING_FLAGS_DEFAULT`), 1 the journal
/// (`LOGFLUSH`), 2 nothing (`NOLOGFLUSH`), which is what a power cut does and therefore comes most.
const MODES: [u8; 4] = [2, 2, 1, 0];

#[tokio::test(flavor = "multi_thread")]
async fn every_acked_request_is_there_once_after_a_power_cut() -> Result<()> {
    if let Err(error) = can_mount().await {
        println!("skipped, because no file system can be mounted here (are you root?): {error:#}");
        return Ok(());
    }
    let (cuts, seed) = (count("MESHLAKE_TEST_POWER_CUTS", 50), seed());
    let volumes = cuts.div_ceil(VOLUME_CUTS);
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| {
            tokio::spawn(async move {
                let mut requests_acked = 0;
                for volume in (lane..volumes).step_by(LANES as usize) {
                    let left = cuts - volume * VOLUME_CUTS;
                    let mut random = Random::new(seed, volume);
                    let acked = cut_again_and_again(left.min(VOLUME_CUTS), &mut random).await;
                    requests_acked += acked.with_context(|| format!("volume {volume} of seed {seed}"))?;
                }
                anyhow::Ok(requests_acked)
            })
        })
        .collect();
    let mut requests_acked = 0;
    for lane in lanes {
        requests_acked += lane.await.context("a lane panicked")??;
    }
    println!("{cuts} power cuts, {requests_acked} requests acknowledged");
    ensure!(requests_acked >= cuts, "{requests_acked} acknowledged requests prove nothing");
    Ok(())
}

async fn can_mount() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let volume = Volume::make(dir.path()).await?;
    volume.mount().await?.unmount().await
}

/// One file system through `cuts` lives; how many requests were acknowledged. The file is kept for the
/// post-mortem when something is wrong.
async fn cut_again_and_again(cuts: u64, random: &mut Random) -> Result<u64> {
    let dir = tempfile::tempdir()?;
    let volume = Volume::make(dir.path()).await?;
    let mut witness = Witness::default();
    match lives(&volume, cuts, random, &mut witness).await {
        Ok(()) => Ok(witness.requests_acked),
        Err(error) => Err(error.context(format!("image and log are kept in {}", dir.keep().display()))),
    }
}

async fn lives(volume: &Volume, cuts: u64, random: &mut Random, witness: &mut Witness) -> Result<()> {
    for cut in 0..cuts {
        let mode = MODES[random.below(MODES.len() as u64) as usize];
        let mounted = volume.mount().await?;
        let life = one_life(volume, &mounted, mode, random, witness).await;
        life.with_context(|| format!("cut {cut}, mode {mode}"))?;
        mounted.unmount().await?;
    }
    let mounted = volume.mount().await?;
    let server = Server::start(&volume.data).await?;
    witness.check(&server).await.context("after the last cut")?;
    server.kill().await?;
    mounted.unmount().await
}

/// From a start to the power cut. One life in eight ends while the server starts.
async fn one_life(
    volume: &Volume,
    mounted: &Mounted,
    mode: u8,
    random: &mut Random,
    witness: &mut Witness,
) -> Result<()> {
    let starting = Server::spawn(&["run"], &volume.data, &BUSY_STORE)?;
    if random.below(8) == 0 {
        tokio::time::sleep(Duration::from_millis(random.below(400))).await;
        mounted.cut(mode).await?;
        // It may have given up by itself: a start on a dead disk has to.
        return starting.kill_or_failed().await;
    }
    let server = starting.ready().await?;
    witness.check(&server).await?;
    let load = witness.begin(&server.addresses, Duration::ZERO);
    tokio::time::sleep(Duration::from_millis(50 + random.below(200))).await;
    load.expect_power_cut();
    mounted.cut(mode).await?;
    load.power_is_gone();
    // Every sender hears of it, so that an ack for what is lost would be seen.
    witness.end(load).await?;
    server.kill().await
}

/// An ext4 file system in a file.
struct Volume {
    image: PathBuf,
    /// Where it is mounted, and the data directory; the server's log lies beside it and survives.
    data: PathBuf,
}

impl Volume {
    async fn make(dir: &Path) -> Result<Volume> {
        let volume = Volume { image: dir.join("image"), data: dir.join("data") };
        std::fs::create_dir(&volume.data)?;
        std::fs::File::create(&volume.image)?.set_len(VOLUME_BYTES)?;
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&volume.image)).await?;
        Ok(volume)
    }

    /// Mounts it, which replays its journal. The loop device goes away with the mount.
    async fn mount(&self) -> Result<Mounted> {
        run(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.data)).await?;
        Ok(Mounted { mount_point: self.data.clone(), is_mounted: true })
    }
}

/// A mounted volume; unmounted when dropped.
struct Mounted {
    mount_point: PathBuf,
    is_mounted: bool,
}

impl Mounted {
    /// Cuts the power.
    async fn cut(&self, mode: u8) -> Result<()> {
        let mode = mode.to_string();
        run(Command::new("python3").args(["-c", CUT]).arg(&self.mount_point).arg(mode)).await.map(drop)
    }

    async fn unmount(mut self) -> Result<()> {
        run(Command::new("umount").arg(&self.mount_point)).await?;
        self.is_mounted = false;
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.is_mounted {
            // Lazily: a server that is being killed may still hold it for a moment.
            let _ = std::process::Command::new("umount").arg("--lazy").arg(&self.mount_point).status();
        }
    }
}

async fn run(command: &mut Command) -> Result<Output> {
    let output = command.output().await.with_context(|| format!("run {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {} {said}", output.status);
    Ok(output)
}
