//! The directory that queries spill to, the only one that the query process may write to.
//!
//! It is one of the system's for temporary files, because what is spilled must not take the room that rows need; where
//! there is none, as in a container without one, it is in the data directory.

use std::path::Path;

use anyhow::{Context as _, Result};
use tempfile::{Builder, TempDir};

/// What the name begins with, for whoever finds one that a killed process left.
const NAME_START: &str = "meshlake-spill-";

/// A new one, that is removed with what is returned.
///
/// # Errors
/// It can be made nowhere.
pub fn make(data_dir: &Path) -> Result<TempDir> {
    let made = Builder::new().prefix(NAME_START).tempdir();
    let made = made.or_else(|_| Builder::new().prefix(NAME_START).tempdir_in(data_dir));
    made.context("make a directory that queries spill to")
}

/// Removes what a process has left in it that was killed.
pub fn empty(spill_dir: &Path) {
    for entry in std::fs::read_dir(spill_dir).into_iter().flatten().flatten() {
        let removed = match entry.file_type() {
            Ok(kind) if kind.is_dir() => std::fs::remove_dir_all(entry.path()),
            _ => std::fs::remove_file(entry.path()),
        };
        if let Err(error) = removed {
            tracing::warn!(%error, "remove what a query process has spilled");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spilled_is_removed_and_the_directory_with_it() {
        let data_dir = tempfile::tempdir().expect("a directory");
        let spill = make(data_dir.path()).expect("a directory");
        let path = spill.path().to_owned();
        std::fs::create_dir_all(path.join("query-1/part")).expect("it is new");
        std::fs::write(path.join("query-1/part/rows"), "rows").expect("it is new");
        std::fs::write(path.join("rows"), "rows").expect("it is new");
        empty(&path);
        assert_eq!(std::fs::read_dir(&path).expect("it is there").count(), 0);
        drop(spill);
        assert!(!path.exists());
    }
}
