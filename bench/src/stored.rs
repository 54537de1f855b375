//! What lies in a table's files, read from the Delta log and the Parquet footers and not asked of the server.
//!
//! Only files that the log names count: after a compaction the replaced ones stay on disk for a while.
//! Limits: reads the log's JSON entries from the first on, so the log must not have been shortened.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context as _, ensure};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use serde_json::Value;

/// The live files of a table.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    pub files: u64,
    pub rows: u64,
    pub bytes: u64,
    /// Bytes of each top-level column, compressed.
    pub columns: BTreeMap<String, u64>,
}

/// Looks at a table below `tables/`.
///
/// # Errors
/// When the log cannot be read from its beginning, or a file that it names is missing or no Parquet.
pub fn table(table_dir: &Path) -> anyhow::Result<Stored> {
    let mut stored = Stored::default();
    for path in live_files(&table_dir.join("_delta_log"))? {
        let path = table_dir.join(path);
        let file = File::open(&path).with_context(|| format!("open {}", path.display()))?;
        stored.files += 1;
        stored.bytes += file.metadata().with_context(|| format!("measure {}", path.display()))?.len();
        let reader = SerializedFileReader::new(file).with_context(|| format!("read {}", path.display()))?;
        for group in reader.metadata().row_groups() {
            stored.rows += group.num_rows().unsigned_abs();
            for column in group.columns() {
                let name = column.column_path().parts().first().cloned().unwrap_or_default();
                *stored.columns.entry(name).or_default() += column.compressed_size().unsigned_abs();
            }
        }
    }
    Ok(stored)
}

/// The files that a table's log names, relative to the table.
///
/// # Errors
/// When the log cannot be read from its beginning.
pub fn live_files(log_dir: &Path) -> anyhow::Result<BTreeSet<String>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(log_dir).with_context(|| format!("list {}", log_dir.display()))? {
        let name = entry.with_context(|| format!("list {}", log_dir.display()))?.file_name();
        let name = name.to_string_lossy().into_owned();
        let is_entry = name.strip_suffix(".json").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
        entries.extend(is_entry.then_some(name));
    }
    entries.sort();
    let first = entries.first().map_or("", String::as_str);
    ensure!(first.trim_start_matches('0') == ".json", "the log begins with {first:?}, not its first entry");
    let mut live = BTreeSet::new();
    for name in entries {
        let text = fs::read_to_string(log_dir.join(&name)).with_context(|| format!("read {name}"))?;
        for line in text.lines() {
            let action: Value = serde_json::from_str(line).with_context(|| format!("read {name}"))?;
            if let Some(path) = action["add"]["path"].as_str() {
                live.insert(decoded(path));
            }
            if let Some(path) = action["remove"]["path"].as_str() {
                live.remove(&decoded(path));
            }
        }
    }
    Ok(live)
}

/// Paths in the log are percent-encoded; of what our names are made only `=` may be.
fn decoded(path: &str) -> String {
    path.replace("%3D", "=").replace("%3d", "=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_file_is_not_live_and_an_added_one_is() {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).expect("a file");
        write("00000000000000000000.json", "{\"protocol\":{}}\n{\"add\":{\"path\":\"date=1/a.parquet\"}}\n");
        write("00000000000000000001.json", "{\"add\":{\"path\":\"date%3D1/b.parquet\"}}");
        write("00000000000000000002.json", "{\"remove\":{\"path\":\"date=1/a.parquet\"}}");
        write("_last_checkpoint", "{}");
        let live = live_files(directory.path()).expect("a log");
        assert_eq!(live.into_iter().collect::<Vec<_>>(), ["date=1/b.parquet"]);
    }

    #[test]
    fn a_log_without_its_beginning_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("00000000000000000007.json"), "{}").expect("a file");
        assert!(live_files(directory.path()).is_err());
    }
}
