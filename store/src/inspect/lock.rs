//! Who holds the lock of a data directory, without trying to take it: an attempt, however short, could make
//! a server that starts at that moment give up.
//!
//! Linux lists every lock in `/proc/locks` with process and inode. Limits: locks of processes in another PID
//! namespace (a container seen from inside another) are not listed for us.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The process that holds the lock of `root`, when it is the one that the lock file names.
pub(super) fn holder(root: &Path) -> Option<u32> {
    let path = root.join("LOCK");
    let pid = fs::read_to_string(&path).ok()?.trim().parse().ok()?;
    let inode = fs::metadata(&path).ok()?.ino();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    is_held(&locks, pid, inode).then_some(pid)
}

/// Lines are `1: FLOCK  ADVISORY  WRITE 4711 08:01:131090 0 EOF`: process, then device and inode. The device
/// is left out: what a file's metadata say of it differs on some file systems.
fn is_held(locks: &str, pid: u32, inode: u64) -> bool {
    locks.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_flock = words.get(1) == Some(&"FLOCK");
        let is_by = words.get(4).and_then(|word| word.parse().ok()) == Some(pid);
        let is_on = words.get(5).and_then(|word| word.rsplit(':').next()?.parse().ok()) == Some(inode);
        is_flock && is_by && is_on
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_dir::DataDir;
    use crate::disk::StdDisk;

    #[test]
    fn a_lock_is_known_by_process_and_inode() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 08:01:131090 0 EOF\n2: FLOCK  ADVISORY  WRITE 8 08:01:131091 0 EOF\n2: -> FLOCK  ADVISORY  WRITE 9 08:01:131091 0 EOF\n";
        assert!(is_held(locks, 8, 131_091));
        for (pid, inode) in [(7, 131_090), (8, 131_090), (9, 131_091)] {
            assert!(!is_held(locks, pid, inode), "{pid} on {inode}");
        }
    }

    #[test]
    fn the_holder_is_seen_until_it_lets_go() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let held = DataDir::open(&StdDisk, dir.path()).expect("open");
        assert_eq!(holder(dir.path()), Some(std::process::id()));
        drop(held);
        assert_eq!(holder(dir.path()), None);
    }
}
