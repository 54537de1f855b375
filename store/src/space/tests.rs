//! The watch on a simulated disk, look by look; no test waits for the thread's clock.

use std::path::Path;

use super::*;
use crate::disk::sim::SimDisk;

/// Watermark 400, so the reserve is 100; rows are taken again at 450.
fn config() -> SpaceConfig {
    SpaceConfig { dir: PathBuf::from("data"), free_bytes_min: 400, segment_bytes: 50 }
}

fn watcher(free_bytes: u64) -> (SimDisk, Space, Watcher) {
    let disk = SimDisk::default();
    disk.create_dir_all(&config().dir).expect("a new disk");
    disk.set_free_bytes(free_bytes);
    let (space, watcher) = Watcher::new(Arc::new(disk.clone()), config());
    (disk, space, watcher)
}

fn reserve_bytes(disk: &SimDisk) -> Option<usize> {
    disk.contents(Path::new("data/reserve")).map(|content| content.len())
}

#[test]
fn rows_are_refused_at_the_watermark_and_taken_again_a_segment_above_it() {
    let (disk, space, mut watcher) = watcher(0);
    watcher.look();
    // Free bytes, and whether rows are taken then, one look after the other.
    let looks = [
        (449, false),
        (450, true),
        (401, true),
        (400, false),
        (401, false),
        (449, false),
        (450, true),
        (u64::MAX, true),
    ];
    for (step, (free_bytes, want)) in looks.into_iter().enumerate() {
        disk.set_free_bytes(free_bytes);
        watcher.look();
        assert_eq!(space.has_room(), want, "step {step}, {free_bytes} bytes");
    }
    assert_eq!(space.stats().times_full, 2);
}

#[test]
fn the_reserve_is_made_when_there_is_plenty_and_never_brings_a_refusal() {
    let (disk, space, mut watcher) = watcher(549);
    watcher.look();
    assert_eq!((reserve_bytes(&disk), space.stats().reserve_bytes), (None, 0), "450 must stay free");
    disk.set_free_bytes(550);
    watcher.look();
    assert_eq!((reserve_bytes(&disk), space.stats().reserve_bytes), (Some(100), 100));
    watcher.look();
    assert_eq!((space.stats().free_bytes, space.has_room()), (450, true));
    assert!(space.has_room_for(0) && !space.has_room_for(1), "merges do not bring one either");
}

#[test]
fn the_reserve_is_given_up_when_less_than_it_is_free_and_wakes_who_waits_for_room() {
    let (disk, space, mut watcher) = watcher(1_000);
    watcher.look();
    disk.set_free_bytes(100);
    watcher.look();
    assert_eq!(reserve_bytes(&disk), Some(100), "as much as the reserve is free");
    let mut room_came = space.room_came();
    disk.set_free_bytes(99);
    watcher.look();
    assert_eq!((reserve_bytes(&disk), space.stats().free_bytes), (None, 199));
    assert_eq!(room_came.has_changed().ok(), Some(true), "flushes can go on");
    assert!(!space.has_room(), "new rows cannot");

    room_came.mark_unchanged();
    disk.set_free_bytes(550);
    watcher.look();
    assert_eq!((reserve_bytes(&disk), space.has_room()), (Some(100), true));
    assert_eq!(room_came.has_changed().ok(), Some(true));
}

/// A quota, for one: the file system has room, writes have none. Then nothing helps but to try again.
#[test]
fn a_write_that_finds_no_room_refuses_rows_until_the_look_after_next() {
    let (disk, space, mut watcher) = watcher(1_000);
    watcher.look();
    let room_came = space.room_came();
    space.found_full();
    assert!(!space.has_room(), "at once");
    watcher.look();
    assert!(!space.has_room(), "the look that it asked for");
    watcher.look();
    assert!(space.has_room());
    assert_eq!(reserve_bytes(&disk), Some(100));
    assert_eq!(room_came.has_changed().ok(), Some(false), "no more is free than when it failed");
}

#[test]
fn a_write_that_needs_more_than_is_free_is_given_the_reserve() {
    let (disk, space, mut watcher) = watcher(1_000);
    watcher.look();
    disk.set_free_bytes(449);
    watcher.look();
    assert_eq!((reserve_bytes(&disk), space.has_room()), (Some(100), true));
    let room_came = space.room_came();
    space.found_full();
    watcher.look();
    assert_eq!((reserve_bytes(&disk), space.has_room()), (None, false));
    assert_eq!(room_came.has_changed().ok(), Some(true));
}

#[test]
fn a_reserve_is_taken_over_and_one_of_another_size_replaced() {
    for (found, want_free) in [(100, 1_000), (70, 900)] {
        let (disk, ..) = watcher(1_000);
        disk.set_contents(Path::new("data/reserve"), vec![0; found]);
        let (_space, mut watcher) = Watcher::new(Arc::new(disk.clone()), config());
        watcher.look();
        assert_eq!(reserve_bytes(&disk), Some(100), "{found} bytes found");
        assert_eq!(disk.free_bytes(Path::new("data")).ok(), Some(want_free), "{found} bytes found");
    }
}

#[test]
fn a_full_disk_is_looked_at_from_the_start_and_the_thread_ends_when_told() {
    let disk = SimDisk::default();
    disk.set_free_bytes(0);
    let (space, thread) = Space::watch(Arc::new(disk.clone()), config()).expect("a thread");
    assert!(!space.has_room());
    thread.stop();
}
