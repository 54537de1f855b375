//! Files, parts and claims, and what a crash between any two steps leaves.

use super::*;
use crate::intake::testing::StillClock;

const HEAD: &[u8] = b"10.0.0.1 - - [23/Nov/2026:07:07:07 +0000] \"GET / HTTP/1.1\" 200 1\n";

fn open(path: Option<PathBuf>, stored: &[StoredExport]) -> Positions {
    Positions::open(path, stored, Arc::new(StillClock)).expect("open")
}

fn in_memory() -> Positions {
    open(None, &[])
}

/// The next claim on `part`, which must not have to wait.
async fn claim(positions: &Positions, file: FileIdentity, part: Range<u64>) -> Option<Claim> {
    let claiming = positions.claim("default", file, part);
    let mut claiming = std::pin::pin!(claiming);
    let now = std::future::poll_fn(|context| std::task::Poll::Ready(claiming.as_mut().poll(context))).await;
    match now {
        std::task::Poll::Ready(claimed) => claimed.expect("known"),
        std::task::Poll::Pending => panic!("somebody else has it"),
    }
}

async fn store(positions: &Positions, file: FileIdentity, part: Range<u64>) -> Option<StoredExport> {
    let claim = claim(positions, file, part).await?;
    let stored = StoredExport { hash: claim.name(), rows: 1, seconds: 0 };
    claim.stored();
    Some(stored)
}

#[test]
fn a_file_is_found_by_what_it_began_with_when_it_was_first_seen() {
    let positions = in_memory();
    let long = [HEAD, &[b'x'; 5000]].concat();
    assert_eq!(positions.find("default", &long), None);
    let short = positions.add("default", HEAD).expect("added");
    assert_eq!((short.head_bytes, short.position), (HEAD.len(), 0));
    assert_eq!(positions.find("default", &long), Some(short), "it has grown");
    assert_eq!(positions.find("default", &HEAD[..9]), None, "a shorter one is another");
    assert_eq!(positions.find("other", &long), None, "another tenant's");
    let whole = positions.add("default", &long).expect("added");
    assert_eq!(whole.head_bytes, HEAD_BYTES_MAX);
    assert_eq!(positions.find("default", &long), Some(whole), "the longest");
    let other_end = [&long[..HEAD_BYTES_MAX], b"y"].concat();
    assert_eq!(positions.find("default", &other_end), Some(whole), "4096 bytes decide");
}

#[tokio::test]
async fn what_is_stored_cannot_be_claimed_again() {
    let positions = in_memory();
    let file = positions.add("default", HEAD).expect("added").identity;
    assert!(store(&positions, file, 0..10).await.is_some());
    assert!(store(&positions, file, 20..30).await.is_some());
    assert_eq!(positions.position(file), Some(10), "10 to 20 is missing");
    // (wanted, claimed)
    let cases =
        [(0..10, None), (5..15, Some(10..15)), (0..99, Some(10..20)), (22..29, None), (25..40, Some(30..40))];
    for (wanted, want) in cases {
        let claimed = claim(&positions, file, wanted.clone()).await.map(|claim| claim.part());
        assert_eq!(claimed, want, "{wanted:?}");
    }
    assert!(store(&positions, file, 0..99).await.is_some());
    assert_eq!(positions.position(file), Some(30));
    let other_tenant = positions.claim("other", file, 0..1).await.map(drop);
    assert_eq!(other_tenant, Err(UnknownFile));
    assert_eq!(positions.claim("default", FileIdentity(1), 0..1).await.map(drop), Err(UnknownFile));
}

/// Scenario: two readers of one file claim overlapping parts. Guarantee: the second gets what the first has not, and
/// waits for the rest, which it gets if the first does not store it.
#[tokio::test]
async fn what_another_is_about_to_store_is_waited_for() {
    let positions = in_memory();
    let file = positions.add("default", HEAD).expect("added").identity;
    let first = claim(&positions, file, 10..20).await.expect("free");
    assert_eq!(claim(&positions, file, 0..30).await.map(|claim| claim.part()), Some(0..10));
    for is_stored in [false, true] {
        let first = claim(&positions, file, 50..60).await.expect("free");
        let waiting = tokio::spawn({
            let positions = positions.clone();
            async move { positions.claim("default", file, 55..60).await.expect("known").map(|claim| claim.part()) }
        });
        tokio::task::yield_now().await;
        if is_stored {
            first.stored();
        } else {
            drop(first);
        }
        assert_eq!(waiting.await.expect("no panic"), (!is_stored).then_some(55..60));
    }
    drop(first);
}

#[tokio::test]
async fn stored_parts_that_touch_become_one() {
    let positions = in_memory();
    let file = positions.add("default", HEAD).expect("added").identity;
    for start in [4, 8, 2, 6] {
        store(&positions, file, start..start + 2).await.expect("free");
    }
    assert_eq!(positions.lock().files[&file].beyond.as_slice(), std::slice::from_ref(&(2..10)));
    store(&positions, file, 0..2).await.expect("free");
    assert_eq!((positions.position(file), positions.lock().files[&file].beyond.len()), (Some(10), 0));
}

/// Scenario: a file is made known, parts of it are stored, and the process dies without having written a position
/// down since. Guarantee: the next start goes on behind the last part whose rows are durable.
#[tokio::test]
async fn a_crash_before_the_position_is_written_down_stores_nothing_twice() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = || Some(dir.path().join("positions"));
    let positions = open(path(), &[]);
    let file = positions.add("default", HEAD).expect("added").identity;
    let mut log = Vec::new();
    for (part, saves) in [(0..10, false), (10..30, true), (30..31, false), (31..77, false)] {
        log.extend(store(&positions, file, part.clone()).await);
        let restarted = open(path(), &log);
        assert_eq!(restarted.find("default", HEAD).map(|file| file.position), Some(part.end));
        if saves {
            positions.save().expect("saved");
        }
    }
    assert_eq!(open(path(), &[]).position(file), Some(30), "what was written down, without the log");
    assert_eq!(open(path(), &log[2..]).position(file), Some(77), "the log has forgotten older parts");
}

#[test]
fn the_file_that_has_not_moved_for_longest_is_forgotten() {
    let positions = in_memory();
    for n in 0..FILES_MAX {
        let identity = FileIdentity(n as u128);
        positions.lock().add(identity, 0, 64, if n == 5 { 1 } else { 2 });
    }
    assert_eq!(positions.position(FileIdentity(5)), Some(0));
    positions.add("default", HEAD).expect("added");
    assert_eq!(positions.lock().files.len(), FILES_MAX);
    assert_eq!(positions.position(FileIdentity(5)), None);
    assert_eq!(positions.lock().head_lengths.values().sum::<usize>(), FILES_MAX);
}

/// A directory that is not there cannot be written to.
#[test]
fn a_file_that_cannot_be_written_down_is_not_known() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let positions = open(Some(dir.path().join("missing/positions")), &[]);
    assert!(positions.add("default", HEAD).is_err());
    assert_eq!(positions.find("default", HEAD), None);
}
