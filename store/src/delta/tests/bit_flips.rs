//! One flipped bit anywhere in a table's log: the load fails and names the table, or says the same as before.

use super::*;
use crate::disk::sim::Coin;
use crate::test_size;

/// A third of the flips of a run, which the write-ahead log and Parquet files share.
const FLIPS: u64 = 170;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_of_the_log_is_an_error_or_changes_nothing() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let catalog = catalog(&store(&dir));
    let mut watermark = catalog.load(Table::Spans).await.expect("made").watermark;
    for commit in 1..=8 {
        let flushed = flushed(watermark, watermark + commit, &format!("file-{commit}"));
        watermark = catalog.commit(Table::Spans, &flushed).await.expect("committed").watermark;
    }
    let want = catalog.load(Table::Spans).await.expect("loaded");
    let log = dir.path().join("tables/spans/_delta_log");
    let mut entries: Vec<_> = std::fs::read_dir(&log)
        .expect("list")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    entries.sort();
    // Entry 0 makes the table and is the library's, without a checksum: no row's place depends on it.
    let entries = &entries[1..];
    let mut coin = Coin(1);
    for flip in 0..test_size::from_environment("MESHLAKE_TEST_BIT_FLIPS", 3 * FLIPS) / 3 {
        let path = &entries[coin.below(entries.len() as u64) as usize];
        let whole = std::fs::read(path).expect("read");
        let bit = coin.below(whole.len() as u64 * 8) as usize;
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(path, &flipped).expect("write");
        match catalog.load(Table::Spans).await {
            Ok(committed) => assert_eq!(committed, want, "flip {flip}: bit {bit} of {}", path.display()),
            Err(error) => assert!(error.to_string().contains("table spans"), "flip {flip}: {error}"),
        }
        std::fs::write(path, &whole).expect("write");
    }
    assert_eq!(catalog.load(Table::Spans).await.expect("whole again"), want);
}
