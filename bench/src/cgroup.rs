//! A memory limit for the measured server: a control group of its own, made and removed by hand.
//!
//! Knows version 2 (Linux' `Documentation/admin-guide/cgroup-v2.rst`) and the memory controller of version 1
//! (`cgroup-v1/memory.rst`), which machines still have. Needs root. The page cache counts as well, in both.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

const VERSION_2: &str = "/sys/fs/cgroup";
const VERSION_1: &str = "/sys/fs/cgroup/memory";

/// A control group; removed when dropped, if its processes have ended by then.
#[derive(Debug)]
pub struct Cgroup {
    directory: PathBuf,
    /// Where the kernel counts the processes that it has killed for want of memory.
    events: &'static str,
}

impl Cgroup {
    /// A group whose processes may use so many bytes together.
    ///
    /// # Errors
    /// When the machine has no memory controller, or this process may not use it.
    pub fn make(limit_bytes: u64) -> anyhow::Result<Self> {
        let name = format!("meshlake-bench-{}", std::process::id());
        let (parent, limit, events) = if is_version_2() {
            write(&Path::new(VERSION_2).join("cgroup.subtree_control"), "+memory")?;
            (VERSION_2, "memory.max", "memory.events")
        } else if Path::new(VERSION_1).join("memory.limit_in_bytes").exists() {
            (VERSION_1, "memory.limit_in_bytes", "memory.oom_control")
        } else {
            bail!("not measured: this machine has no memory controller of control groups");
        };
        let directory = Path::new(parent).join(name);
        fs::create_dir(&directory).with_context(|| format!("not measured: make {}", directory.display()))?;
        let cgroup = Cgroup { directory, events };
        write(&cgroup.directory.join(limit), &limit_bytes.to_string())?;
        Ok(cgroup)
    }

    /// Writes a program that enters the group and becomes the binary, so that every byte of it counts.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn launcher(&self, binary: &Path, file: &Path) -> anyhow::Result<()> {
        let processes = self.directory.join("cgroup.procs");
        let script =
            format!("#!/bin/sh\necho $$ > '{}' && exec '{}' \"$@\"\n", processes.display(), binary.display());
        write(file, &script)?;
        let permissions = fs::Permissions::from_mode(0o755);
        fs::set_permissions(file, permissions).with_context(|| format!("make {} a program", file.display()))
    }

    /// Processes that the kernel has killed because the group was at its limit.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn kills(&self) -> anyhow::Result<u64> {
        let path = self.directory.join(self.events);
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        killed(&text).with_context(|| format!("find oom_kill in {}", path.display()))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Fails while a process is in it; then it is left behind, which costs nothing.
        let _ = fs::remove_dir(&self.directory);
    }
}

fn is_version_2() -> bool {
    let controllers = fs::read_to_string(Path::new(VERSION_2).join("cgroup.controllers"));
    controllers.is_ok_and(|controllers| controllers.split_whitespace().any(|name| name == "memory"))
}

fn killed(events: &str) -> Option<u64> {
    events.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("not measured: write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_counted_in_both_versions() {
        // As on Linux 6.1: memory.events of version 2, memory.oom_control of version 1.
        assert_eq!(killed("low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n"), Some(2));
        assert_eq!(killed("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"), Some(1));
        assert_eq!(killed("oom_kill_disable 0\n"), None);
    }
}
