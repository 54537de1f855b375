//! A file that is followed: how long it takes until the rows of all of its lines are durable, and what that costs.
//!
//! The file is there whole at once, moved into place while the server runs, so that no writer is waited for. Or it grows while
//! it is rotated, by renaming and by copying and truncating in turn, and the server is killed and started again in between;
//! then it is looked at whether each line is a row once. Lines are those of `lines`.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;

use crate::lines::{LineKind, Lines, MILLION, with_commas, write_file, write_lines};
use crate::measure::settle;
use crate::process;
use crate::report;
use crate::server::{Place, Server};

const START_TIME_MAX: Duration = Duration::from_secs(30);
const FLUSH_AGE: Duration = Duration::from_secs(1);

/// Ten million lines take a minute.
const FOLLOW_TIME_MAX: Duration = Duration::from_secs(600);

/// Between two looks at how many rows there are, each of which costs the server some milliseconds.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Of a file that is rotated: its lines are numbered in the bytes that they tell.
const KIND: LineKind = LineKind::NginxCombined;

/// How many lines, and what happens while they are written.
#[derive(Debug, Clone, Args)]
pub struct TailArgs {
    #[arg(long, default_value_t = 10_000_000)]
    lines: usize,
    /// The format of a file that is there whole at once.
    #[arg(long, default_value = "nginx_combined", conflicts_with_all = ["rotations", "kills"])]
    format: LineKind,
    /// Rotations while the file grows.
    #[arg(long, default_value_t = 0)]
    rotations: usize,
    /// Times that the server is killed while the file grows.
    #[arg(long, default_value_t = 0)]
    kills: usize,
}

/// Follows a file to its end and writes the page.
///
/// # Errors
/// The server cannot be started, or not every line became a row in time.
pub async fn page(place: &Place, args: &TailArgs) -> anyhow::Result<String> {
    if args.rotations + args.kills > 0 {
        growing_page(place, args).await
    } else {
        whole_page(place, args).await
    }
}

async fn whole_page(place: &Place, args: &TailArgs) -> anyhow::Result<String> {
    let directory = place.fresh_directory()?;
    let (written, followed) = (directory.path().join("written"), directory.path().join("access.log"));
    let file_bytes = write_file(&written, args.lines, args.format)?;
    let server = start(place, directory.path(), &followed, args.format).await?;
    let before = process::cpu_time(server.pid())?;
    let began = Instant::now();
    std::fs::rename(&written, &followed)?;
    wait_for(&server, args.lines as u64).await?;
    let (elapsed, cpu) = (began.elapsed(), process::cpu_time(server.pid())?.saturating_sub(before));
    settle(&server, FLUSH_AGE).await?;
    let cpu_settled = process::cpu_time(server.pid())?.saturating_sub(before);
    let peak = process::peak_memory(server.pid())? as f64 / report::MEBIBYTE;
    let rows = counted(&server).await?;
    ensure!(rows == args.lines as u64, "{rows} rows of {} lines", args.lines);
    server.stop().await?;
    let columns = ["lines/s durable", "CPU s per million when durable", "with the flush", "peak RSS MiB"];
    let per_million = |cpu: Duration| format!("{:.2}", cpu.as_secs_f64() * MILLION / args.lines as f64);
    let speed = format!("{:.0}", args.lines as f64 / elapsed.as_secs_f64());
    let row = vec![speed, per_million(cpu), per_million(cpu_settled), format!("{peak:.0}")];
    let title = "# A file that is followed\n\nFrom the moment when it is there to the last row that a query sees.\n\n";
    let (count, megabytes) = (with_commas(args.lines), file_bytes as f64 / MILLION);
    let load = format!("Load: {count} lines of {}, {megabytes:.0} MB.\n\n", args.format.name());
    Ok(format!("{title}{}{load}{}", report::head(), report::table(&columns, &[row])))
}

