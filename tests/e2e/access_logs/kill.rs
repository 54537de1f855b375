//! Each line once, whenever the process is killed: SIGKILL at a random moment while a file is followed that is written and
//! rotated all the time, and at the end every line that was written is one row.
//!
//! The writer never stops, so that parts are on their way whenever the kill comes; every few lives it rotates the file, by
//! a new name and by a copy in turn. A copy that is cut loses by itself what is written between the two; here nothing is.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use super::{lines, rows_and_paths, wait_for_rows};
use crate::harness::{BINARY, BUSY_STORE, Server};
use crate::long_form::{Random, count, seed};

/// Lines of an import that is killed again and again: some seconds' work in the dev profile.
const IMPORTED_LINES: u64 = 60_000;

/// Lines of one write: some are cut in the middle by a look, most are not.
const LINES_PER_WRITE: u64 = 200;

/// Between two writes.
const WRITE_INTERVAL: Duration = Duration::from_millis(10);

#[tokio::test(flavor = "multi_thread")]
async fn every_line_is_stored_once_after_kill_9() -> Result<()> {
    let kills = count("MESHLAKE_TEST_TAIL_KILLS", 10);
    let mut random = Random::new(seed(), 0);
    let dir = tempfile::tempdir()?;
    match lives(dir.path(), kills, &mut random).await {
        Ok(lines) => {
            println!("{kills} kills: {lines} lines");
            ensure!(lines >= kills * LINES_PER_WRITE, "too little was written");
            Ok(())
        }
        Err(error) => Err(error.context(format!("data and log are kept in {}", dir.keep().display()))),
    }
}

async fn lives(dir: &Path, kills: u64, random: &mut Random) -> Result<u64> {
    let log = dir.join("access.log");
    let sections = format!("[{{ path = \"{}*\" }}]", log.display());
    let mut environment = BUSY_STORE.to_vec();
    environment.push(("MESHLAKE_COLLECTOR__TAIL", &sections));
    let data = dir.join("data");
    // Held while the file is rotated.
    let written = Mutex::new(0_u64);
    let write = || -> Result<()> {
        let mut written = written.lock().expect("no panic under the lock");
        let mut file = OpenOptions::new().create(true).append(true).open(&log)?;
        let text = lines(*written..*written + LINES_PER_WRITE);
        // In two pieces, so that a reader finds half lines.
        let (first, second) = text.split_at(text.len() / 3);
        file.write_all(first.as_bytes())?;
        file.write_all(second.as_bytes())?;
        *written += LINES_PER_WRITE;
        Ok(())
    };
    for kill in 0..kills {
        let living = async {
            let starting = Server::spawn(&["run"], &data, &environment)?;
            let server = starting.ready().await.with_context(|| format!("start after kill {kill}"))?;
            tokio::time::sleep(Duration::from_millis(random.below(1500))).await;
            server.kill().await
        };
        let mut living = std::pin::pin!(living);
        loop {
            tokio::select! {
                lived = &mut living => break lived?,
                () = tokio::time::sleep(WRITE_INTERVAL) => write()?,
            }
        }
        rotate(&log, kill)?;
    }
    write()?;
    let server = Server::start_with(&["run"], &data, &environment).await?;
    let rows = i64::try_from(*written.lock().expect("no panic under the lock"))?;
    wait_for_rows(&server, rows).await?;
    ensure!(rows_and_paths(&server).await? == [rows, rows], "{:?} of {rows}", rows_and_paths(&server).await?);
    server.check_for_panics()?;
    ensure!(server.terminate().await? == Some(0));
    // A start after a clean stop goes on behind the last line. What is read again would be read before what is new.
    let server = Server::start_with(&["run"], &data, &environment).await?;
    write()?;
    let written = *written.lock().expect("no panic under the lock");
    let rows = i64::try_from(written)?;
    wait_for_rows(&server, rows).await?;
    ensure!(rows_and_paths(&server).await? == [rows, rows], "after a clean stop");
    Ok(written)
}

/// Scenario: an import is killed at a random moment, and begun again. Guarantee: when one has come to its end, each line is
/// there once.
#[tokio::test(flavor = "multi_thread")]
async fn every_line_is_imported_once_after_kill_9() -> Result<()> {
    let kills = count("MESHLAKE_TEST_IMPORT_KILLS", 5);
    let mut random = Random::new(seed(), 1);
    let dir = tempfile::tempdir()?;
    let (data, log) = (dir.path().join("data"), dir.path().join("access.log"));
    fs::write(&log, lines(0..IMPORTED_LINES))?;
    let import = || {
        let mut command = Command::new(BINARY);
        command.arg("import").arg(&log).arg("--data-dir").arg(&data).envs(BUSY_STORE).kill_on_drop(true);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command
    };
    for _ in 0..kills {
        let mut importing = import().spawn()?;
        tokio::time::sleep(Duration::from_millis(random.below(2000))).await;
        importing.kill().await?;
    }
    let output = import().output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    println!("after {kills} kills: {}", String::from_utf8_lossy(&output.stdout));
    let server = Server::start(&data).await?;
    let rows = i64::try_from(IMPORTED_LINES)?;
    ensure!(rows_and_paths(&server).await? == [rows, rows], "{:?} of {rows}", rows_and_paths(&server).await?);
    server.check_for_panics()
}

/// Nothing, a new name, or a copy, in turn.
fn rotate(log: &Path, kill: u64) -> Result<()> {
    let old = log.with_extension(format!("log.{kill}"));
    match kill % 4 {
        1 => fs::rename(log, old)?,
        3 => {
            fs::copy(log, old)?;
            OpenOptions::new().write(true).truncate(true).open(log)?;
        }
        _ => {}
    }
    Ok(())
}
