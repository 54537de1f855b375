//! What the machine says about a process and what it left on disk: CPU time, memory, bytes.
//!
//! Read from /proc (proc(5)) and not asked of the process, because a bound is worth nothing when the bounded one reports it.
//! Limit: Linux.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

/// Ticks a second of the times in /proc/<pid>/stat: USER_HZ, which is 100 on every architecture that Linux
/// runs our binaries on (`getconf CLK_TCK`).
const TICKS_PER_SECOND: u64 = 100;

/// CPU time that all threads of the process have used, user and system.
///
/// # Errors
/// When the process is gone.
pub fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let ticks = cpu_ticks(&stat).with_context(|| format!("read the times in {path}"))?;
    Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}

/// CPU time that those threads of the process have used that are there and whose name begins with `name`.
///
/// # Errors
/// When the process is gone.
pub fn cpu_time_of_threads(pid: u32, name: &str) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/task");
    let mut ticks = 0;
    for thread in fs::read_dir(&path).with_context(|| format!("list {path}"))? {
        // A thread may end while it is looked at.
        let thread = thread.with_context(|| format!("list {path}"))?;
        let Ok(stat) = fs::read_to_string(thread.path().join("stat")) else { continue };
        let is_meant = stat.split_once('(').is_some_and(|(_, rest)| rest.starts_with(name));
        ticks += cpu_ticks(&stat).filter(|_| is_meant).unwrap_or(0);
    }
    Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}

/// The processes that a process has started and that run, in the order of their ids.
///
/// # Errors
/// The world's.
pub fn children(pid: u32) -> anyhow::Result<Vec<u32>> {
    let mut children = Vec::new();
    for process in fs::read_dir("/proc").context("list /proc")? {
        let name = process.context("list /proc")?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // A process may end while it is looked at.
        let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
        children.extend(Some(id).filter(|_| parent(&stat) == Some(pid)));
    }
    children.sort_unstable();
    Ok(children)
}

/// Field 4 (ppid).
fn parent(stat: &str) -> Option<u32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// CPU time of the children of this process that have ended and were waited for, and of theirs.
///
/// # Errors
/// The world's.
pub fn cpu_time_of_children() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").context("read /proc/self/stat")?;
    let ticks = ticks_from(&stat, 16).context("read the times in /proc/self/stat")?;
    Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}

/// Fields 14 (utime) and 15 (stime). Field 2, the name, is in parentheses and may hold anything, so that
/// fields are counted behind the last one.
fn cpu_ticks(stat: &str) -> Option<u64> {
    ticks_from(stat, 14)
}

/// The sum of field `first` and the next.
fn ticks_from(stat: &str, first: usize) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(first - 3);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// The most memory that the process has had in RAM at once, in bytes.
///
/// # Errors
/// When the process is gone.
pub fn peak_memory(pid: u32) -> anyhow::Result<u64> {
    status_bytes(pid, "VmHWM:")
}

/// The memory that the process has in RAM, in bytes.
///
/// # Errors
/// When the process is gone.
pub fn memory(pid: u32) -> anyhow::Result<u64> {
    status_bytes(pid, "VmRSS:")
}

fn status_bytes(pid: u32, field: &str) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    kilobytes(&status, field).map(|kb| kb * 1_024).with_context(|| format!("find {field} in {path}"))
}

fn kilobytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Bytes that the process has caused to be written to disks, by the kernel's account.
///
/// # Errors
/// When the process is gone.
pub fn written_bytes(pid: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/io");
    let io = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let written = io.lines().find_map(|line| line.strip_prefix("write_bytes:"));
    written.and_then(|bytes| bytes.trim().parse().ok()).with_context(|| format!("find write_bytes in {path}"))
}

/// Bytes of all files below the directory; 0 when it is not there. Files that vanish meanwhile do not count.
///
/// # Errors
/// When a directory cannot be read.
pub fn bytes_below(directory: &Path) -> anyhow::Result<u64> {
    if !directory.exists() {
        return Ok(0);
    }
    let mut bytes = 0;
    for entry in fs::read_dir(directory).with_context(|| format!("list {}", directory.display()))? {
        let entry = entry.with_context(|| format!("list {}", directory.display()))?;
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() { bytes_below(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

/// CPU model, cores, memory and kernel of this machine, on one line.
pub fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |line: &str| line.split_once(':').map(|(_, value)| value.trim().to_owned());
    let model = cpuinfo.lines().find(|line| line.starts_with("model name")).and_then(value);
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let memory = fs::read_to_string("/proc/meminfo").ok().and_then(|info| kilobytes(&info, "MemTotal:"));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{}, {cores} cores, {} MiB, Linux {}",
        model.unwrap_or_else(|| "unknown CPU".to_owned()),
        memory.unwrap_or_default() / 1_024,
        kernel.trim()
    )
}

/// The commit of the working directory, with a mark when files differ from it.
pub fn commit() -> String {
    let described = Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"]).output();
    let text = described.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    text.map_or_else(|| "unknown".to_owned(), |text| String::from_utf8_lossy(&text).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_behind_the_name() {
        // proc(5): 3 state, 4 ppid, ... 14 utime = 250, 15 stime = 50, 16 cutime.
        let stat = "42 (a b) c) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 7 7 20 0 9 0 100 0 0";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(cpu_ticks("42 (a) S 1"), None);
        assert_eq!(parent(stat), Some(1));
    }

    #[test]
    fn memory_is_read_in_kilobytes() {
        let status = "Name:\tx\nVmPeak:\t  999 kB\nVmHWM:\t   12345 kB\nVmRSS:\t 1 kB\n";
        assert_eq!(kilobytes(status, "VmHWM:"), Some(12_345));
        assert_eq!(kilobytes(status, "VmSwap:"), None);
    }

    #[test]
    fn a_child_is_one_while_it_runs() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep is everywhere");
        let own = std::process::id();
        assert!(children(own).expect("readable").contains(&child.id()));
        child.kill().expect("it runs");
        child.wait().expect("it was started");
        assert!(!children(own).expect("readable").contains(&child.id()));
    }

    #[test]
    fn this_process_has_used_some_of_both() {
        let pid = std::process::id();
        assert!(cpu_time(pid).is_ok());
        assert!(peak_memory(pid).expect("we are running") > 100_000);
    }

    #[test]
    fn bytes_are_summed_over_directories() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir(directory.path().join("inner")).expect("a directory");
        fs::write(directory.path().join("a"), [0; 10]).expect("a file");
        fs::write(directory.path().join("inner/b"), [0; 5]).expect("a file");
        assert_eq!(bytes_below(directory.path()).expect("readable"), 15);
        assert_eq!(bytes_below(&directory.path().join("missing")).expect("nothing"), 0);
    }
}