/// The file grows in as many parts as things happen to it, and one more. Each waits until the server has half of what is
/// written, so that whatever happens meets it in the middle.
async fn growing_page(place: &Place, args: &TailArgs) -> anyhow::Result<String> {
    let directory = place.fresh_directory()?;
    let mut log = RotatedLog::new(directory.path().join("access.log"))?;
    let mut lines = Lines::numbered(args.lines)?;
    let mut server = start(place, directory.path(), &directory.path().join("access.log*"), KIND).await?;
    let (began, mut file_bytes, mut written) = (Instant::now(), 0, 0);
    let (events, mut killed) = (args.rotations + args.kills, 0);
    for event in 0..=events {
        let part = args.lines * (event + 1) / (events + 1) - written;
        file_bytes += write_lines(&log.file, &mut lines, part)?;
        written += part;
        wait_for(&server, written as u64 / 2).await?;
        if event == events {
            break;
        }
        // Kills are spread over all that happens.
        if (event + 1) * args.kills / events > killed {
            killed += 1;
            // The end of a child that is dropped is SIGKILL.
            drop(server);
            server = start(place, directory.path(), &directory.path().join("access.log*"), KIND).await?;
        } else {
            log.rotate()?;
        }
    }
    wait_for(&server, args.lines as u64).await?;
    let elapsed = began.elapsed();
    settle(&server, FLUSH_AGE).await?;
    check(&server, args.lines as u64).await?;
    server.stop().await?;
    let row = vec![
        format!("{:.1}", elapsed.as_secs_f64()),
        log.rotations.to_string(),
        killed.to_string(),
        format!("{:.0}", args.lines as f64 / elapsed.as_secs_f64()),
    ];
    let title = "# A file that is rotated while it is followed\n\nEvery second rotation renames the file, the others copy and truncate it; the \
                 server is killed by SIGKILL and started again. Each line is a row once.\n\n";
    let load = format!("Load: {} lines, {:.0} MB.\n\n", with_commas(args.lines), file_bytes as f64 / MILLION);
    let columns = ["s", "rotations", "kills", "lines/s with all of it"];
    Ok(format!("{title}{}{load}{}", report::head(), report::table(&columns, &[row])))
}

async fn start(place: &Place, directory: &Path, followed: &Path, kind: LineKind) -> anyhow::Result<Server> {
    let section = format!("[{{ path = \"{}\", format = \"{}\" }}]", followed.display(), kind.name());
    let settings = [
        ("MESHLAKE_STORE__FLUSH_AGE_MAX_SECONDS", FLUSH_AGE.as_secs().to_string()),
        ("MESHLAKE_COLLECTOR__TAIL", section),
    ];
    Server::start(place, &directory.join("data"), &settings, START_TIME_MAX).await
}

/// Waits until so many lines are rows.
async fn wait_for(server: &Server, lines: u64) -> anyhow::Result<()> {
    let all = async {
        while counted(server).await? < lines {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(FOLLOW_TIME_MAX, all).await.context("not every line became a row in time")?
}

async fn counted(server: &Server) -> anyhow::Result<u64> {
    let rows = server.sql("SELECT count(*) FROM requests WHERE counted").await?;
    rows.first().and_then(|row| row[0].as_u64()).context("read the count of rows")
}

/// Whether each of numbered lines is a row once: their count, the sum of their numbers, and their exclusive or, which lost and
/// repeated lines would have to leave alike.
async fn check(server: &Server, lines: u64) -> anyhow::Result<()> {
    let asked = "SELECT count(*), sum(response_bytes), bit_xor(response_bytes) FROM requests WHERE counted";
    let rows = server.sql(asked).await?;
    let told = rows.first().context("read the rows")?;
    let told: Vec<u64> = (0..3).filter_map(|at| told[at].as_u64()).collect();
    let want = [lines, lines * lines.saturating_sub(1) / 2, (0..lines).fold(0, |all, line| all ^ line)];
    ensure!(told == want, "rows have count, sum and exclusive or {told:?}, the lines {want:?}");
    Ok(())
}

/// A file as a program writes to it while another rotates it.
struct RotatedLog {
    path: PathBuf,
    file: File,
    rotations: usize,
}

impl RotatedLog {
    fn new(path: PathBuf) -> anyhow::Result<RotatedLog> {
        let file = OpenOptions::new().append(true).create_new(true).open(&path);
        Ok(RotatedLog { file: file.context("make the log")?, path, rotations: 0 })
    }

    /// By renaming the file and making a new one, or by copying and truncating it, in turn.
    fn rotate(&mut self) -> anyhow::Result<()> {
        self.rotations += 1;
        let old = self.path.with_extension(format!("log.{}", self.rotations));
        if self.rotations % 2 == 1 {
            std::fs::rename(&self.path, old).context("rename the log")?;
            *self = RotatedLog { rotations: self.rotations, ..RotatedLog::new(self.path.clone())? };
        } else {
            std::fs::copy(&self.path, old).context("copy the log")?;
            self.file.set_len(0).context("truncate the log")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five parts of two lines, with two rotations of each kind between: whoever reads all files reads each line once.
    #[test]
    fn rotations_of_both_kinds_keep_every_line() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut log = RotatedLog::new(directory.path().join("access.log")).expect("an empty directory");
        let mut lines = Lines::numbered(10).expect("it is past 1970");
        for part in 0..5 {
            write_lines(&log.file, &mut lines, 2).expect("there is room");
            if part < 4 {
                log.rotate().expect("there is room");
            }
        }
        let text = |name: &str| std::fs::read_to_string(directory.path().join(name)).expect(name);
        let names = ["access.log.1", "access.log.2", "access.log.3", "access.log.4", "access.log"];
        let bytes = names.map(text).concat();
        let numbers: Vec<&str> = bytes.lines().filter_map(|line| line.split(' ').nth(9)).collect();
        assert_eq!(numbers, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    }
}
